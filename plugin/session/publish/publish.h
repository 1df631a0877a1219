/* SPDX-License-Identifier: BSD-3-Clause */
/* A publish under the root: what is known of it while it is looked at, what was stored before, what its sender is told.
 */
#ifndef HF_SESSION_PUBLISH_H
#define HF_SESSION_PUBLISH_H

#include "session/internal.h"

/* publish.c: a publish under the root while it is looked at. Each logged kind may have a check of its own before it is
 * stored, and something to apply after; the table is in publish.c. */
struct hf_incoming {
	const struct hf_publish *publish;
	struct hf_device *device; /* NULL: of a client that is gone (a will) */
	struct hf_topic topic;
	enum hf_role role;
	struct hf_slice identity; /* empty: anonymous */
	struct hf_session *session;
	struct hf_member *member; /* once it is stored; NULL: of a will, or no memory */
	union {
		struct hf_token_batch batch;
		struct hf_ask ask;
		struct hf_answer answer;
		struct hf_signal signal;
	};
	bool repeat;               /* set by a check: it is stored already, acknowledge it */
	struct hf_receipt receipt; /* where it stands; of a repeat set by the check, which may not know */
	struct hf_refusal
		refusal; /* set by a check that refuses, where there is something to say: `expected` points to ... */
	uint64_t expected;
	uint64_t newest; /* of shared: the offset and size of the key's latest value, 0: it has none */
	uint32_t newest_size;
};

/* control.c: a request on S/control; HF_OK: done and answered */
enum hf_reason hf_control(struct hf_hub *hub, struct hf_incoming *incoming);

/* manage.c: what carries out commands of admins */
enum hf_reason hf_end_command(struct hf_hub *hub, struct hf_incoming *incoming,
	const struct hf_control_request *request, struct hf_buffer *answer);
enum hf_reason hf_limits_command(struct hf_hub *hub, struct hf_incoming *incoming,
	const struct hf_control_request *request, struct hf_buffer *answer);

/* repeats.c: what is sent again. They set incoming->repeat and incoming->receipt. HF_ID_REUSED: it is not the same. */
enum hf_reason hf_repeat_by_id(struct hf_hub *hub, struct hf_incoming *incoming);
/* The one that stands at this offset. Where its entry is no longer kept, the digest of its payload tells; HF_ID_REUSED
 * also where that is not known (empty). */
enum hf_reason hf_repeat_at(struct hf_hub *hub, struct hf_incoming *incoming, uint64_t offset, struct hf_slice digest);
/* A batch whose seq its response has seen; it stands at this offset or below. Far back its place remains unknown. */
enum hf_reason hf_repeat_of_batch(struct hf_hub *hub, struct hf_incoming *incoming, uint64_t not_above);
void hf_id_apply(struct hf_hub *hub, const struct hf_entry *entry); /* remember its id, if it has one */
/* Forget the ids of entries below `tail`, which are gone from the log: some at a time. False: there are more, or it
 * failed. */
bool hf_ids_forget(struct hf_hub *hub, struct hf_slice session, uint64_t tail);

/* answers.c: what only the client that asked is told, on the Response Topic it named */
bool hf_response_topic_fits(const struct hf_hub *hub, const char *topic); /* NULL does not */
bool hf_answers_pile_up(struct hf_hub *hub, struct hf_device *device);    /* it does not read them: no more for now */
bool hf_answer(struct hf_hub *hub, struct hf_device *device, const struct hf_publish *publish, struct hf_slice payload,
	uint8_t qos); /* was it handed to it? */
void hf_answer_with(
	struct hf_hub *hub, const struct hf_incoming *incoming, struct hf_slice payload); /* if it wants one */
void hf_answers_forget(struct hf_device *device, bool all); /* or only those of QoS 0, which end with the connection */
void hf_answer_receipt(struct hf_hub *hub, const struct hf_incoming *incoming);
void hf_answer_refusal(struct hf_hub *hub, const struct hf_incoming *incoming);

#endif
