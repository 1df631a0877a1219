/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Wake-ups, for push gateways: when an entry comes to a session, the users and operators who have taken part in it and
 * have no device online are named on root/$wake/{session}/{identity}, each once until it is back. `$wake` is no session
 * id, so there is no such topic in any session, and filters of others match it in vain.
 *
 *     session ── sleepers, by person ──┐
 *     person  ── sleepers ─────────────┘      of sessions in memory, while the gateway listens
 *
 * That somebody was woken is a fact in the store, the LSN of the entry; so is at which LSN somebody was last back,
 * which ends what lies before it in all sessions.
 */
#ifndef HF_SESSION_WAKE_H
#define HF_SESSION_WAKE_H

#include "session/internal.h"

#define HF_WAKE_SESSION "$wake" /* where a session's id is in other topics */

/* One who has taken part in a session and would be woken, should it be away. */
struct hf_sleeper {
	UT_hash_handle hh;              /* of the session; key: person */
	struct hf_sleeper *prev, *next; /* of the person */
	struct hf_session *session;
	struct hf_person *person;
	bool woken; /* since it was back last */
};

/* Is this the gateway's own tree: a topic or filter root/$wake/...? */
bool hf_wake_names(const struct hf_hub *hub, const char *text);
/* May this identity read it? */
bool hf_wake_reads(const struct hf_hub *hub, const char *identity);

/* The option wake_identity, at start and at end. False: no memory. */
bool hf_wake_open(struct hf_hub *hub);
void hf_wake_close(struct hf_hub *hub);

/* An entry has been stored. */
void hf_wake(struct hf_hub *hub, struct hf_session *session, const struct hf_entry *entry);
void hf_wake_forget(struct hf_hub *hub, struct hf_session *session); /* it leaves memory */

/* It takes part from now on. */
void hf_wake_joined(const struct hf_participant *participant);

/* The first device of a person is online, or none is any more. NULL allowed. */
void hf_wake_online(struct hf_hub *hub, struct hf_person *person, bool online);

#endif
