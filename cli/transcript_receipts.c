/* SPDX-License-Identifier: BSD-3-Clause */
/* Who got each turn of a transcript. */
#include <stdlib.h>
#include <string.h>

#include "transcript.h"

static struct hf_turn_device *device_of(struct hf_transcript *transcript, const struct hf_audit *record)
{
	struct hf_turn_device *device;
	size_t len = record->identity.len + 1 + record->device.len;
	char *key = malloc(len);

	if (!key) {
		return NULL;
	}
	memcpy(key, record->identity.data, record->identity.len);
	key[record->identity.len] = '\0';
	memcpy(key + record->identity.len + 1, record->device.data, record->device.len);
	HASH_FIND(hh, transcript->devices, key, len, device);
	if (!device) {
		device = calloc(1, sizeof(*device) + len);
		if (device) {
			memcpy(device->key, key, len);
			device->identity = hf_slice_from(device->key, record->identity.len);
			device->device = hf_slice_from(device->key + record->identity.len + 1, record->device.len);
			device->number = (uint32_t)HASH_COUNT(transcript->devices);
			HASH_ADD(hh, transcript->devices, key, len, device);
		}
	}
	free(key);
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

static bool take(struct hf_transcript *transcript, const struct hf_item *item)
{
	const struct hf_device_receipt *receipt = &item->receipt;
	struct hf_turn_device *device = device_of(transcript, &item->record);
	uint64_t end = transcript->first + transcript->offsets;

	if (!device) {
		return false;
	}
	uint64_t first = receipt->first > transcript->first ? receipt->first : transcript->first;
	for (uint64_t offset = first; offset < end && offset - receipt->first < receipt->count; offset++) {
		uint32_t turn = transcript->turn_of[offset - transcript->first];
		if (turn == 0) {
			continue;
		}
		struct hf_turn_receipts *receipts = receipts_of(transcript, turn - 1, device->number);
		if (!receipts) {
			return false;
		}
		receipts->states[receipt->state & 7]++;
		receipts->again += receipt->again;
		receipts->first_ms = receipts->first_ms ? receipts->first_ms : receipt->sent_ms;
		int64_t settled = receipt->sent_ms + receipt->took_ms;
		if ((hf_receipt_is_settled(receipt->state) || receipt->state == HF_RECEIPT_LATER) &&
			settled > receipts->settled_ms) {
			receipts->settled_ms = settled;
		}
	}
	return true;
}

/* To each turn its receipts; they were made in the order of time. */
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
	return true;
}

enum hf_reason hf_transcript_receipts(struct hf_transcript *transcript)
{
	struct hf_query query = hf_query_any();
	struct hf_cursor *cursor;
	struct hf_item item;
	bool found = true;

	query.session = transcript->session;
	(void)hf_query_add_kind(&query, hf_slice_of("delivered"));
	enum hf_reason reason = hf_query_open(transcript->store, &query, HF_SLICE_NONE, &cursor);
	while (reason == HF_OK && found) {
		reason = hf_query_next(cursor, &item, &found);
		if (reason == HF_OK && found && !take(transcript, &item)) {
			reason = HF_NO_MEMORY;
		}
	}
	hf_query_close(cursor);
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
