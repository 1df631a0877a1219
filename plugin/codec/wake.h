/* SPDX-License-Identifier: BSD-3-Clause */
/* Wake-ups, the payload of root/$wake/{session}/{identity}: CBOR by schemas/wake.cddl. */
#ifndef HF_CODEC_WAKE_H
#define HF_CODEC_WAKE_H

#include <stdint.h>

#include "codec/buffer.h"
#include "codec/slice.h"
#include "codec/topic.h"

struct hf_wake_document {
	struct hf_slice session;
	struct hf_slice identity; /* who is to be woken */
	uint64_t offset;          /* of the entry that came ... */
	int64_t time_ms;          /* ... when, Unix ms ... */
	enum hf_kind kind;        /* ... of what kind ... */
	struct hf_slice from;     /* ... and from whom; empty: anonymous */
};

/* Append in the deterministic encoding of RFC 8949, section 4.2.1. False: no memory; the end of `out` is undefined. */
bool hf_wake_encode(const struct hf_wake_document *document, struct hf_buffer *out);

#endif
