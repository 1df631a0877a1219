/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Notices, the payload of S/notice: what Holdfast itself did, as CBOR by schemas/notice.cddl. They are entries of the
 * log, so whoever reads it knows; and what derives from them is derived from the log again after a kill.
 */
#ifndef HF_CODEC_NOTICE_H
#define HF_CODEC_NOTICE_H

#include <stdint.h>

#include "codec/buffer.h"
#include "codec/reason.h"
#include "codec/slice.h"

/* Number and name on the wire. Names are part of the interface: add, never rename. */
#define HF_NOTICE_TABLE(X)                                                                                             \
	X(TRUNCATED, "truncated")             /* retention removed the oldest entries: first, last */                      \
	X(CLOSED, "closed")                   /* the session has ended, this is its last entry: by */                      \
	X(ASK_EXPIRED, "ask-expired")         /* nobody answered in time: id of the question, from whom it was, reason */  \
	X(PRESENCE, "presence")               /* a participant turned: identity, role, state, reason (codec/presence.h) */ \
	X(RESPONSE_CLOSED, "response-closed") /* Holdfast ended a response: id, from, reason (enum hf_closed) */           \
	X(FLOOR, "floor")           /* the floor: change, by, epoch, holder, to, previous (session/people/floor.c) */      \
	X(UNATTENDED, "unattended") /* what becomes of batches that nobody is there to read: by, mode */                   \
	X(LIMITS, "limits")         /* what is kept from now on: by, age_ms, bytes, count; 0: without limit */

enum hf_notice_kind {
#define HF_NOTICE_NUMBER(number, name) HF_NOTICE_##number,
	HF_NOTICE_TABLE(HF_NOTICE_NUMBER)
#undef HF_NOTICE_NUMBER
		HF_NOTICE_COUNT
};

/* Which fields a kind has is in the table above and in the schema. A slice that is empty and a number that is 0 are
 * left out. */
struct hf_notice {
	enum hf_notice_kind kind;
	struct hf_slice by;   /* identity of who asked for it */
	struct hf_slice id;   /* of what the publishers number themselves: a question, a response */
	struct hf_slice from; /* identity of whose it is */
	struct hf_slice identity;
	struct hf_slice role;
	struct hf_slice state;
	struct hf_slice reason;
	uint64_t first; /* offsets */
	uint64_t last;
	struct hf_slice change;
	struct hf_slice holder; /* identities */
	struct hf_slice to;
	struct hf_slice previous;
	uint64_t epoch;
	struct hf_slice mode;
	uint64_t age_ms, bytes, count;
};

/* Why Holdfast ended a response. */
enum hf_closed {
	HF_CLOSED_AGENT_LOST,  /* "agent-lost": its connection broke, and it did not come back in time */
	HF_CLOSED_AGENT_LEFT,  /* "agent-left": it said goodbye, or its role lets it answer no more */
	HF_CLOSED_FLOOR_LOST,  /* "floor-lost": somebody else has the floor */
	HF_CLOSED_INTERRUPTED, /* "interrupted": it was to end it, and did not */
	HF_CLOSED_SESSION,     /* "session-closed": the session has ended */
};
const char *hf_closed_name(enum hf_closed closed); /* static */

/* Append in the deterministic encoding of RFC 8949, section 4.2.1. False: no memory; the end of `out` is undefined. */
bool hf_notice_encode(const struct hf_notice *notice, struct hf_buffer *out);

/* Decode what hf_notice_encode wrote, this version's or a later one's: keys that are not known are passed over. Slices
 * of `out` point into `payload`. HF_OK, HF_PAYLOAD_MALFORMED, HF_PAYLOAD_INVALID (also for an unknown kind). */
enum hf_reason hf_notice_decode(struct hf_slice payload, struct hf_notice *out);

#endif
