/* SPDX-License-Identifier: BSD-3-Clause */
/* Pages of a session's log, asked for and answered over MQTT's Request/Response (MQTT 5, section 4.10). */
#include "session/delivery/delivery.h"
#include "session/internal.h"
#include "session/log/ending.h"
#include "session/log/log.h"
#include "session/publish/publish.h"

#define HF_PAGE_BYTES_MAX (1u << 20) /* besides one payload of the greatest size */

/* What one page may cost, whatever it finds: entries passed over by the index (2 to 3 ms), and records read only to
 * look at. A page that ends by these may have few entries or none, and says where to go on. */
#define HF_PAGE_REFS_MAX 25000
#define HF_PAGE_READS_MAX 2000

struct page {
	struct hf_hub *hub;
	struct hf_log *log;
	const struct hf_history_request *request;
	uint64_t limit;
	size_t bytes_max;
	unsigned int refs, reads; /* that it may still cost */
	struct hf_records *records;
	size_t count;
	uint64_t next;           /* where the one after it begins; 0: this is the last */
	struct hf_buffer ranges; /* of the offsets in it: struct hf_offsets */
};

/* ---- where it begins */

/* The newest entry that a page may have which goes back from a position; 0: there is none. */
static enum hf_reason begin_backwards(struct hf_log *log, struct hf_position position, uint64_t *first)
{
	enum hf_reason reason;

	switch (position.kind) {
	case HF_POSITION_LATEST:
		*first = hf_log_head(log);
		return HF_OK;
	case HF_POSITION_TIME: /* the last one of that millisecond, or before it */
		reason =
			hf_position_offset(log, (struct hf_position){.kind = HF_POSITION_TIME, .value = position.value + 1}, first);
		*first -= reason == HF_OK;
		return reason;
	default:
		reason = hf_position_offset(log, position, first);
		return reason == HF_OK && *first > hf_log_head(log) ? HF_POSITION_AHEAD : reason;
	}
}

/* One behind the head is where the next entry will be: who has read all asks for that. */
static enum hf_reason begin_forwards(struct hf_log *log, struct hf_position position, uint64_t *first)
{
	enum hf_reason reason = hf_position_offset(log, position, first);

	return reason == HF_OK && *first > hf_log_head(log) + 1 ? HF_POSITION_AHEAD : reason;
}

static enum hf_reason open_scan(const struct page *page, struct hf_scan **scan)
{
	const struct hf_position from = page->request->from;
	uint64_t first = 0;
	enum hf_reason reason =
		page->request->backwards ? begin_backwards(page->log, from, &first) : begin_forwards(page->log, from, &first);

	if (reason != HF_OK) {
		return reason;
	}
	return page->request->backwards ? hf_scan_open_down(page->log, first + 1, scan)
									: hf_scan_open(page->log, first, scan);
}

/* ---- what is in it */

static bool has_key(struct page *page, const struct hf_entry *entry)
{
	if (page->request->key.len == 0) {
		return true;
	}
	page->reads--;
	return hf_slice_equal(entry->topic, page->request->topic);
}

/* False: no memory. */
static bool note_offset(struct page *page, uint64_t offset)
{
	struct hf_offsets *last =
		page->ranges.len > 0 ? (void *)(page->ranges.data + page->ranges.len - sizeof(*last)) : NULL;

	if (last && offset == last->last + 1) {
		last->last = offset;
	} else if (last && offset + 1 == last->first) {
		last->first = offset;
	} else {
		const struct hf_offsets range = {.first = offset, .last = offset};
		return hf_buffer_append(&page->ranges, &range, sizeof(range));
	}
	return true;
}

/* *full: it does not fit any more. */
static enum hf_reason add(struct page *page, const struct hf_entry *entry, bool *full)
{
	struct hf_buffer *out = &page->hub->page;
	size_t before = out->len;

	if (!hf_document_history_entry(out, entry)) {
		return HF_NO_MEMORY;
	}
	if (out->len > page->bytes_max) {
		out->len = before;
		*full = true;
		return page->count == 0 ? HF_PAGE_TOO_LARGE : HF_OK;
	}
	page->count++;
	return note_offset(page, entry->offset) ? HF_OK : HF_NO_MEMORY;
}

/* Entries into hub->page, as many as it takes. */
static enum hf_reason collect(struct page *page, struct hf_scan *scan)
{
	enum hf_reason reason = HF_OK;
	bool full = false;
	struct hf_ref ref;

	while (reason == HF_OK && hf_scan_next(scan, &ref)) {
		struct hf_entry entry;
		if (page->count < page->limit && page->refs > 0 && page->reads > 0) {
			page->refs--;
			if (!(page->request->kinds & HF_KIND_BIT(ref.kind))) {
				continue;
			}
			reason = hf_records_at(page->records, ref.lsn, &entry);
			if (reason == HF_OK && has_key(page, &entry)) {
				reason = add(page, &entry, &full);
			}
		} else {
			full = true;
		}
		if (full) {
			page->next = ref.offset;
			break;
		}
	}
	return reason == HF_OK ? hf_scan_reason(scan) : reason;
}

static enum hf_reason fill(struct page *page)
{
	struct hf_scan *scan = NULL;
	enum hf_reason reason = open_scan(page, &scan);

	if (reason == HF_OK) {
		reason = hf_records_open(page->hub->store, &page->records);
	}
	if (reason == HF_OK) {
		reason = collect(page, scan);
	}
	hf_records_close(page->records);
	hf_scan_close(scan);
	return reason;
}

/* ---- the answer */

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

static enum hf_reason write_page(struct page *page)
{
	struct hf_hub *hub = page->hub;

	page->limit = page->request->limit ? page->request->limit : hub->options.history_page;
	if (page->limit > hub->options.history_page) {
		return HF_LIMIT_INVALID;
	}
	hf_buffer_clear(&hub->page);
	enum hf_reason reason = fill(page);
	if (reason != HF_OK) {
		return reason;
	}
	bool ok = hf_document_history_begin(
				  &hub->scratch, hf_log_head(page->log), hf_log_tail(page->log), page->next, page->count) &&
			  hf_buffer_append(&hub->scratch, hub->page.data ? hub->page.data : (unsigned char *)"", hub->page.len);
	return ok ? HF_OK : HF_NO_MEMORY;
}

/* A page, or why there is none, into hub->scratch. */
static enum hf_reason write_answer(struct hf_hub *hub, const struct hf_session *session, struct hf_slice payload,
	struct hf_history_request *request, struct page *page)
{
	hf_buffer_clear(&hub->scratch);
	enum hf_reason reason = hf_history_request_decode(payload, request);
	page->log = session->log;
	if (reason == HF_OK && !session->log) {
		reason = HF_SESSION_UNKNOWN;
	} else if (reason == HF_OK) {
		reason = hf_session_erased(session) ? HF_SESSION_ERASED : write_page(page);
	}
	if (reason == HF_OK) {
		return HF_OK;
	}
	page->count = 0;
	hf_buffer_clear(&hub->scratch);
	return hf_document_refused(&hub->scratch, &(struct hf_refusal){.reason = reason}) ? HF_OK : HF_NO_MEMORY;
}

enum hf_reason hf_history(
	struct hf_hub *hub, struct hf_device *device, const struct hf_publish *publish, const struct hf_topic *topic)
{
	struct hf_history_request request;
	struct page page = {
		.hub = hub,
		.request = &request,
		.refs = HF_PAGE_REFS_MAX,
		.reads = HF_PAGE_READS_MAX,
	};

	if (!hf_response_topic_fits(hub, publish->response_topic)) {
		return HF_RESPONSE_TOPIC;
	}
	if (hf_answers_pile_up(hub, device)) {
		return HF_REQUESTS_TOO_MANY;
	}
	const struct hf_session *session = hf_session_use(hub, topic->session);
	if (!session) {
		return HF_NO_MEMORY;
	}
	page.bytes_max = page_bytes(hub, device, publish);
	enum hf_reason reason = write_answer(hub, session, publish->payload, &request, &page);
	/* Acknowledged, so that it is known when it was read. */
	if (reason == HF_OK &&
		hf_answer(hub, device, publish, hf_buffer_slice(&hub->scratch), publish->qos > 0 ? publish->qos : 1) &&
		page.count > 0) {
		hf_receipt_ranges(hub, device, topic->session, (const struct hf_offsets *)(const void *)page.ranges.data,
			page.ranges.len / sizeof(struct hf_offsets), HF_RECEIPT_ANSWERED);
	}
	hf_buffer_free(&page.ranges);
	return reason; /* refused or not, it was answered */
}
