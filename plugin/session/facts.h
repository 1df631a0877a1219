/* SPDX-License-Identifier: BSD-3-Clause */
/* What else is known of a session: the types of facts in the store (hf_fact_put). They are on disk: never renumber. */
#ifndef HF_SESSION_FACTS_H
#define HF_SESSION_FACTS_H

enum hf_fact {
	HF_FACT_RESPONSE = 1,     /* responses.c; name: identity, 0, id */
	HF_FACT_ID = 2,           /* repeats.c; name: identity, 0, id */
	HF_FACT_ID_AT = 9,        /* repeats.c; name: offset, big-endian; value: the name of the one above */
	HF_FACT_ASK = 3,          /* ask_facts.c; name: id of an open question */
	HF_FACT_ASK_ENDED = 4,    /* ask_facts.c; name: id of one that was answered or has expired */
	HF_FACT_DEADLINE = 5,     /* ask_facts.c; of no session (its id is empty); name: when, session, 0, id */
	HF_FACT_FLOOR = 6,        /* floor.c; name: empty */
	HF_FACT_SHARED = 7,       /* shared.c; name: key ... */
	HF_FACT_SHARED_VALUE = 8, /* ... likewise */
	HF_FACT_PARTICIPANT = 10, /* presence.c; name: identity */
	HF_FACT_ACTIVE = 11,      /* sessions.c; of no session (its id is empty); name: a session that a kill of the broker
								 would leave with somebody there, or with an open response */
	HF_FACT_RETENTION = 12,   /* retention.c; name: empty */
	HF_FACT_HELD = 13,        /* held.c; name: identity or nothing, 0, id of a response */
	HF_FACT_UNATTENDED = 14,  /* unattended.c; name: empty */
	HF_FACT_WOKEN = 15,       /* wake.c; name: identity */
	HF_FACT_BACK = 16,        /* wake.c; of no session (its id is empty); name: identity */
	HF_FACT_ERASING = 17,     /* erase.c; of no session (its id is empty); name: a session that is not quite erased */
	HF_FACT_HOLD = 18,        /* holds.c; of no session; name: 's' and a session, or 'i' and an identity */
	HF_FACT_FORGETTING = 19,  /* forget.c; of no session; name: an identity whose payloads are not quite erased */
	HF_FACT_COUNT             /* no fact: one more than the last */
};

#endif
