/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is kept of responses: facts in the store (response_facts.c), of which the open ones are also in memory while
 * their session is (responses.c). Between these files and those
 * by which they are interrupted, signals.c and held.c.
 */
#ifndef HF_SESSION_RESPONSES_H
#define HF_SESSION_RESPONSES_H

#include "session/internal.h"

#define HF_RESPONSE_KEY_MAX (HF_TOPIC_MAX + 1 + HF_RESPONSE_ID_MAX)

/* identity, 0, id: neither has a zero in it (MQTT 5, 1.5.4; schemas/tokens.cddl). */
bool hf_response_key_fits(struct hf_slice identity, struct hf_slice id);
size_t hf_response_key(char key[HF_RESPONSE_KEY_MAX], struct hf_slice identity, struct hf_slice id); /* its length */
bool hf_response_key_split(struct hf_slice key, struct hf_slice *identity, struct hf_slice *id); /* false: is none */

/* What the store knows of one. */
struct hf_response_fact {
	enum hf_end end;
	uint64_t next_seq; /* 0: nothing */
	uint64_t last_offset;
	int64_t stop_ms; /* as in struct hf_response */
};
bool hf_response_fact_read(struct hf_slice value, struct hf_response_fact *out); /* false: it does not decode */
/* HF_OK also where there is none. HF_STORE_FAILED, HF_RECORD_CORRUPT, HF_NO_MEMORY. */
enum hf_reason hf_response_fact_get(struct hf_hub *hub, struct hf_slice session, struct hf_slice identity,
	struct hf_slice id, struct hf_response_fact *out);
enum hf_reason hf_response_fact_put(
	struct hf_hub *hub, struct hf_slice session, struct hf_slice key, const struct hf_response_fact *fact);

/* responses.c */
struct hf_slice hf_response_identity(const struct hf_response *response);
struct hf_slice hf_response_id(const struct hf_response *response);
/* It is to end by then. 0: it need not any more. */
void hf_response_stop(struct hf_hub *hub, struct hf_response *response, int64_t stop_ms);

/* held.c: interrupts of responses that nobody has begun. `identity` empty: whoever's. */
struct hf_held {
	UT_hash_handle hh; /* of the session; in the order of their offsets */
	uint64_t offset;
	size_t key_len;
	char key[]; /* as a response's */
};

void hf_held_add(struct hf_hub *hub, struct hf_session *session, struct hf_slice identity, struct hf_slice id,
	uint64_t offset); /* of the signal */
void hf_held_drop(struct hf_hub *hub, struct hf_session *session, struct hf_held *held);
/* This response begins: was it interrupted? That is not held any more then. */
bool hf_held_take(struct hf_hub *hub, struct hf_session *session, struct hf_slice identity, struct hf_slice id);
/* The same in the store alone, of a session that is not in memory. */
bool hf_held_put_fact(struct hf_hub *hub, struct hf_slice session, struct hf_slice key, uint64_t offset);
bool hf_held_take_fact(struct hf_hub *hub, struct hf_slice session, struct hf_slice identity, struct hf_slice id);
void hf_held_lost(struct hf_hub *hub, struct hf_slice session); /* say that there is no memory for one */

#endif
