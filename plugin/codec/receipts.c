/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec/receipts.h"

#include <assert.h>
#include <endian.h>

#include "codec/varint.h"

#define STATE_BITS 7u
#define AGAIN 8u
#define RANGE 16u
#define COUNT_SHIFT 5
#define HEAD_MAX_SIZE (2 * HF_VARINT_MAX)
#define TIME_MAX_SIZE (2 * HF_VARINT_MAX)

static const char *const names[] = {
	[HF_RECEIPT_SENT] = "sent",
	[HF_RECEIPT_UNACKNOWLEDGED] = "unacknowledged",
	[HF_RECEIPT_ACKNOWLEDGED] = "acknowledged",
	[HF_RECEIPT_REJECTED] = "rejected",
	[HF_RECEIPT_TOO_LARGE] = "too-large",
	[HF_RECEIPT_GONE] = "gone",
	[HF_RECEIPT_LATER] = "acknowledged-later",
	[HF_RECEIPT_ANSWERED] = "answered",
};

const char *hf_receipt_state_name(enum hf_receipt_state state)
{
	return (unsigned int)state < sizeof(names) / sizeof(names[0]) ? names[state] : "";
}

/* ---- writing --------------------------------------------------------------------------------------------- */

/* May b stand behind a in one run, each with a time of its own? */
static bool follows(const struct hf_device_receipt *a, const struct hf_device_receipt *b)
{
	return a->count == 1 && b->count == 1 && b->first == a->first + 1 && a->state == b->state && a->again == b->again;
}

static unsigned char *put_time(unsigned char *at, const struct hf_device_receipt *receipt, int64_t *before_ms)
{
	assert(receipt->sent_ms >= *before_ms && receipt->took_ms >= 0);
	at = hf_varint_put(at, (uint64_t)(receipt->sent_ms - *before_ms));
	*before_ms = receipt->sent_ms;
	return hf_receipt_is_settled(receipt->state) ? hf_varint_put(at, (uint64_t)receipt->took_ms) : at;
}

static unsigned char *put_head(unsigned char *at, const struct hf_device_receipt *first, uint64_t count, uint64_t next)
{
	uint64_t head = (count - 1) << COUNT_SHIFT | (first->count > 1 ? RANGE : 0) | (first->again ? AGAIN : 0) |
					(unsigned int)first->state;
	int64_t step = (int64_t)(first->first - next);

	at = hf_varint_put(at, head);
	return hf_varint_put(at, (uint64_t)step << 1 ^ (uint64_t)(step >> 63));
}

static bool put_run(struct hf_buffer *out, const struct hf_device_receipt *receipts, size_t times, uint64_t offsets,
	uint64_t next, int64_t *before_ms)
{
	unsigned char *begin = hf_buffer_reserve(out, HEAD_MAX_SIZE + times * TIME_MAX_SIZE), *at = begin;

	if (begin == NULL)
		return false;
	at = put_head(at, receipts, offsets, next);
	for (size_t i = 0; i < times; i++)
		at = put_time(at, &receipts[i], before_ms);
	out->len += (size_t)(at - begin);
	return true;
}

enum hf_reason hf_page_encode(
	int64_t begin_ms, const struct hf_device_receipt *receipts, size_t count, struct hf_buffer *out)
{
	uint64_t little = htole64((uint64_t)begin_ms), next = 0;
	size_t before = out->len;
	bool ok = hf_buffer_append(out, &little, sizeof little);

	for (size_t i = 0, end; ok && i < count; i = end) {
		for (end = i + 1; end < count && follows(&receipts[end - 1], &receipts[end]);)
			end++;
		uint64_t offsets = end - i > 1 ? end - i : receipts[i].count;
		ok = put_run(out, &receipts[i], end - i, offsets, next, &begin_ms);
		next = receipts[i].first + offsets;
	}
	if (ok)
		return HF_OK;
	out->len = before;
	return HF_NO_MEMORY;
}

/* ---- reading --------------------------------------------------------------------------------------------- */

void hf_page_begin(struct hf_page_reader *reader, struct hf_slice page)
{
	uint64_t little;

	*reader = (struct hf_page_reader){.at = (const unsigned char *)page.data, .damaged = page.len <= sizeof little};
	reader->end = reader->at + page.len;
	if (reader->damaged)
		return;
	memcpy(&little, reader->at, sizeof little);
	reader->at += sizeof little;
	reader->time_ms = (int64_t)le64toh(little);
}

static bool take(struct hf_page_reader *reader, uint64_t *value)
{
	const unsigned char *at = hf_varint_get(reader->at, reader->end, value);

	if (at == NULL) {
		reader->damaged = true;
		return false;
	}
	reader->at = at;
	return true;
}

/* The head of a run. Offsets stay between 1 and 2^63. */
static bool take_run(struct hf_page_reader *reader)
{
	uint64_t head, zigzag;

	if (!take(reader, &head) || !take(reader, &zigzag))
		return false;
	struct hf_device_receipt run = {
		.first = reader->next + (zigzag >> 1 ^ (0 - (zigzag & 1))),
		.count = (head >> COUNT_SHIFT) + 1,
		.state = (enum hf_receipt_state)(head & STATE_BITS),
		.again = head & AGAIN,
	};
	if (run.first == 0 || run.first > INT64_MAX || run.count > INT64_MAX - run.first) {
		reader->damaged = true;
		return false;
	}
	reader->next = run.first + run.count;
	reader->left = head & RANGE ? 0 : run.count;
	reader->run = run;
	if (reader->left > 0)
		reader->run.count = 1;
	return true;
}

static bool take_time(struct hf_page_reader *reader, struct hf_device_receipt *out)
{
	uint64_t since, took = 0;

	if (!take(reader, &since) || (hf_receipt_is_settled(out->state) && !take(reader, &took)))
		return false;
	if (since > INT64_MAX || took > INT64_MAX ||
		__builtin_add_overflow(reader->time_ms, (int64_t)since, &out->sent_ms)) {
		reader->damaged = true;
		return false;
	}
	reader->time_ms = out->sent_ms;
	out->took_ms = (int64_t)took;
	return true;
}

bool hf_page_next(struct hf_page_reader *reader, struct hf_device_receipt *out)
{
	if (reader->damaged)
		return false;
	if (reader->left > 0) {
		reader->run.first++;
	} else if (reader->at == reader->end || !take_run(reader)) {
		return false;
	}
	*out = reader->run;
	if (!take_time(reader, out))
		return false;
	/* The first of a run was taken with its head. */
	if (reader->left > 0)
		reader->left--;
	return true;
}
