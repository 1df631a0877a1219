/* SPDX-License-Identifier: BSD-3-Clause */
/* Questions to people and what they answer, the payloads of S/ask and S/answer: CBOR by schemas/ask.cddl and
 * schemas/answer.cddl. */
#ifndef HF_CODEC_ASK_H
#define HF_CODEC_ASK_H

#include <stdint.h>

#include "codec/buffer.h"
#include "codec/reason.h"
#include "codec/slice.h"

#define HF_ASK_ID_MAX 64 /* bytes, as all sizes here */
#define HF_ASK_CHOICES_MAX 32
#define HF_ASK_CHOICE_MAX 256
#define HF_ASK_TO_MAX 32
#define HF_ASK_IDENTITY_MAX 1024
#define HF_ASK_ROLES_MAX 2
#define HF_ASK_EXPIRES_MAX_MS UINT64_C(31622400000) /* 366 days */

/* choices, to and roles are encoded CBOR arrays of text, to be asked by hf_ask_lists; empty when absent. */
struct hf_ask {
	struct hf_slice id;       /* 1 to HF_ASK_ID_MAX bytes of UTF-8 */
	struct hf_slice question; /* UTF-8, not empty */
	struct hf_slice choices;  /* 1 to HF_ASK_CHOICES_MAX, each of 1 to HF_ASK_CHOICE_MAX bytes */
	struct hf_slice to;       /* identities that may answer: 1 to HF_ASK_TO_MAX */
	struct hf_slice roles;    /* roles that may answer: "user", "operator" */
	uint64_t expires_in_ms;   /* from the time of its entry, 1 to HF_ASK_EXPIRES_MAX_MS; 0 when absent */
	struct hf_slice data;     /* one encoded CBOR item of the agent's own; empty when absent */
};

struct hf_answer {
	struct hf_slice id;     /* of the ask */
	struct hf_slice choice; /* 1 to HF_ASK_CHOICE_MAX bytes of UTF-8; empty when absent */
	struct hf_slice text;   /* UTF-8, not empty; empty when absent. An answer has choice, text or both */
	struct hf_slice data;   /* as above */
};

/*
 * Decode and check. Slices of `out` point into `payload`. Never allocates, never reads beyond `payload`; any order of
 * keys and any width of integers will do, indefinite-length maps and arrays too.
 * HF_OK, HF_PAYLOAD_MALFORMED, HF_PAYLOAD_INVALID (whatever the schema forbids, and indefinite-length or non-UTF-8
 * strings). The first fault from the left decides; `out` is of no use then.
 */
enum hf_reason hf_ask_decode(struct hf_slice payload, struct hf_ask *out);
enum hf_reason hf_answer_decode(struct hf_slice payload, struct hf_answer *out);

/* Append what the decoder would take, in the deterministic encoding of RFC 8949, section 4.2.1 (the arrays and `data`
 * as they are). False: no memory; the end of `out` is undefined then. */
bool hf_ask_encode(const struct hf_ask *ask, struct hf_buffer *out);
bool hf_answer_encode(const struct hf_answer *answer, struct hf_buffer *out);

/* Is the text in this list of an ask? False for a list that is absent. */
bool hf_ask_lists(struct hf_slice list, struct hf_slice text);

#endif
