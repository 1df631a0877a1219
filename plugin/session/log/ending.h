/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a session ends. Closing it is the last thing that happens in its log: what is open in it ends, each with a notice
 * of its own, then comes the notice `closed`; what is there can still be read. Erasing it closes it, and then takes
 * away what was said: the payloads of its entries, and all that was derived from them. The id of either is never used
 * again.
 *
 * Each is on disk when it returns HF_OK, and does no harm when asked for again: who does not know whether it was done
 * asks once more. They know no publish: any part of Holdfast that may do so can call them.
 */
#ifndef HF_SESSION_ENDING_H
#define HF_SESSION_ENDING_H

#include "session/internal.h"

/* Who asked for it, for notice and audit: NULL where not known. */
struct hf_asker {
	const char *identity, *device, *address;
};

/* HF_OK, HF_SESSION_UNKNOWN, HF_STORE_FAILED (it may have happened), HF_NO_MEMORY, HF_RECORD_CORRUPT; of closing also
 * HF_SESSION_ERASED, of erasing HF_HELD. *offset is that of the session's last entry. */
enum hf_reason hf_session_close(
	struct hf_hub *hub, struct hf_slice session, const struct hf_asker *asker, uint64_t *offset);
enum hf_reason hf_session_erase(
	struct hf_hub *hub, struct hf_slice session, const struct hf_asker *asker, uint64_t *offset);

/* Limits of its own for what is kept of a session (retention.h), with a notice, unless it is closed. *now is what holds
 * from now on, *offset the newest entry's. As above, and HF_RETENTION_INVALID. */
enum hf_reason hf_session_limit(struct hf_hub *hub, struct hf_slice session, const struct hf_retention *limits,
	const struct hf_asker *asker, struct hf_retention *now, uint64_t *offset);

/* Does it take entries? HF_OK, HF_SESSION_CLOSED, HF_SESSION_ERASED. And in a word, as marks have it: NULL, "closed",
 * "erased". */
enum hf_reason hf_session_ended(const struct hf_session *session);
const char *hf_log_ended(const struct hf_log *log);
const char *hf_log_why_gone(const struct hf_log *log); /* what it has no more: "truncated" or "erased", as gap marks */
bool hf_session_erased(const struct hf_session *session);

/* The notice `closed`, found in the log again. `session`: NULL when it is not in memory. */
void hf_session_replay_closed(struct hf_hub *hub, struct hf_session *session, const struct hf_entry *entry);

/* ---- erase.c: what takes longer than a moment, also over restarts */

/* The session's state is to say so from here on, and its entries go. HF_OK: the store knows that; as above. */
enum hf_reason hf_erasure_begin(struct hf_hub *hub, struct hf_session *session);

/* Erasures that were not finished when the broker ended. HF_OK, HF_NO_MEMORY, HF_STORE_FAILED, HF_RECORD_CORRUPT. */
enum hf_reason hf_erasures_load(struct hf_hub *hub);
void hf_erasures_go_on(struct hf_hub *hub); /* the timer */
void hf_erasures_free(struct hf_hub *hub);

/* Could the log still give this reader something that is to go? Then it has to wait. `session`: the one that it reads;
 * NULL: any. */
bool hf_erasure_runs(const struct hf_hub *hub, const struct hf_session *session);

#endif
