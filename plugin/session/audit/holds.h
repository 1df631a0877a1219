/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Legal holds, on a session or on an identity. While one is in place, nothing removes what is under it: not retention
 * (of the session; of any session, at the first entry that the identity published), not the erasure of the session or
 * of a person's payloads, nor what becomes too old for the audit. Each is a fact of the store, and placing and lifting
 * it a record of the audit.
 */
#ifndef HF_SESSION_HOLDS_H
#define HF_SESSION_HOLDS_H

#include "session/internal.h"
#include "session/log/ending.h"

/* One of the two is empty: what is held. */
struct hf_hold_info {
	struct hf_slice session, identity;
	struct hf_slice why; /* in the words of who asked */
	struct hf_slice by;  /* identity of who asked */
	int64_t time_ms;     /* when */
};

#define HF_HOLD_WHY_MAX 1024 /* bytes */

/*
 * Place a hold, or replace the one on the same session or identity; lift it. On disk, with its record, when it returns
 * HF_OK. HF_SESSION_UNKNOWN, HF_SESSION_ERASED, HF_PAYLOAD_INVALID (not one of the two, or too long, or no UTF-8),
 * HF_HOLD_UNKNOWN (lifting: there is none), HF_STORE_FAILED (it holds, or is lifted, as soon as the store takes it),
 * HF_NO_MEMORY.
 */
enum hf_reason hf_hold_place(struct hf_hub *hub, struct hf_slice session, struct hf_slice identity, struct hf_slice why,
	const struct hf_asker *asker);
enum hf_reason hf_hold_lift(struct hf_hub *hub, struct hf_slice session, struct hf_slice identity, struct hf_slice why,
	const struct hf_asker *asker);

/* Visit them all, sessions before identities, each in the order of names. Return false to stop. */
typedef bool (*hf_hold_fn)(void *context, const struct hf_hold_info *hold);
void hf_holds_each(const struct hf_hub *hub, hf_hold_fn fn, void *context);

/* ---- who removes something asks */

bool hf_session_held(const struct hf_hub *hub, struct hf_slice session);
bool hf_identity_held(const struct hf_hub *hub, struct hf_slice identity);

/* The first offset from the tail on, and below `end`, whose entry is of an identity that is held; `end` where there is
 * none. HF_OK, HF_STORE_FAILED, HF_RECORD_CORRUPT, HF_NO_MEMORY. */
enum hf_reason hf_holds_limit(struct hf_hub *hub, struct hf_log *log, uint64_t end, uint64_t *limit);

/* May all of a session be erased? HF_OK, HF_HELD, and as above. And all that an identity has published? */
enum hf_reason hf_holds_allow_session(struct hf_hub *hub, struct hf_log *log);
enum hf_reason hf_holds_allow_identity(struct hf_hub *hub, struct hf_slice identity);

/* For the audit: an array of them, which the caller frees; its slices are good until a hold is placed or lifted. False:
 * no memory. */
bool hf_holds_list(const struct hf_hub *hub, struct hf_hold **out, size_t *count);

/* At the start, and at the end. HF_OK, HF_NO_MEMORY, HF_STORE_FAILED, HF_RECORD_CORRUPT. */
enum hf_reason hf_holds_load(struct hf_hub *hub);
void hf_holds_free(struct hf_hub *hub);

#endif
