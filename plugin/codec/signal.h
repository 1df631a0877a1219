/* SPDX-License-Identifier: BSD-3-Clause */
/* What people tell agents while they stream, the payload of S/signal: CBOR by schemas/signal.cddl. */
#ifndef HF_CODEC_SIGNAL_H
#define HF_CODEC_SIGNAL_H

#include "codec/buffer.h"
#include "codec/reason.h"
#include "codec/slice.h"

#define HF_SIGNAL_FROM_MAX 1024 /* bytes */

/* Number and name on the wire. Names are part of the interface: add, never rename. */
#define HF_SIGNAL_TABLE(X)                                                                                             \
	X(INTERRUPT, "interrupt") /* end it */                                                                             \
	X(STEER, "steer")         /* go on, but otherwise: text or data say how */                                         \
	X(RESUME, "resume")       /* an interrupt that has not been carried out is taken back */

enum hf_signal_kind {
#define HF_SIGNAL_NUMBER(number, name) HF_SIGNAL_##number,
	HF_SIGNAL_TABLE(HF_SIGNAL_NUMBER)
#undef HF_SIGNAL_NUMBER
		HF_SIGNAL_COUNT
};

/* What is empty is absent. */
struct hf_signal {
	enum hf_signal_kind kind;
	struct hf_slice response; /* its id, 1 to HF_RESPONSE_ID_MAX bytes of UTF-8; absent: all */
	struct hf_slice from;     /* identity of the agent, 1 to HF_SIGNAL_FROM_MAX bytes; absent: whoever's */
	struct hf_slice text;     /* for agent and people, UTF-8 */
	struct hf_slice data;     /* one encoded CBOR item of the publisher's own */
};

/*
 * Decode and check. Slices of `out` point into `payload`. Never allocates, never reads beyond `payload`; any order of
 * keys and any width of integers will do, indefinite-length maps too.
 * HF_OK, HF_PAYLOAD_MALFORMED, HF_PAYLOAD_INVALID (whatever the schema forbids, an identity with a zero in it, and
 * indefinite-length or non-UTF-8 strings). The first fault from the left decides; `out` is of no use then.
 */
enum hf_reason hf_signal_decode(struct hf_slice payload, struct hf_signal *out);

/* Append what the decoder would take, in the deterministic encoding of RFC 8949, section 4.2.1 (`data` as it is).
 * False: no memory; the end of `out` is undefined then. */
bool hf_signal_encode(const struct hf_signal *signal, struct hf_buffer *out);

const char *hf_signal_name(enum hf_signal_kind kind); /* static */

#endif
