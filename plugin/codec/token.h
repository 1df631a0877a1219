/* SPDX-License-Identifier: BSD-3-Clause */
/* Token batches, the payload of S/tokens: CBOR (RFC 8949) by schemas/tokens.cddl. */
#ifndef HF_CODEC_TOKEN_H
#define HF_CODEC_TOKEN_H

#include <stdint.h>

#include "codec/buffer.h"
#include "codec/reason.h"
#include "codec/slice.h"

#define HF_RESPONSE_ID_MAX 64
#define HF_TOKEN_KIND_MAX 64
#define HF_TOKEN_SEQ_MAX ((UINT64_C(1) << 53) - 1) /* beyond, a JavaScript number is no longer exact */

enum hf_end {
	HF_END_NONE, /* the response goes on */
	HF_END_COMPLETE,
	HF_END_CANCELLED,
	HF_END_ERROR,
};

struct hf_token_batch {
	struct hf_slice id;   /* of the response: 1 to HF_RESPONSE_ID_MAX bytes of UTF-8 */
	uint64_t seq;         /* from 0, dense within the response, at most HF_TOKEN_SEQ_MAX */
	struct hf_slice text; /* UTF-8, may be empty */
	struct hf_slice
		kind; /* optional, empty when absent: what sort of text, such as "reasoning"; at most HF_TOKEN_KIND_MAX bytes */
	struct hf_slice data; /* optional: one encoded CBOR item of the publisher's own; empty when absent */
	enum hf_end end;
	uint64_t last; /* of several that Holdfast joined: the seq of the last one; else no greater than seq */
};

/*
 * Decode and check one batch. Slices of `out` point into `payload`. Never allocates, never reads beyond
 * `payload`; counts are bounded by the bytes that are left, nesting in `data` by 32 levels. Any order of keys
 * and any width of integers will do, indefinite-length maps and arrays too.
 * HF_OK, HF_PAYLOAD_MALFORMED, HF_PAYLOAD_INVALID (unknown key, key twice, wrong type, missing key,
 * indefinite-length or non-UTF-8 strings, a present but empty kind, an id, kind or seq out of range, `data`
 * nested too deeply, `last` not above `seq` or beside `data`). The first fault from the left decides; `out` is of no
 * use then. Takes what readers may get: a publisher may not send what is joined (hf_token_is_joined).
 */
enum hf_reason hf_token_decode(struct hf_slice payload, struct hf_token_batch *out);

/* Append the batch, which must be one that hf_token_decode would take, to `out` in the deterministic encoding of
 * RFC 8949, section 4.2.1 (`data` as it is). False: no memory; the end of `out` is undefined then. */
bool hf_token_encode(const struct hf_token_batch *batch, struct hf_buffer *out);

static inline bool hf_token_is_joined(const struct hf_token_batch *batch)
{
	return batch->last > batch->seq;
}

/* "complete", "cancelled", "error"; "" for HF_END_NONE. Static. */
const char *hf_end_name(enum hf_end end);

#endif
