/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Receipts: what a device was sent of a session, when, and what became of it. They are kept in pages, the `page` of a
 * record of the audit (codec/audit.h, DELIVERED); device, identity and session are in the record.
 *
 *     page     begin: i64 little-endian, Unix ms | run ...
 *     run      varint head | varint zigzag(first offset - the one behind the run before; before the first run: 0)
 *              | times: one for each offset, or, of a range, one for all
 *     head     (count of offsets - 1) << 5 | range << 4 | again << 3 | state
 *     time     varint ms since the time before (at first, since begin) | varint ms it took, only of ACKNOWLEDGED,
 * REJECTED
 *
 * Varints are those of codec/varint.h; zigzag: 0, -1, 1, -2 ... are 0, 1, 2, 3 ... A live stream that is acknowledged
 * within 127 ms costs 2 bytes an entry, and that is what it is made for.
 */
#ifndef HF_CODEC_RECEIPTS_H
#define HF_CODEC_RECEIPTS_H

#include <stdint.h>

#include "codec/buffer.h"
#include "codec/reason.h"

/* On disk: never renumber; there is no room for more than eight. */
enum hf_receipt_state {
	HF_RECEIPT_SENT = 0,           /* nothing more will be known: QoS 0, or a session that the broker does not keep */
	HF_RECEIPT_UNACKNOWLEDGED = 1, /* sent, and not acknowledged while the page was open */
	HF_RECEIPT_ACKNOWLEDGED = 2,   /* PUBACK or PUBCOMP */
	HF_RECEIPT_REJECTED = 3,       /* a failing PUBREC: the client will not have it */
	HF_RECEIPT_TOO_LARGE = 4,      /* not sent: larger than the client's Maximum Packet Size */
	HF_RECEIPT_GONE = 5,           /* not sent: retention had removed it */
	HF_RECEIPT_LATER = 6,          /* the acknowledgement of something sent in an earlier page; its time */
	HF_RECEIPT_ANSWERED = 7,       /* sent in answer to a request for history */
};

/* The name; "" for a number that none has. */
const char *hf_receipt_state_name(enum hf_receipt_state state);

/* Some offsets, one behind the other, that were sent together; mostly one. */
struct hf_device_receipt {
	uint64_t first;
	uint64_t count; /* 1 to 2^59 */
	enum hf_receipt_state state;
	bool again;      /* sent once more, after the connection had broken */
	int64_t sent_ms; /* Unix ms; of what was not sent, and of LATER, when that was known */
	int64_t took_ms; /* from then on, of ACKNOWLEDGED and REJECTED */
};

/* Does a state have the time it took? */
static inline bool hf_receipt_is_settled(enum hf_receipt_state state)
{
	return state == HF_RECEIPT_ACKNOWLEDGED || state == HF_RECEIPT_REJECTED;
}

/* Append a page of these receipts, at least one, with sent_ms rising from `begin_ms`. HF_OK, HF_NO_MEMORY. */
enum hf_reason hf_page_encode(
	int64_t begin_ms, const struct hf_device_receipt *receipts, size_t count, struct hf_buffer *out);

/* Read a page: begin, then next until it is false; damaged says whether it ended too early. */
struct hf_page_reader {
	const unsigned char *at, *end;
	uint64_t next; /* offset */
	int64_t time_ms;
	uint64_t left; /* offsets of the run that have a time of their own */
	struct hf_device_receipt run;
	bool damaged;
};
void hf_page_begin(struct hf_page_reader *reader, struct hf_slice page);
bool hf_page_next(struct hf_page_reader *reader, struct hf_device_receipt *out);

#endif
