/* SPDX-License-Identifier: BSD-3-Clause */
/* Who got each turn of a transcript. */
#include <stdlib.h>
#include <string.h>

#include "query/query_internal.h"
#include "query/transcript.h"

static struct hf_turn_device *device_of(struct hf_transcript *transcript, const struct hf_audit *record)
{
	struct hf_buffer *key = &transcript->key;
	struct hf_turn_device *device;

	hf_buffer_clear(key);
	if (!hf_put_pair(key, record->identity, record->device)) {
		return NULL;
	}
	HASH_FIND(hh, transcript->devices, key->data, key->len, device);
	if (!device) {
		device = calloc(1, sizeof(*device) + key->len);
		if (device) {
			memcpy(device->key, key->data, key->len);
			device->identity = hf_slice_from(device->key, record->identity.len);
			device->device = hf_slice_from(device->key + record->identity.len + 1, record->device.len);
			device->number = (uint32_t)HASH_COUNT(transcript->devices);
			HASH_ADD(hh, transcript->devices, key, key->len, device);
		}
	}
	return device;
}

static struct hf_turn_receipts *receipts_of(struct hf_transcript *transcript, uint32_t turn, uint32_t device)
{
	struct hf_turn_receipts *receipts, wanted;

	memset(&wanted.key, 0, sizeof(wanted.key));
	wanted.key.turn = turn;
	wanted.key.device = device;
	HASH_FIND(hh, transcript->receipts, &wanted.key, sizeof(wanted.key), receipts);
	if (!receipts) {
		receipts = calloc(1, sizeof(*receipts));
		if (receipts) {
			receipts->key = wanted.key;
			HASH_ADD(hh, transcript->receipts, key, sizeof(receipts->key), receipts);
			transcript->turns[turn].receipt_count++;
		}
	}
	return receipts;
}

/* What a receipt says of one turn. False: no memory. */
static bool take_one(struct hf_transcript *transcript, uint32_t turn, const struct hf_turn_device *device,
	const struct hf_device_receipt *receipt)
{
	struct hf_turn_receipts *receipts = receipts_of(transcript, turn, device->number);

	if (!receipts) {
		return false;
	}
	receipts->states[receipt->state & 7]++;
	receipts->again += receipt->again;
	if (receipts->first_ms == 0 || receipt->sent_ms < receipts->first_ms) {
		receipts->first_ms = receipt->sent_ms;
	}
	int64_t settled = receipt->sent_ms + receipt->took_ms;
	if ((hf_receipt_is_settled(receipt->state) || receipt->state == HF_RECEIPT_LATER) &&
		settled > receipts->settled_ms) {
		receipts->settled_ms = settled;
	}
	return true;
}

static bool take(
	struct hf_transcript *transcript, const struct hf_turn_device *device, const struct hf_device_receipt *receipt)
{
	uint64_t end = transcript->first + transcript->offsets;
	uint64_t first = receipt->first > transcript->first ? receipt->first : transcript->first;

	for (uint64_t offset = first; offset < end && offset - receipt->first < receipt->count; offset++) {
		uint32_t turn = transcript->turn_of[offset - transcript->first];
		if (turn > 0 && !take_one(transcript, turn - 1, device, receipt)) {
			return false;
		}
	}
	return true;
}

struct taking {
	struct hf_transcript *transcript;
	const atomic_bool *stop;
	enum hf_reason reason;
};

static bool take_page(void *context, const struct hf_audit *record)
{
	struct taking *taking = context;
	const struct hf_turn_device *device = device_of(taking->transcript, record);
	struct hf_page_reader reader;
	struct hf_device_receipt receipt;

	if (!device) {
		taking->reason = HF_NO_MEMORY;
	} else if (taking->stop && atomic_load_explicit(taking->stop, memory_order_relaxed)) {
		taking->reason = HF_STOPPED;
	}
	hf_page_begin(&reader, record->page);
	while (taking->reason == HF_OK && hf_page_next(&reader, &receipt)) {
		taking->reason = take(taking->transcript, device, &receipt) ? HF_OK : HF_NO_MEMORY;
	}
	if (taking->reason == HF_OK && reader.damaged) {
		taking->reason = HF_RECORD_CORRUPT;
	}
	return taking->reason == HF_OK;
}

/* By when the first of it was sent. */
static int compare(const void *one, const void *other)
{
	const struct hf_turn_receipts *a = *(struct hf_turn_receipts *const *)one;
	const struct hf_turn_receipts *b = *(struct hf_turn_receipts *const *)other;

	return a->first_ms != b->first_ms ? (a->first_ms > b->first_ms) - (a->first_ms < b->first_ms)
									  : (a->key.device > b->key.device) - (a->key.device < b->key.device);
}

/* To each turn its receipts. */
static bool distribute(struct hf_transcript *transcript)
{
	struct hf_turn_receipts *receipts;
	struct hf_turn_device *device;

	transcript->numbered = calloc(HASH_COUNT(transcript->devices) + 1, sizeof(struct hf_turn_device *));
	if (!transcript->numbered) {
		return false;
	}
	for (device = transcript->devices; device; device = device->hh.next) {
		transcript->numbered[device->number] = device;
	}
	for (size_t i = 0; i < transcript->count; i++) {
		struct hf_turn *turn = &transcript->turns[i];
		turn->receipts = calloc(turn->receipt_count + 1, sizeof(struct hf_turn_receipts *));
		if (!turn->receipts) {
			return false;
		}
		turn->receipt_count = 0;
	}
	for (receipts = transcript->receipts; receipts; receipts = receipts->hh.next) {
		struct hf_turn *turn = &transcript->turns[receipts->key.turn];
		turn->receipts[turn->receipt_count++] = receipts;
	}
	for (size_t i = 0; i < transcript->count; i++) {
		qsort(transcript->turns[i].receipts, transcript->turns[i].receipt_count, sizeof(struct hf_turn_receipts *),
			compare);
	}
	return true;
}

enum hf_reason hf_transcript_receipts(struct hf_transcript *transcript, const atomic_bool *stop)
{
	struct taking taking = {.transcript = transcript, .stop = stop, .reason = HF_OK};
	uint64_t last = transcript->first;

	for (size_t i = 0; i < transcript->count; i++) {
		last = transcript->turns[i].last > last ? transcript->turns[i].last : last;
	}
	enum hf_reason reason =
		hf_receipts_each(transcript->store, transcript->session, transcript->first, last, take_page, &taking);
	reason = reason == HF_OK ? taking.reason : reason;
	return reason == HF_OK && !distribute(transcript) ? HF_NO_MEMORY : reason;
}

struct hf_turn_fate hf_turn_fate(const struct hf_turn *turn, const struct hf_turn_receipts *receipts)
{
	/* The best of what it has counts. */
	static const enum hf_receipt_state order[] = {HF_RECEIPT_ACKNOWLEDGED, HF_RECEIPT_REJECTED,
		HF_RECEIPT_UNACKNOWLEDGED, HF_RECEIPT_SENT, HF_RECEIPT_ANSWERED, HF_RECEIPT_TOO_LARGE, HF_RECEIPT_GONE};
	struct hf_turn_fate fate = {.state = ""};

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]) && fate.count == 0; i++) {
		fate.state = hf_receipt_state_name(order[i]);
		fate.count = receipts->states[order[i]];
		fate.acknowledged = order[i] == HF_RECEIPT_ACKNOWLEDGED;
		if (fate.acknowledged) {
			fate.count += receipts->states[HF_RECEIPT_LATER];
		}
	}
	fate.count = fate.count < turn->count ? fate.count : turn->count;
	return fate;
}
