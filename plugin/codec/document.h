/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The CBOR documents that Holdfast itself writes and reads: state, mark, error, receipt, history. Their schemas are
 * schemas/{state,mark,error,receipt,history}.cddl. Writers append to a buffer in the deterministic encoding of
 * RFC 8949, section 4.2.1, and return false when there is no memory (then the buffer's content is undefined).
 */
#ifndef HF_CODEC_DOCUMENT_H
#define HF_CODEC_DOCUMENT_H

#include "codec/buffer.h"
#include "codec/entry.h"
#include "codec/filter.h"
#include "codec/reason.h"

/* { state: "open" or "held", epoch, ? holder, ? to }: identities, empty: nobody. */
struct hf_document_floor {
	uint64_t epoch;
	struct hf_slice holder;
	struct hf_slice to; /* whom it is offered to */
};

/* S/state: { head, tail, open: [ * {id, from} ], asks: [ * {id, from, offset, expires} ], floor, ? closed: true,
 * audience: {people, devices, caught-up}, ? unattended: "reject" }. */
struct hf_document_response {
	struct hf_slice id;
	struct hf_slice identity;
};
struct hf_document_ask {
	struct hf_slice id;
	struct hf_slice identity;
	uint64_t offset;
	uint64_t expires_ms; /* Unix ms */
};
struct hf_document_state {
	uint64_t head;
	uint64_t tail; /* the first offset left; head + 1 when none is */
	const struct hf_document_response *open;
	size_t open_count;
	const struct hf_document_ask *asks;
	size_t ask_count;
	uint32_t people, devices, caught_up;
	struct hf_document_floor floor;
	bool rejects_unattended; /* token batches that nobody is there to read */
	bool closed;             /* the session has ended */
};
bool hf_document_state(struct hf_buffer *out, const struct hf_document_state *state);

/* On a Response Topic, after a request on S/control that changed the floor: { command, offset: of the notice, floor }.
 */
bool hf_document_floor_changed(
	struct hf_buffer *out, const char *command, uint64_t offset, const struct hf_document_floor *floor);

/* Likewise after one that said what becomes of batches that nobody is there to read: { command, offset, unattended }.
 */
bool hf_document_unattended_changed(struct hf_buffer *out, const char *command, uint64_t offset, const char *mode);

/* After a request that ended a session: { command, offset: of its last entry }. */
bool hf_document_ended(struct hf_buffer *out, const char *command, uint64_t offset);

/* Likewise after one that changed what is kept: { command, offset: of the newest entry, ? max-age, ? max-bytes,
 * ? max-count }: what holds now. 0: without limit. */
bool hf_document_limits(
	struct hf_buffer *out, const char *command, uint64_t offset, uint64_t age_ms, uint64_t bytes, uint64_t count);

/* S/mark { mark: "caught-up", head, ? ended } : after the last stored entry; from here on entries are live. `ended` is
 * NULL, or why there will be none: "closed" or "erased". */
bool hf_document_caught_up(struct hf_buffer *out, uint64_t head, const char *ended);

/* S/mark { mark: "gap", first, last, reason } : these offsets will not come; why ("truncated", "erased",
 * "too-large" or "unconfirmed").
 */
bool hf_document_gap(struct hf_buffer *out, uint64_t first, uint64_t last, const char *why);

/* Why a publish, request or subscription was refused. What is NULL, empty or 0 is not said. */
struct hf_refusal {
	enum hf_reason reason;
	const uint64_t *expected; /* what would have been right: with seq-gap the next seq, with expect-failed the newest
								 offset, with epoch-stale the epoch */
	struct hf_slice by; /* identity of who was first: with ask-answered; or of who has the floor: with floor-held */
	uint64_t offset;    /* of the entry that is the reason: for asks and answers */
};

/* S/error { reason, message, topic, ? expected, ? by, ? offset }, to the client that is refused. `topic` is the topic
 * or filter it used. */
bool hf_document_error(struct hf_buffer *out, struct hf_slice topic, const struct hf_refusal *refusal);

/* On a Response Topic: the same without the topic. */
bool hf_document_refused(struct hf_buffer *out, const struct hf_refusal *refusal);

/* On the Response Topic of a publish: { ? offset, ? time, audience: as in the state, duplicate }. */
struct hf_receipt {
	uint64_t offset; /* where it stands in the log; 0: in its first place, which cannot be told any more */
	int64_t time_ms;
	bool duplicate;                      /* it was stored before */
	uint32_t people, devices, caught_up; /* of the session as it is now */
};
bool hf_document_receipt(struct hf_buffer *out, const struct hf_receipt *receipt);

/* A request on S/history: { ? from: position as text, or an offset as a number; ? limit: uint; ? order: "forwards" or
 * "backwards"; ? topic: text }. An empty payload asks for the first page. Slices of `out` point into `payload`.
 * HF_OK, HF_PAYLOAD_MALFORMED, HF_PAYLOAD_INVALID, HF_POSITION_INVALID, HF_LIMIT_INVALID (limit 0 was asked),
 * HF_TOPIC_NOT_LOGGED. */
struct hf_history_request {
	struct hf_position from; /* where reading begins; not given: at the end that `backwards` says */
	bool has_from;
	bool backwards;        /* from the newest to the oldest */
	uint64_t limit;        /* 0: not given */
	struct hf_slice topic; /* empty: all */
	uint32_t kinds;        /* HF_KIND_BIT of the logged kinds that it asks for */
	struct hf_slice key;   /* the one shared key it names; empty: any */
};
enum hf_reason hf_history_request_decode(struct hf_slice payload, struct hf_history_request *out);

/* The answer: { head, tail, entries: [ * { offset, time, from, role, topic, qos, payload, ? id, ? type,
 * ? properties: [ * [name, value] ] } ], ? next }. Begin, then as many entries as begin said, in the order that was
 * asked for. `next` is the offset to ask for next; 0 when this is the last page. */
bool hf_document_history_begin(struct hf_buffer *out, uint64_t head, uint64_t tail, uint64_t next, size_t entry_count);
bool hf_document_history_entry(struct hf_buffer *out, const struct hf_entry *entry);
/* Or, when refused, hf_document_refused. */

#endif
