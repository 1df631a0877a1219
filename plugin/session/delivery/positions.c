/* SPDX-License-Identifier: BSD-3-Clause */
/* Positions: where in the log a filter begins. */
#include "session/delivery/delivery.h"

/* The LSN behind which the first entry at or after a wall-clock time lies, for all sessions together. */
static uint64_t lsn_before_time(struct hf_hub *hub, int64_t time_ms)
{
	struct hf_records *records;
	uint64_t low = 0, high = hf_store_head(hub->store);

	if (hf_records_open(hub->store, &records) != HF_OK) {
		return 0;
	}
	while (low < high) {
		struct hf_entry entry;
		bool found = false;
		uint64_t middle = low + (high - low) / 2;
		enum hf_reason reason = hf_records_after(records, middle, &entry, &found);
		if (reason != HF_OK || !found || entry.lsn > high || entry.time_ms >= time_ms) {
			high = middle;
		} else {
			low = entry.lsn;
		}
	}
	hf_records_close(records);
	return low;
}

enum hf_reason hf_position_offset(struct hf_log *log, struct hf_position position, uint64_t *offset)
{
	uint64_t head = hf_log_head(log), tail = hf_log_tail(log);

	switch (position.kind) {
	case HF_POSITION_EARLIEST:
		*offset = tail;
		return HF_OK;
	case HF_POSITION_LATEST:
		*offset = head + 1;
		return HF_OK;
	case HF_POSITION_OFFSET:
		*offset = position.value;
		return HF_OK;
	case HF_POSITION_LAST:
		*offset = position.value > head ? 1 : head - position.value + 1;
		return HF_OK;
	case HF_POSITION_TIME:
		return hf_log_offset_at(log, position.value > INT64_MAX ? INT64_MAX : (int64_t)position.value, offset);
	}
	return HF_POSITION_INVALID;
}

/* Has something been removed that the position asked for? A time may mean entries of which nobody knows the offset. */
static bool asks_for_gone(const struct hf_log *log, struct hf_position position, uint64_t first)
{
	return first < hf_log_tail(log) || (position.kind == HF_POSITION_TIME && hf_log_tail(log) > 1 &&
										   (uint64_t)hf_log_gone(log)->time_ms >= position.value);
}

enum hf_reason hf_subscription_place_in_session(
	struct hf_hub *hub, struct hf_subscription *subscription, struct hf_position position)
{
	struct hf_session *session = hf_session_use(hub, subscription->parsed.session);
	uint64_t first;

	subscription->from = hf_store_head(hub->store);
	if (!session) {
		return HF_NO_MEMORY;
	}
	if (!session->log) {
		return HF_OK;
	}
	enum hf_reason reason = hf_position_offset(session->log, position, &first);
	if (reason != HF_OK) {
		return reason;
	}
	uint64_t tail = hf_log_tail(session->log), gone = hf_log_gone_lsn(session->log, subscription->parsed.kinds);
	subscription->floor = position.kind == HF_POSITION_TIME && first == tail ? 1 : first;
	if (gone > 0 && asks_for_gone(session->log, position, first)) {
		subscription->from = gone - 1; /* below what is left: it will be told */
		return HF_OK;
	}
	first = first < tail ? tail : first;
	if (first <= hf_log_head(session->log)) {
		reason = hf_log_lsn_of(session->log, first, &subscription->from);
		subscription->from--;
	}
	return reason;
}

void hf_subscription_place_anywhere(
	struct hf_hub *hub, struct hf_subscription *subscription, struct hf_position position)
{
	uint64_t head = hf_store_head(hub->store);

	subscription->from = subscription->floor = subscription->last_n = subscription->last_lsn = 0;
	switch (position.kind) {
	case HF_POSITION_EARLIEST: /* the earliest that is left */
		subscription->last_lsn = subscription->told = hf_store_stamp(hub->store);
		break;
	case HF_POSITION_LATEST:
		subscription->from = head;
		break;
	case HF_POSITION_OFFSET:
		subscription->floor = position.value;
		break;
	case HF_POSITION_LAST:
		subscription->last_n = position.value;
		subscription->last_lsn = head;
		break;
	case HF_POSITION_TIME:
		subscription->from = lsn_before_time(hub, position.value > INT64_MAX ? INT64_MAX : (int64_t)position.value);
		break;
	}
}
