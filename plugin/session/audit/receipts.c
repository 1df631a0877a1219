/* SPDX-License-Identifier: BSD-3-Clause */
#include "session/audit/notes.h"
#include "session/delivery/delivery.h"
#include "session/internal.h"

#include <utlist.h>

#define BUCKETS_MAX 16 /* of HF_RECEIPTS_EACH offsets, of one page: each costs a key in the index */

static int64_t since(const struct hf_hub *hub, const struct hf_page *page)
{
	int64_t ms = hub->broker.monotonic_ms(hub->broker.context) - page->begin_monotonic_ms;

	return ms < 0 ? 0 : ms > UINT32_MAX ? UINT32_MAX : ms;
}

static void touch(struct hf_hub *hub, struct hf_page *page)
{
	if (!page->dirty) {
		page->dirty = true;
		LL_PREPEND2(hub->dirty_pages, page, dirty_next);
		hf_hub_due(hub, HF_TIMER_CURSORS, hub->options.ack_flush_ms);
	}
}

/* ---- pages */

static char *put_text(char **at, const char *text)
{
	size_t size = text ? strlen(text) + 1 : 0;
	char *begin = *at;

	if (!text) {
		return NULL;
	}
	memcpy(begin, text, size);
	*at += size;
	return begin;
}

static size_t size_of(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

static struct hf_page *page_make(struct hf_hub *hub, struct hf_device *device, struct hf_slice session)
{
	size_t texts = session.len + size_of(device->identity) + size_of(device->id) + size_of(device->address);
	struct hf_page *page = calloc(1, sizeof(*page) + texts);

	if (!page) {
		return NULL;
	}
	char *at = page->text + session.len;
	memcpy(page->text, session.data, session.len);
	page->session_len = session.len;
	page->identity = put_text(&at, device->identity);
	page->device_id = put_text(&at, device->id);
	page->address = put_text(&at, device->address);
	page->device = device;
	page->number = ++hub->page_number;
	page->begin_ms = hub->broker.now_ms(hub->broker.context);
	page->begin_monotonic_ms = hub->broker.monotonic_ms(hub->broker.context);
	HASH_ADD_KEYPTR(hh, device->pages, page->text, page->session_len, page);
	device->page_count++;
	DL_APPEND(hub->pages, page);
	hf_hub_due(hub, HF_TIMER_RECEIPTS, HF_PAGE_MS);
	return page;
}

/* It takes no more. What is in it may still be acknowledged. */
static void fill(struct hf_hub *hub, struct hf_page *page)
{
	if (!page->full) {
		page->full = true;
		HASH_DEL(page->device->pages, page);
		page->device->recent_page = NULL;
	}
	touch(hub, page);
}

static void let_go_of_ring(struct hf_page *page)
{
	struct hf_device *device = page->device;

	for (size_t i = 0; page->unsettled > 0 && device && i < device->ring_count; i++) {
		struct hf_handed *handed = hf_ring_at(device, i);
		if (handed->page == page) {
			hf_receipt_forget(handed);
		}
	}
}

static void page_free(struct hf_hub *hub, struct hf_page *page)
{
	let_go_of_ring(page);
	if (!page->full && page->device) {
		HASH_DEL(page->device->pages, page);
		page->device->recent_page = NULL;
	}
	if (page->device) {
		page->device->page_count--;
	}
	DL_DELETE(hub->pages, page);
	free(page->rows);
	free(page);
}

static bool spans_too_far(const struct hf_page *page, uint64_t offset)
{
	uint64_t first = offset < page->first ? offset : page->first, last = offset > page->last ? offset : page->last;

	return page->row_count > 0 && last / HF_RECEIPTS_EACH - first / HF_RECEIPTS_EACH >= BUCKETS_MAX;
}

/* The page for one more receipt; NULL: no memory. */
static struct hf_page *page_for(
	struct hf_hub *hub, struct hf_device *device, struct hf_slice session, uint64_t first, uint64_t last)
{
	struct hf_page *page = device->recent_page;

	if (!page || !hf_slice_equal(session, hf_slice_from(page->text, page->session_len))) {
		HASH_FIND(hh, device->pages, session.data, session.len, page);
	}
	if (page && (page->row_count >= HF_PAGE_ROWS || spans_too_far(page, first) || spans_too_far(page, last))) {
		fill(hub, page);
		page = NULL;
	}
	if (!page) {
		page = page_make(hub, device, session);
	}
	device->recent_page = page;
	return page;
}

/* When it is sent, in the page. Two clocks are behind what is compared here, and both may be set or rounded: but
 * nothing was sent before it was published, and a page rises. */
static uint32_t sent_at(const struct hf_hub *hub, const struct hf_page *page, int64_t published_ms)
{
	int64_t ms = since(hub, page), least = published_ms - page->begin_ms;
	uint32_t before = page->row_count > 0 ? page->rows[page->row_count - 1].sent_ms : 0;

	ms = ms < least ? least : ms;
	ms = ms > UINT32_MAX ? UINT32_MAX : ms;
	return ms < before ? before : (uint32_t)ms;
}

/* False: no memory. */
static bool add_row(struct hf_hub *hub, struct hf_page *page, struct hf_row row, int64_t published_ms)
{
	if (page->row_count == page->row_size) {
		size_t size = page->row_size ? page->row_size * 2 : 8;
		struct hf_row *rows = realloc(page->rows, size * sizeof(*rows));
		if (!rows) {
			return false;
		}
		page->rows = rows;
		page->row_size = size;
	}
	row.sent_ms = sent_at(hub, page, published_ms);
	uint64_t last = row.first + row.count - 1;
	page->first = page->row_count == 0 || row.first < page->first ? row.first : page->first;
	page->last = last > page->last ? last : page->last;
	page->receipts += row.count;
	page->rows[page->row_count++] = row;
	touch(hub, page);
	return true;
}

/* ---- what is taken down */

/* Of the offsets from row.first (0: the entry's) to that of the entry. */
static void add(struct hf_hub *hub, struct hf_device *device, const struct hf_entry *entry, struct hf_row row,
	struct hf_handed *handed)
{
	if (!hf_store_audits(hub->store)) {
		return;
	}
	row.first = row.first ? row.first : entry->offset;
	row.count = entry->offset - row.first + 1;
	struct hf_page *page = page_for(hub, device, entry->session, row.first, entry->offset);
	if (!page || !add_row(hub, page, row, entry->time_ms)) {
		hf_say(
			hub, HF_LOG_ERROR, "no memory for a receipt of session %.*s", (int)entry->session.len, entry->session.data);
		return;
	}
	if (handed) {
		handed->page = page;
		handed->row = (uint16_t)(page->row_count - 1);
		handed->rows = 1;
		page->unsettled++;
	}
}

void hf_receipt_sent(struct hf_hub *hub, struct hf_device *device, const struct hf_entry *entry, uint64_t first_offset,
	struct hf_handed *handed)
{
	struct hf_row row = {.first = first_offset, .state = handed ? HF_RECEIPT_UNACKNOWLEDGED : HF_RECEIPT_SENT};

	add(hub, device, entry, row, handed);
}

void hf_receipt_missed(struct hf_hub *hub, struct hf_device *device, const struct hf_entry *entry)
{
	add(hub, device, entry, (struct hf_row){.state = HF_RECEIPT_TOO_LARGE}, NULL);
}

/* The page in which it was sent is closed. */
static void settled_later(
	struct hf_hub *hub, struct hf_device *device, const struct hf_handed *handed, enum hf_receipt_state state)
{
	struct hf_records *records;
	struct hf_entry entry;

	if (!hf_store_audits(hub->store) || hf_records_open(hub->store, &records) != HF_OK) {
		return;
	}
	if (hf_records_at(records, handed->lsn, &entry) == HF_OK) {
		add(hub, device, &entry, (struct hf_row){.first = handed->offset, .state = (uint8_t)state}, NULL);
	}
	hf_records_close(records);
}

void hf_receipt_settled(
	struct hf_hub *hub, struct hf_device *device, struct hf_handed *handed, enum hf_receipt_state state)
{
	struct hf_page *page = handed->page;

	if (!page && (handed->mark || handed->lsn == 0)) {
		return;
	}
	if (!page) {
		settled_later(hub, device, handed, state == HF_RECEIPT_ACKNOWLEDGED ? HF_RECEIPT_LATER : state);
		return;
	}
	for (size_t i = handed->row; i < (size_t)handed->row + handed->rows; i++) {
		struct hf_row *row = &page->rows[i];
		int64_t now = since(hub, page);
		row->state = (uint8_t)state;
		row->took_ms = now > row->sent_ms ? (uint32_t)now - row->sent_ms : 0;
	}
	hf_receipt_forget(handed);
	touch(hub, page);
}

void hf_receipt_forget(struct hf_handed *handed)
{
	if (handed->page) {
		handed->page->unsettled -= handed->rows;
		handed->page = NULL;
	}
}

/* A record of these receipts, of one moment. */
static void note_at_once(struct hf_hub *hub, const struct hf_device *device, struct hf_slice session, int64_t now_ms,
	const struct hf_device_receipt *receipts, size_t count)
{
	struct hf_audit record = {.kind = HF_AUDIT_DELIVERED, .session = session, .first = UINT64_MAX};

	for (size_t i = 0; i < count; i++) {
		uint64_t last = receipts[i].first + receipts[i].count - 1;
		record.first = receipts[i].first < record.first ? receipts[i].first : record.first;
		record.last = last > record.last ? last : record.last;
		record.count += receipts[i].count;
	}
	hf_buffer_clear(&hub->receipts);
	if (hf_page_encode(now_ms, receipts, count, &hub->receipts) == HF_OK) {
		record.page = hf_buffer_slice(&hub->receipts);
		hf_note_of_device(hub, device, &record);
	}
}

void hf_receipt_ranges(struct hf_hub *hub, const struct hf_device *device, struct hf_slice session,
	const struct hf_offsets *ranges, size_t count, enum hf_receipt_state state)
{
	int64_t now = hub->broker.now_ms(hub->broker.context);
	struct hf_device_receipt receipts[HF_PAGE_ROWS];

	if (!hf_store_audits(hub->store)) {
		return;
	}
	for (size_t i = 0, filled = 0; i < count; i++) {
		receipts[filled++] = (struct hf_device_receipt){
			.first = ranges[i].first,
			.count = ranges[i].last - ranges[i].first + 1,
			.state = state,
			.sent_ms = now,
		};
		if (filled == HF_PAGE_ROWS || i + 1 == count) {
			note_at_once(hub, device, session, now, receipts, filled);
			filled = 0;
		}
	}
}

void hf_receipt_range(struct hf_hub *hub, const struct hf_device *device, struct hf_slice session, uint64_t first,
	uint64_t last, enum hf_receipt_state state)
{
	if (first <= last) {
		hf_receipt_ranges(hub, device, session, &(struct hf_offsets){.first = first, .last = last}, 1, state);
	}
}

void hf_receipts_leave(struct hf_hub *hub, struct hf_device *device)
{
	struct hf_page *page, *next;

	for (page = hub->pages; page && device->page_count > 0; page = next) {
		next = page->next;
		if (page->device == device) {
			let_go_of_ring(page);
			fill(hub, page);
			page->closing = true;
			page->device = NULL;
			device->page_count--;
		}
	}
}

void hf_resent(struct hf_hub *hub, const char *id, const char *address, const char *text, uint64_t offset)
{
	struct hf_device *device = hf_device_find(hub, id);
	struct hf_topic topic;
	struct hf_log *log;
	uint64_t lsn = 0;

	if (!device || !hf_store_audits(hub->store) || hf_topic_parse(hub->options.root, text, &topic) != HF_OK ||
		!hf_kind_is_logged(topic.kind) || hf_log_acquire(hub->store, topic.session, false, &log) != HF_OK) {
		return;
	}
	if (offset < hf_log_tail(log) || offset > hf_log_head(log) || hf_log_lsn_of(log, offset, &lsn) != HF_OK) {
		lsn = 0;
	}
	hf_log_release(log);
	struct hf_handed *handed = lsn > 0 ? hf_ring_find_lsn(device, lsn) : NULL;
	if (handed) {
		/* Its connection is coming back, and is not known as one yet. */
		hf_device_set_address(device, address);
		add(hub, device, &(struct hf_entry){.session = topic.session, .offset = offset},
			(struct hf_row){.first = handed->offset, .state = HF_RECEIPT_UNACKNOWLEDGED, .again = true}, handed);
	}
}

/* ---- writing */

static struct hf_device_receipt receipt_of(const struct hf_page *page, const struct hf_row *row)
{
	return (struct hf_device_receipt){
		.first = row->first,
		.count = row->count,
		.state = (enum hf_receipt_state)row->state,
		.again = row->again,
		.sent_ms = page->begin_ms + row->sent_ms,
		.took_ms = row->took_ms,
	};
}

static enum hf_reason encode(struct hf_hub *hub, const struct hf_page *page)
{
	struct hf_device_receipt *receipts = malloc(page->row_count * sizeof(*receipts));
	enum hf_reason reason = HF_NO_MEMORY;

	hf_buffer_clear(&hub->receipts);
	if (receipts) {
		for (size_t i = 0; i < page->row_count; i++) {
			receipts[i] = receipt_of(page, &page->rows[i]);
		}
		reason = hf_page_encode(page->begin_ms, receipts, page->row_count, &hub->receipts);
	}
	free(receipts);
	return reason;
}

static bool is_to_close(const struct hf_page *page)
{
	return page->full && (page->closing || page->unsettled == 0);
}

static enum hf_reason write_page(struct hf_hub *hub, struct hf_page *page)
{
	struct hf_slice session = hf_slice_from(page->text, page->session_len);
	enum hf_reason reason = encode(hub, page);
	struct hf_audit record = {
		.kind = HF_AUDIT_DELIVERED,
		.time_ms = hub->broker.now_ms(hub->broker.context),
		.identity = hf_slice_of(page->identity),
		.device = hf_slice_of(page->device_id),
		.address = hf_slice_of(page->address),
		.session = session,
		.first = page->first,
		.last = page->last,
		.count = page->receipts,
		.page = hf_buffer_slice(&hub->receipts),
	};

	if (reason != HF_OK) {
		return reason;
	}
	if (!is_to_close(page)) {
		reason = hf_receipts_keep(hub->store, session, page->number, &record);
		page->kept = page->kept || reason == HF_OK;
		return reason;
	}
	reason = hf_audit_add(hub->store, &record);
	if (reason == HF_OK && page->kept) {
		reason = hf_receipts_keep(hub->store, session, page->number, NULL);
	}
	hf_audit_due(hub);
	return reason;
}

enum hf_reason hf_receipts_write(struct hf_hub *hub)
{
	struct hf_page *page, *next;

	LL_FOREACH_SAFE2(hub->dirty_pages, page, next, dirty_next)
	{
		enum hf_reason reason = write_page(hub, page);
		if (reason != HF_OK) {
			return reason;
		}
		LL_DELETE2(hub->dirty_pages, page, dirty_next);
		page->dirty = false;
		if (is_to_close(page)) {
			page_free(hub, page);
		}
	}
	return HF_OK;
}

void hf_receipts_age(struct hf_hub *hub)
{
	struct hf_page *page, *next;

	DL_FOREACH_SAFE(hub->pages, page, next)
	{
		if (since(hub, page) >= HF_PAGE_MS) {
			fill(hub, page);
			page->closing = true;
		}
	}
	if (hub->pages) {
		hf_hub_due(hub, HF_TIMER_RECEIPTS, HF_PAGE_MS / 4);
	}
}

/* ---- start and end */

struct resume {
	struct hf_hub *hub;
	enum hf_reason reason;
};

static bool close_one(void *context, uint64_t number, const struct hf_audit *record)
{
	struct resume *resume = context;
	struct hf_hub *hub = resume->hub;

	resume->reason = hf_audit_add(hub->store, record);
	if (resume->reason == HF_OK) {
		resume->reason = hf_receipts_keep(hub->store, record->session, number, NULL);
	}
	return resume->reason == HF_OK;
}

enum hf_reason hf_receipts_resume(struct hf_hub *hub)
{
	struct resume resume = {.hub = hub, .reason = HF_OK};
	enum hf_reason reason = HF_OK;

	if (!hf_store_audits(hub->store)) {
		return HF_OK;
	}
	reason = hf_receipts_open_each(hub->store, HF_SLICE_NONE, close_one, &resume);
	if (reason == HF_OK) {
		reason = resume.reason;
	}
	return reason == HF_OK ? hf_store_commit(hub->store) : reason;
}

void hf_receipts_free(struct hf_hub *hub)
{
	struct hf_page *page, *next;

	DL_FOREACH_SAFE(hub->pages, page, next)
	{
		page_free(hub, page);
	}
	hub->dirty_pages = NULL;
	hf_buffer_free(&hub->receipts);
}
