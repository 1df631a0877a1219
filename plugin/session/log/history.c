/* SPDX-License-Identifier: BSD-3-Clause */
/* Pages of a session's log, asked for and answered over MQTT's Request/Response (MQTT 5, section 4.10). */
#include "session/delivery/delivery.h"
#include "session/internal.h"
#include "session/log/log.h"
#include "session/publish/publish.h"

#define HF_PAGE_BYTES_MAX (1u << 20) /* besides one payload of the greatest size */

static enum hf_reason first_of_page(struct hf_log *log, struct hf_position position, uint64_t *first)
{
	enum hf_reason reason = hf_position_offset(log, position, first);

	if (reason == HF_OK && *first > hf_log_head(log) + 1) {
		return HF_POSITION_AHEAD;
	}
	if (reason == HF_OK && *first < hf_log_tail(log)) {
		*first = hf_log_tail(log);
	}
	return reason;
}

/* Entries from `first` on into hub->page, as many as the page takes. */
static enum hf_reason collect(struct hf_hub *hub, struct hf_log *log, uint64_t first, uint64_t limit, size_t bytes_max,
	size_t *count, uint64_t *next)
{
	struct hf_scan *scan = NULL;
	struct hf_records *records = NULL;
	struct hf_ref ref;
	enum hf_reason reason = hf_scan_open(log, first, &scan);

	if (reason == HF_OK) {
		reason = hf_records_open(hub->store, &records);
	}
	*count = 0;
	*next = 0;
	hf_buffer_clear(&hub->page);
	while (reason == HF_OK && hf_scan_next(scan, &ref)) {
		struct hf_entry entry;
		size_t before = hub->page.len;
		if (*count >= limit) {
			*next = ref.offset;
			break;
		}
		reason = hf_records_at(records, ref.lsn, &entry);
		if (reason == HF_OK && !hf_document_history_entry(&hub->page, &entry)) {
			reason = HF_NO_MEMORY;
		}
		if (reason == HF_OK && hub->page.len > bytes_max) {
			hub->page.len = before;
			*next = ref.offset;
			reason = *count == 0 ? HF_PAGE_TOO_LARGE : HF_OK;
			break;
		}
		++*count;
	}
	if (reason == HF_OK) {
		reason = hf_scan_reason(scan);
	}
	hf_records_close(records);
	hf_scan_close(scan);
	return reason;
}

/* What fits into a packet for this client, next to topic and properties. */
static size_t page_bytes(const struct hf_hub *hub, const struct hf_device *device, const struct hf_publish *publish)
{
	size_t around = strlen(publish->response_topic) + publish->correlation.len + 256;
	size_t max = hub->options.payload_max + HF_PAGE_BYTES_MAX;

	if (device->facts.max_packet_size > 0 && device->facts.max_packet_size < max) {
		max = device->facts.max_packet_size;
	}
	return max > around ? max - around : 0;
}

static enum hf_reason write_page(struct hf_hub *hub, struct hf_log *log, const struct hf_history_request *request,
	size_t bytes_max, uint64_t *first, size_t *count)
{
	uint64_t next, limit = request->limit ? request->limit : hub->options.history_page;

	if (limit > hub->options.history_page) {
		return HF_LIMIT_INVALID;
	}
	enum hf_reason reason = first_of_page(log, request->from, first);
	if (reason == HF_OK) {
		reason = collect(hub, log, *first, limit, bytes_max, count, &next);
	}
	if (reason != HF_OK) {
		return reason;
	}
	bool ok = hf_document_history_begin(&hub->scratch, hf_log_head(log), hf_log_tail(log), next, *count) &&
			  hf_buffer_append(&hub->scratch, hub->page.data ? hub->page.data : (unsigned char *)"", hub->page.len);
	return ok ? HF_OK : HF_NO_MEMORY;
}

enum hf_reason hf_history(
	struct hf_hub *hub, struct hf_device *device, const struct hf_publish *publish, const struct hf_topic *topic)
{
	struct hf_history_request request;
	uint64_t first = 0;
	size_t count = 0;

	if (!hf_response_topic_fits(hub, publish->response_topic)) {
		return HF_RESPONSE_TOPIC;
	}
	if (hf_answers_pile_up(hub, device)) {
		return HF_REQUESTS_TOO_MANY;
	}
	struct hf_session *session = hf_session_use(hub, topic->session);
	if (!session) {
		return HF_NO_MEMORY;
	}
	hf_buffer_clear(&hub->scratch);
	enum hf_reason reason = hf_history_request_decode(publish->payload, &request);
	if (reason == HF_OK) {
		reason = session->log
					 ? write_page(hub, session->log, &request, page_bytes(hub, device, publish), &first, &count)
					 : HF_SESSION_UNKNOWN;
	}
	if (reason != HF_OK) {
		count = 0;
		hf_buffer_clear(&hub->scratch);
		if (!hf_document_refused(&hub->scratch, &(struct hf_refusal){.reason = reason})) {
			return HF_NO_MEMORY;
		}
	}
	/* Acknowledged, so that it is known when it was read. */
	if (hf_answer(hub, device, publish, hf_buffer_slice(&hub->scratch), publish->qos > 0 ? publish->qos : 1) &&
		count > 0) {
		hf_receipt_range(hub, device, topic->session, first, first + count - 1, HF_RECEIPT_ANSWERED);
	}
	return HF_OK; /* refused or not, it was answered */
}
