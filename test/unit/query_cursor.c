/* SPDX-License-Identifier: BSD-3-Clause */
/* Queries against a plain list of what was written: every filter, every way of paging, whatever was sealed, closed,
 * removed or written again in the meantime. */
#include "store_check.h"

#include "query/query.h"

#define SESSIONS 4
#define PEOPLE 3
#define EVENTS_MAX 4000

/* What was written, as the query should say it. */
struct event {
	enum hf_item_type type;
	int64_t time_ms;
	int rank; /* at the same time: begins, entry, receipt, ends */
	uint64_t number;
	char session[8], identity[8], device[16];
	unsigned int kind; /* of an entry or a record; of a receipt its state */
	bool again;
};

static struct event events[EVENTS_MAX];
static size_t event_count;
static unsigned int seed;

static unsigned int pick(unsigned int below)
{
	return (unsigned int)rand_r(&seed) % below;
}

static void name_one(char out[8], const char *prefix, unsigned int of)
{
	snprintf(out, 8, "%s%u", prefix, pick(of));
}

static struct hf_store *open_audited(void)
{
	char key_path[320];
	struct hf_store *store;

	snprintf(key_path, sizeof key_path, "%s/key", directory);
	enum hf_reason reason =
		hf_store_open(&(struct hf_store_options){.path = store_path, .audit_key = key_path, .now_ms = 1}, NULL, NULL,
			&store, message, sizeof message);
	ck_assert_msg(reason == HF_OK, "open: %s: %s", hf_reason_name(reason), message);
	return store;
}

static struct event *event_make(enum hf_item_type type, int64_t time_ms)
{
	ck_assert_uint_lt(event_count, EVENTS_MAX);
	struct event *event = &events[event_count++];
	*event = (struct event){.type = type, .time_ms = time_ms};
	return event;
}

static void write_entry(struct hf_store *store, int64_t now_ms)
{
	static const enum hf_kind kinds[] = {HF_KIND_INPUT, HF_KIND_EVENT, HF_KIND_NOTICE};
	struct event *event = event_make(HF_ITEM_ENTRY, now_ms);
	struct hf_log *log;

	name_one(event->session, "s", SESSIONS);
	name_one(event->identity, "i", PEOPLE);
	snprintf(event->device, sizeof event->device, "%s-%u", event->identity, pick(2));
	event->rank = 1;
	event->kind = kinds[pick(3)];
	log = acquire(store, event->session);
	struct hf_entry entry = {
		.kind = (enum hf_kind)event->kind,
		.role = HF_ROLE_USER,
		.topic = hf_slice_of(hf_kind_name((enum hf_kind)event->kind)),
		.identity = hf_slice_of(event->identity),
		.device = hf_slice_of(event->device),
		.payload = hf_slice_of("payload"),
	};
	ck_assert_ok(hf_log_append(log, &entry, now_ms));
	event->number = entry.lsn;
	hf_log_release(log);
}

static uint64_t next_seq;

static void write_record(struct hf_store *store, int64_t now_ms)
{
	static const enum hf_audit_kind kinds[] = {HF_AUDIT_CONNECTED, HF_AUDIT_DISCONNECTED, HF_AUDIT_REFUSED};
	struct event *event = event_make(HF_ITEM_RECORD, now_ms);
	struct hf_audit record = {.time_ms = now_ms};

	event->kind = kinds[pick(3)];
	event->rank = event->kind == HF_AUDIT_DISCONNECTED ? 3 : 0;
	if (event->kind == HF_AUDIT_REFUSED)
		name_one(event->session, "s", SESSIONS);
	name_one(event->identity, "i", PEOPLE);
	snprintf(event->device, sizeof event->device, "%s-%u", event->identity, pick(2));
	record.kind = (enum hf_audit_kind)event->kind;
	record.session = hf_slice_of(event->session);
	record.identity = hf_slice_of(event->identity);
	record.device = hf_slice_of(event->device);
	ck_assert_ok(hf_audit_add(store, &record));
	ck_assert_ok(hf_audit_write(store));
	event->number = ++next_seq;
}

/* A page that is closed now, or stays open, of receipts of up to ten seconds ago. */
static void write_page(struct hf_store *store, int64_t now_ms, bool open)
{
	struct hf_device_receipt receipts[20];
	size_t count = 1 + pick(20);
	int64_t at = now_ms - pick(10000);
	struct hf_buffer page = {0};
	char session[8], identity[8], device[16];
	uint64_t offset = 1 + pick(1000), first = offset;
	int64_t begin = at;

	name_one(session, "s", SESSIONS);
	name_one(identity, "i", PEOPLE);
	snprintf(device, sizeof device, "%s-%u", identity, pick(2));
	for (size_t i = 0; i < count; i++) {
		struct hf_device_receipt receipt = {.first = offset, .count = 1 + (pick(4) == 0 ? pick(5) : 0)};
		receipt.state = (enum hf_receipt_state)pick(8);
		receipt.again = pick(5) == 0;
		receipt.sent_ms = at;
		receipt.took_ms = hf_receipt_is_settled(receipt.state) ? pick(100) : 0;
		at += pick(2) * (int64_t)pick((unsigned int)(now_ms - at) / 10 + 1);
		struct event *event = event_make(HF_ITEM_RECEIPT, receipt.sent_ms);
		event->rank = 2;
		event->number = receipt.first;
		event->kind = receipt.state;
		event->again = receipt.again;
		memcpy(event->session, session, sizeof session);
		memcpy(event->identity, identity, sizeof identity);
		memcpy(event->device, device, sizeof device);
		receipts[i] = receipt;
		offset += receipt.count;
	}
	ck_assert_ok(hf_page_encode(begin, receipts, count, &page));
	struct hf_audit record = {
		.kind = HF_AUDIT_DELIVERED,
		.time_ms = now_ms,
		.session = hf_slice_of(session),
		.identity = hf_slice_of(identity),
		.device = hf_slice_of(device),
		.first = first,
		.last = offset - 1,
		.count = offset - first,
		.page = hf_buffer_slice(&page),
	};
	if (open) {
		static uint64_t number;
		ck_assert_ok(hf_receipts_keep(store, hf_slice_of(session), ++number, &record));
		ck_assert_ok(hf_store_commit(store));
	} else {
		ck_assert_ok(hf_audit_add(store, &record));
		ck_assert_ok(hf_audit_write(store));
		next_seq++;
	}
	hf_buffer_free(&page);
}

#define BEGIN_MS 1000000

/* Some hours of it. Returns the time of the end. */
static int64_t write_all(struct hf_store *store, unsigned int steps)
{
	int64_t now_ms = BEGIN_MS;

	next_seq = 1; /* the record of the key */
	for (unsigned int i = 0; i < steps; i++) {
		now_ms += pick(4) == 0 ? pick(20) == 0 ? pick(600000) : pick(3000) : 0;
		switch (pick(5)) {
		case 0:
		case 1:
			write_entry(store, now_ms);
			break;
		case 2:
			write_record(store, now_ms);
			break;
		case 3:
			write_page(store, now_ms, false);
			break;
		default:
			if (pick(4) == 0)
				ck_assert_ok(hf_audit_seal(store, now_ms));
		}
	}
	for (int i = 0; i < 3; i++)
		write_page(store, now_ms, true);
	return now_ms;
}

/* ---- asking */

static bool wanted(const struct event *event, const struct hf_query *query)
{
	bool all = query->entry_kinds == 0 && query->record_kinds == 0 && query->receipt_states == 0;
	bool kind = event->type == HF_ITEM_ENTRY    ? query->entry_kinds & HF_KIND_BIT(event->kind)
				: event->type == HF_ITEM_RECORD ? query->record_kinds & UINT64_C(1) << event->kind
												: (query->receipt_states & 1u << event->kind) ||
													  (event->again && query->receipt_states & 1u << HF_QUERY_AGAIN);

	return (all || kind) && event->time_ms >= query->from_ms && event->time_ms <= query->to_ms &&
		   (query->session.len == 0 || hf_slice_is(query->session, event->session)) &&
		   (query->identity.len == 0 || hf_slice_is(query->identity, event->identity)) &&
		   (query->device.len == 0 || hf_slice_is(query->device, event->device));
}

static struct event event_of(const struct hf_item *item)
{
	struct event event = {.type = item->type, .time_ms = item->time_ms};
	const struct hf_slice *session = &item->record.session, *identity = &item->record.identity,
						  *device = &item->record.device;

	switch (item->type) {
	case HF_ITEM_ENTRY:
		session = &item->entry.session;
		identity = &item->entry.identity;
		device = &item->entry.device;
		event.rank = 1;
		event.kind = item->entry.kind;
		event.number = item->entry.lsn;
		break;
	case HF_ITEM_RECORD:
		event.rank = item->record.kind == HF_AUDIT_DISCONNECTED ? 3 : 0;
		event.kind = item->record.kind;
		event.number = item->record.seq;
		break;
	case HF_ITEM_RECEIPT:
		event.rank = 2;
		event.kind = item->receipt.state;
		event.again = item->receipt.again;
		event.number = item->receipt.first;
		break;
	}
	snprintf(event.session, sizeof event.session, "%.*s", (int)session->len, session->data);
	snprintf(event.identity, sizeof event.identity, "%.*s", (int)identity->len, identity->data);
	snprintf(event.device, sizeof event.device, "%.*s", (int)device->len, device->data);
	return event;
}

static int compare(const void *a, const void *b)
{
	const struct event *one = a, *other = b;
	int order = (one->time_ms > other->time_ms) - (one->time_ms < other->time_ms);

	if (order == 0)
		order = one->rank - other->rank;
	if (order == 0)
		order = (one->number > other->number) - (one->number < other->number);
	if (order == 0)
		order = strcmp(one->session, other->session);
	if (order == 0)
		order = strcmp(one->device, other->device);
	if (order == 0)
		order = (int)one->kind - (int)other->kind;
	return order ? order : one->again - other->again;
}

static struct event answers[EVENTS_MAX];

/* All answers, each `page` of them (0: all) from a cursor of their own. */
static size_t ask(struct hf_store *store, const struct hf_query *query, size_t page)
{
	char key[HF_QUERY_KEY_SIZE] = "";
	size_t count = 0, before;
	bool more;

	do {
		struct hf_cursor *cursor;
		struct hf_item item;
		bool found = true;
		before = count;
		ck_assert_ok(hf_query_open(store, query, hf_slice_of(key), &cursor));
		while (found && (page == 0 || count - before < page)) {
			ck_assert_ok(hf_query_next(cursor, &item, &found));
			if (found && item.record.kind != HF_AUDIT_KEY) {
				ck_assert_uint_lt(count, EVENTS_MAX);
				answers[count++] = event_of(&item);
			}
		}
		more = found || hf_query_paused(cursor);
		hf_query_key(cursor, key);
		hf_query_close(cursor);
	} while (more);
	return count;
}

static void check_answer(struct hf_store *store, const struct hf_query *query, size_t page)
{
	static struct event expected[EVENTS_MAX];
	size_t expected_count = 0;
	size_t count = ask(store, query, page);

	for (size_t i = 0; i < event_count; i++) {
		if (wanted(&events[i], query))
			expected[expected_count++] = events[i];
	}
	qsort(expected, expected_count, sizeof expected[0], compare);
	for (size_t i = 1; i < count; i++)
		check(answers[i - 1].time_ms < answers[i].time_ms ||
			  (answers[i - 1].time_ms == answers[i].time_ms && answers[i - 1].rank <= answers[i].rank));
	qsort(answers, count, sizeof answers[0], compare);
	ck_assert_uint_eq(count, expected_count);
	for (size_t i = 0; i < count; i++)
		ck_assert_msg(compare(&answers[i], &expected[i]) == 0,
			"answer %zu of %zu: type %d, time %" PRId64 ", number %" PRIu64 "; expected type %d, time %" PRId64
			", number %" PRIu64,
			i, count, answers[i].type, answers[i].time_ms, answers[i].number, expected[i].type, expected[i].time_ms,
			expected[i].number);
}

static char asked_session[8], asked_identity[8], asked_device[16];

static struct hf_query random_query(int64_t end_ms)
{
	static const char *const kinds[] = {
		"published", "input", "connected", "disconnected", "delivered", "acknowledged", "resent", "gone"};
	struct hf_query query = hf_query_any();

	if (pick(2) == 0) {
		name_one(asked_session, "s", SESSIONS + 1);
		query.session = hf_slice_of(asked_session);
	}
	if (pick(3) == 0) {
		name_one(asked_identity, "i", PEOPLE + 1);
		query.identity = hf_slice_of(asked_identity);
	}
	if (pick(4) == 0) {
		snprintf(asked_device, sizeof asked_device, "i%u-%u", pick(PEOPLE), pick(2));
		query.device = hf_slice_of(asked_device);
	}
	for (unsigned int i = pick(3); i > 0; i--)
		ck_assert(hf_query_add_kind(&query, hf_slice_of(kinds[pick(8)])));
	if (pick(2) == 0)
		query.from_ms = BEGIN_MS + pick((unsigned int)(end_ms - BEGIN_MS) + 1);
	if (pick(2) == 0)
		query.to_ms = BEGIN_MS + pick((unsigned int)(end_ms - BEGIN_MS) + 1);
	if (query.from_ms > query.to_ms)
		query.from_ms = INT64_MIN;
	if (pick(4) == 0)
		query.looks_max = 1 + pick(300);
	return query;
}

START_TEST(answers_are_what_was_written)
{
	seed = (unsigned int)_i + 1;
	event_count = 0;
	struct hf_store *store = open_audited();
	int64_t end_ms = write_all(store, 300);

	check_answer(store, &(struct hf_query){.from_ms = INT64_MIN, .to_ms = INT64_MAX}, 0);
	for (int i = 0; i < 60; i++) {
		struct hf_query query = random_query(end_ms);
		check_answer(store, &query, pick(3) == 0 ? 0 : 1 + pick(40));
	}
	/* Entries that retention removed are there, and all is found from another process. */
	struct hf_log *log = acquire(store, "s1");
	ck_assert_ok(hf_store_flush(store));
	ck_assert_ok(hf_log_truncate(log, hf_log_head(log)));
	hf_log_release(log);
	if (pick(2) == 0)
		ck_assert_ok(hf_audit_seal(store, end_ms));
	struct hf_store *reader;
	ck_assert_ok(try_open(&reader, true));
	for (int i = 0; i < 60; i++) {
		struct hf_query query = random_query(end_ms);
		check_answer(reader, &query, pick(3) == 0 ? 0 : 1 + pick(40));
	}
	hf_store_close(reader);
	hf_store_close(store);
}
END_TEST

/* ---- one entry */

static size_t ask_offset(struct hf_store *store, const char *session, uint64_t offset, struct hf_item *entry)
{
	struct hf_query query = hf_query_any();
	struct hf_cursor *cursor;
	struct hf_item item;
	bool found = true;
	size_t count = 0;

	query.session = hf_slice_of(session);
	query.offset = offset;
	entry->entry.offset = 0;
	ck_assert_ok(hf_query_open(store, &query, HF_SLICE_NONE, &cursor));
	for (;;) {
		ck_assert_ok(hf_query_next(cursor, &item, &found));
		if (!found)
			break;
		if (item.type == HF_ITEM_ENTRY)
			*entry = item;
		else
			check(item.receipt.first <= offset && offset < item.receipt.first + item.receipt.count);
		count++;
	}
	hf_query_close(cursor);
	return count;
}

static void add_receipt(struct hf_store *store, const char *device, uint64_t first, uint64_t count, bool open)
{
	struct hf_buffer page = {0};
	struct hf_device_receipt receipt = {.first = first, .count = count, .state = HF_RECEIPT_SENT, .sent_ms = 2000};
	struct hf_audit record = {.kind = HF_AUDIT_DELIVERED,
		.time_ms = 2000,
		.session = hf_slice_of("s"),
		.device = hf_slice_of(device),
		.first = first,
		.last = first + count - 1,
		.count = count};

	ck_assert_ok(hf_page_encode(2000, &receipt, 1, &page));
	record.page = hf_buffer_slice(&page);
	if (open)
		ck_assert_ok(hf_receipts_keep(store, record.session, 1, &record));
	else
		ck_assert_ok(hf_audit_add(store, &record));
	ck_assert_ok(hf_store_commit(store));
	hf_buffer_free(&page);
}

START_TEST(an_entry_has_its_receipts)
{
	struct hf_store *store = open_audited();
	struct hf_log *log = acquire(store, "s");
	struct hf_item entry;

	for (int i = 0; i < 600; i++) {
		append(log);
		if (i % 100 == 0)
			ck_assert_ok(hf_audit_seal(store, 1500));
	}
	add_receipt(store, "a", 300, 1, false);
	add_receipt(store, "b", 299, 1, false);
	add_receipt(store, "c", 1, 600, false);
	ck_assert_ok(hf_audit_seal(store, 2500));
	add_receipt(store, "d", 300, 2, true);
	ck_assert_uint_eq(ask_offset(store, "s", 300, &entry), 4);
	ck_assert_uint_eq(entry.entry.offset, 300);
	ck_assert_uint_eq(entry.entry.payload.len, strlen("s 300"));
	ck_assert_uint_eq(ask_offset(store, "s", 601, &entry), 0);
	ck_assert_uint_eq(ask_offset(store, "t", 300, &entry), 0);
	ck_assert_ok(hf_store_flush(store));
	ck_assert_ok(hf_log_truncate(log, 500));
	ck_assert_uint_eq(ask_offset(store, "s", 300, &entry), 4);
	ck_assert_uint_eq(entry.entry.offset, 300);
	ck_assert(entry.entry.stripped);
	hf_log_release(log);
	hf_store_close(store);
}
END_TEST

/* ---- what makes no sense */

static void check_fault(const struct hf_query *query, const char *words)
{
	struct hf_cursor *cursor;
	struct hf_store *store = open_store();
	const char *fault = hf_query_fault(query);

	ck_assert_msg(fault != NULL && strstr(fault, words) != NULL, "not '%s' in: %s", words, fault != NULL ? fault : "");
	ck_assert_reason(hf_query_open(store, query, HF_SLICE_NONE, &cursor), HF_QUERY_INVALID);
	ck_assert_ptr_null(cursor);
	hf_store_close(store);
}

START_TEST(faults_are_told)
{
	struct hf_query query = hf_query_any();

	ck_assert_ptr_null(hf_query_fault(&query));
	query.offset = 1;
	check_fault(&query, "name the session");
	query.session = hf_slice_of("a/b");
	check_fault(&query, "session id");
	query.session = hf_slice_of("s");
	ck_assert_ptr_null(hf_query_fault(&query));
	ck_assert(hf_query_add_kind(&query, hf_slice_of("connected")));
	check_fault(&query, "leave the offset out");
	ck_assert(hf_query_add_kind(&query, hf_slice_of("input")));
	ck_assert_ptr_null(hf_query_fault(&query));
	query.from_ms = 2;
	query.to_ms = 1;
	check_fault(&query, "the end lies before");
	ck_assert(!hf_query_add_kind(&query, hf_slice_of("nonsense")));
	ck_assert(!hf_query_add_kind(&query, HF_SLICE_NONE));
	ck_assert(!hf_query_add_kind(&query, hf_slice_of("control"))); /* not in the log */
}
END_TEST

START_TEST(keys_are_taken_as_they_were_given)
{
	static const char *const bad[] = {"1", "1.2.3", "1.2.3.4.5", "1.2.3.4 ", " 1.2.3.4", "1.2.3.x", "1.02.3.4", "-",
		"1.-2.3.4", "99999999999999999999.1.1.1",
		"1.1.1.11111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111"};
	struct hf_store *store = open_store();
	struct hf_query query = hf_query_any();
	struct hf_cursor *cursor;
	char key[HF_QUERY_KEY_SIZE];

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		ck_assert_msg(hf_query_open(store, &query, hf_slice_of(bad[i]), &cursor) == HF_QUERY_INVALID, "%s", bad[i]);
		ck_assert_ptr_null(cursor);
	}
	ck_assert_ok(hf_query_open(store, &query, hf_slice_of("-5.2.ffffffffffffffff.a"), &cursor));
	hf_query_key(cursor, key);
	ck_assert_str_eq(key, "-5.2.ffffffffffffffff.a");
	hf_query_close(cursor);
	hf_query_close(NULL);
	hf_store_close(store);
}
END_TEST

START_TEST(kinds_have_names)
{
	size_t count = 0;

	for (; hf_query_kind(count) != NULL; count++) {
		struct hf_query query = hf_query_any();
		ck_assert_uint_gt(strlen(hf_query_kind(count)), 0);
		ck_assert(hf_query_add_kind(&query, hf_slice_of(hf_query_kind(count))));
		ck_assert(query.entry_kinds != 0 || query.record_kinds != 0 || query.receipt_states != 0);
		for (size_t i = 0; i < count; i++)
			ck_assert_str_ne(hf_query_kind(i), hf_query_kind(count));
	}
	ck_assert_uint_ge(count, 1 + 8 + 12 + 8 + 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("query_cursor");
	TCase *tests = tcase_create("cursor");

	tcase_add_checked_fixture(tests, make_directory, remove_directory);
	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, answers_are_what_was_written, 0, 20);
	tcase_add_test(tests, an_entry_has_its_receipts);
	tcase_add_test(tests, faults_are_told);
	tcase_add_test(tests, keys_are_taken_as_they_were_given);
	tcase_add_test(tests, kinds_have_names);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
