/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Erasing what an identity has published: its entries lose payload and properties, in whatever session, and what was
 * derived from them goes. They stay entries of their sessions: readers are told of each, in its place, that it was
 * erased; the chain of the audit goes through them as before (codec/entry.h).
 *
 * It is done in steps, in the tick, also after a restart; request and end are records of the audit. What is in flight
 * to a device when its turn comes is delivered; what the identity publishes after the request stays.
 */
#ifndef HF_SESSION_FORGET_H
#define HF_SESSION_FORGET_H

#include "session/internal.h"
#include "session/log/ending.h"

/*
 * Begin. HF_OK: the store knows it, and it will be done; also where it is under way already. HF_PAYLOAD_INVALID (no
 * identity, or too long, or no UTF-8; the same of `why`), HF_HELD (the identity is under a legal hold, or a session in
 * which it has published), HF_STORE_FAILED (it will not be done), HF_NO_MEMORY, HF_RECORD_CORRUPT.
 */
enum hf_reason hf_identity_erase(
	struct hf_hub *hub, struct hf_slice identity, struct hf_slice why, const struct hf_asker *asker);

/* Visit those that are under way. Return false to stop. */
struct hf_forgetting_info {
	struct hf_slice identity, by;
	uint64_t lsn, until; /* of the log: looked at up to here, and will be up to here; the same: it does the rest now */
	uint64_t count;      /* entries without payload so far */
};
typedef bool (*hf_forgetting_fn)(void *context, const struct hf_forgetting_info *info);
void hf_forgettings_each(const struct hf_hub *hub, hf_forgetting_fn fn, void *context);

/* Those that were not finished when the broker ended. HF_OK, HF_NO_MEMORY, HF_STORE_FAILED, HF_RECORD_CORRUPT. */
enum hf_reason hf_forgettings_load(struct hf_hub *hub);
void hf_forgettings_go_on(struct hf_hub *hub); /* the timer */
void hf_forgettings_free(struct hf_hub *hub);

#endif
