/* SPDX-License-Identifier: BSD-3-Clause */
/* Erasing what an identity has published: what goes, what stays, what readers are told, and that it is done to its end.
 */
#include "session_fake.h"

#include <sys/wait.h>

#include "codec/cbor.h"
#include "session/audit/holds.h"
#include "session/internal.h"
#include "session/log/forget.h"

#define SECRET "what ben does not want to have said"

static const struct hf_asker asker = {.identity = "root", .device = "console", .address = "192.0.2.1"};

static void open_it(void)
{
	write_roles("ann user *\nben user *\ncarl user *\nagent agent *\nroot admin *\n");
	options.presence_notices = HF_NOTICES_NONE;
	open_hub();
}

static enum hf_verdict publish_on(
	const char *identity, const char *session, const char *topic, struct hf_slice payload, const char *id)
{
	enum hf_reason reason;
	char name[80];

	snprintf(name, sizeof(name), "sessions/%s/%s", session, topic);
	if (!hf_connection_of(hub, identity)) {
		connect_as(identity, identity, true);
	}
	struct hf_publish publish = {
		.device = identity,
		.identity = identity,
		.topic = name,
		.payload = payload,
		.properties = HF_SLICE_NONE,
		.correlation = HF_SLICE_NONE,
		.conditions = {.id = hf_slice_of(id)},
		.qos = 1,
	};
	return hf_publish(hub, &publish, &reason);
}

static void say_as(const char *identity, const char *session, const char *text)
{
	ck_assert_int_eq(publish_on(identity, session, "input", hf_slice_of(text), NULL), HF_VERDICT_STORED);
}

static void erase(const char *identity)
{
	ck_assert_ok(hf_identity_erase(hub, hf_slice_of(identity), hf_slice_of("asked by letter"), &asker));
}

static bool count_one(void *context, const struct hf_forgetting_info *info)
{
	(void)info;
	++*(unsigned *)context;
	return true;
}

static unsigned under_way(void)
{
	unsigned count = 0;

	hf_forgettings_each(hub, count_one, &count);
	return count;
}

static void finish(void)
{
	for (int i = 0; under_way() > 0; i++) {
		ck_assert_int_lt(i, 10000);
		usleep(1000); /* RocksDB works beside us */
		pass(50);
		tick();
	}
}

static void read_entry(const char *session, uint64_t offset, struct hf_entry *entry, char *payload, size_t size)
{
	struct hf_records *records;
	struct hf_log *log;
	uint64_t lsn;

	ck_assert_ok(hf_log_acquire(hub->store, hf_slice_of(session), false, &log));
	ck_assert_ok(hf_log_lsn_of(log, offset, &lsn));
	ck_assert_ok(hf_records_open(hub->store, &records));
	ck_assert_ok(hf_records_at(records, lsn, entry));
	snprintf(payload, size, "%.*s", (int)entry->payload.len, entry->payload.data);
	hf_records_close(records);
	hf_log_release(log);
}

#define ck_assert_entry(session, offset, wanted, erased_)                                                              \
	do {                                                                                                               \
		struct hf_entry entry;                                                                                         \
		char payload[64];                                                                                              \
		read_entry(session, offset, &entry, payload, sizeof(payload));                                                 \
		ck_assert_str_eq(payload, wanted);                                                                             \
		ck_assert_int_eq(entry.erased, erased_);                                                                       \
	} while (0)

static void check_chain(uint64_t stripped)
{
	struct hf_verified verified;

	ck_assert_ok(hf_audit_seal(hub->store, 1));
	ck_assert_ok(hf_audit_verify(hub->store, NULL, &verified));
	ck_assert_str_eq(verified.bad, "");
	ck_assert_uint_eq(verified.stripped, stripped);
}

/* How many records of a kind about an identity; of the last one, count and detail. */
static unsigned records_of(enum hf_audit_kind kind, const char *identity, uint64_t *number, char detail[64])
{
	struct hf_audit_reader *reader;
	struct hf_audit record = {.seq = 0};
	unsigned count = 0;
	bool more = true;

	ck_assert_ok(hf_audit_reader_open(hub->store, &reader));
	for (uint64_t seq = 0; more; seq = record.seq) {
		ck_assert_ok(hf_audit_after(reader, seq, &record, &more));
		if (more && record.kind == kind && hf_slice_is(record.identity, identity)) {
			ck_assert(hf_slice_is(record.by, "root"));
			*number = record.count;
			snprintf(detail, 64, "%.*s", (int)record.detail.len, record.detail.data);
			count++;
		}
	}
	hf_audit_reader_close(reader);
	return count;
}

/* ---- entries */

START_TEST(entries_lose_their_payload_and_stay)
{
	char detail[64];
	uint64_t count;

	open_it();
	say_as("ann", "a", "1");
	say_as("ben", "a", SECRET);
	say_as("ann", "a", "3");
	say_as("ben", "b", SECRET);
	say_as("ben", "b", "");
	erase("ben");
	erase("ben"); /* does no harm */
	ck_assert_uint_eq(under_way(), 1);
	say_as("ben", "b", "later");
	finish();
	ck_assert_entry("a", 1, "1", false);
	ck_assert_entry("a", 2, "", true);
	ck_assert_entry("a", 3, "3", false);
	ck_assert_entry("b", 1, "", true);
	ck_assert_entry("b", 2, "", true);
	ck_assert_entry("b", 3, "later", false);
	check_chain(3);
	ck_assert_uint_eq(records_of(HF_AUDIT_FORGETTING, "ben", &count, detail), 1);
	ck_assert_str_eq(detail, "asked by letter");
	ck_assert_uint_eq(records_of(HF_AUDIT_FORGOTTEN, "ben", &count, detail), 1);
	ck_assert_uint_eq(count, 3);
	ck_assert_str_eq(detail, "");
	reopen();
	ck_assert_entry("a", 2, "", true);
	check_chain(3);
	erase("ben"); /* once more, for what came later */
	finish();
	ck_assert_entry("b", 3, "", true);
	ck_assert_uint_eq(records_of(HF_AUDIT_FORGOTTEN, "ben", &count, detail), 2);
	ck_assert_uint_eq(count, 4);
}
END_TEST

START_TEST(what_is_held_is_refused_or_spared)
{
	char detail[64];
	uint64_t count;

	open_it();
	say_as("ben", "a", "1");
	say_as("ben", "b", "2");
	ck_assert_ok(hf_hold_place(hub, hf_slice_of("a"), HF_SLICE_NONE, HF_SLICE_NONE, &asker));
	ck_assert_reason(hf_identity_erase(hub, hf_slice_of("ben"), HF_SLICE_NONE, &asker), HF_HELD);
	ck_assert_ok(hf_hold_lift(hub, hf_slice_of("a"), HF_SLICE_NONE, HF_SLICE_NONE, &asker));
	ck_assert_ok(hf_hold_place(hub, HF_SLICE_NONE, hf_slice_of("ben"), HF_SLICE_NONE, &asker));
	ck_assert_reason(hf_identity_erase(hub, hf_slice_of("ben"), HF_SLICE_NONE, &asker), HF_HELD);
	ck_assert_ok(hf_hold_lift(hub, HF_SLICE_NONE, hf_slice_of("ben"), HF_SLICE_NONE, &asker));
	erase("ben");
	/* One that comes in between keeps what is still there. */
	ck_assert_ok(hf_hold_place(hub, hf_slice_of("a"), HF_SLICE_NONE, HF_SLICE_NONE, &asker));
	finish();
	ck_assert_entry("a", 1, "1", false);
	ck_assert_entry("b", 1, "", true);
	ck_assert_uint_eq(records_of(HF_AUDIT_FORGOTTEN, "ben", &count, detail), 1);
	ck_assert_uint_eq(count, 1);
	ck_assert_str_eq(detail, "but for what is under a legal hold");
}
END_TEST

START_TEST(nonsense_is_refused)
{
	open_it();
	ck_assert_reason(hf_identity_erase(hub, HF_SLICE_NONE, HF_SLICE_NONE, &asker), HF_PAYLOAD_INVALID);
	ck_assert_reason(hf_identity_erase(hub, hf_slice_of("\xff"), HF_SLICE_NONE, &asker), HF_PAYLOAD_INVALID);
	ck_assert_reason(hf_identity_erase(hub, hf_slice_of("ben"), hf_slice_of("\xff"), &asker), HF_PAYLOAD_INVALID);
	erase("nobody"); /* may have been here long ago */
	finish();
	check_chain(0);
}
END_TEST

/* Retention takes them later as it takes others. */
START_TEST(retention_takes_them_like_others)
{
	struct hf_log *log;

	open_it();
	for (int i = 0; i < 10; i++) {
		say_as(i % 2 ? "ann" : "ben", "a", "text");
	}
	erase("ben");
	finish();
	ck_assert_ok(hf_log_acquire(hub->store, hf_slice_of("a"), false, &log));
	struct hf_audit record = {.kind = HF_AUDIT_TRUNCATED, .session = hf_slice_of("a"), .first = 1, .last = 5};
	ck_assert_ok(hf_audit_add(hub->store, &record));
	ck_assert_ok(hf_log_truncate(log, 6));
	ck_assert_uint_eq(hf_log_tail(log), 6);
	hf_log_release(log);
	check_chain(5 + 2);
	connect_durable("phone", "carl");
	subscribe("phone", "$from/earliest/sessions/+/input");
	settle();
	ck_assert_str_eq(got("phone"), "a6 a8 a10");
}
END_TEST

/* ---- readers */

/* The message handed over as the n-th says that this entry was erased. */
static void check_mark(size_t n, uint64_t offset)
{
	struct hf_buffer wanted = {0};

	ck_assert(hf_document_gap(&wanted, offset, offset, "erased"));
	check_document(&fake.handed[n], &wanted);
	hf_buffer_free(&wanted);
}

START_TEST(readers_are_told_in_its_place)
{
	open_it();
	for (int i = 1; i <= 6; i++) {
		say_as(i == 2 || i == 3 || i == 6 ? "ben" : "ann", "a", "text");
	}
	erase("ben");
	finish();
	static const char *const filters[] = {"$from/earliest/sessions/a/#", "$from/earliest/sessions/+/#"};
	static const char *const told[] = {
		"a1 a:mark a:mark a4 a5 a:mark a:mark", /* the last one says that it is caught up */
		"a1 a:mark a:mark a4 a5 a:mark",
	};
	static const char *const devices[] = {"phone", "tablet"};
	for (int i = 0; i < 2; i++) {
		connect_durable(devices[i], "carl");
		fake.count = 0;
		subscribe(devices[i], filters[i]);
		settle();
		ck_assert_str_eq(got(devices[i]), told[i]);
		check_mark(1, 2);
		check_mark(2, 3);
		check_mark(5, 6);
	}
	fake.count = 0;
	say_as("ann", "a", "more");
	settle();
	ck_assert_str_eq(got("phone"), "a7");
	ck_assert_str_eq(got("tablet"), "a7");
}
END_TEST

/* It was not there when it happened, and some of what it is owed, or what it has before it, is gone. */
START_TEST(a_device_that_was_away_goes_on)
{
	open_it();
	connect_durable("phone", "carl");
	subscribe("phone", "sessions/a/#");
	say_as("ann", "a", "1");
	say_as("ben", "a", "2");
	settle();
	disconnect("phone"); /* without an acknowledgement */
	say_as("ben", "a", "3");
	say_as("ann", "a", "4");
	erase("ben");
	finish();
	reopen();
	connect_as("phone", "carl", false);
	make_durable("phone", 0);
	settle();
	ck_assert_str_eq(got("phone"), "a1 a:mark a:mark a4 a:mark");
	check_mark(1, 2);
	check_mark(2, 3);
}
END_TEST

/* Neighbouring batches are joined, but not over one that is gone. */
START_TEST(joined_messages_end_before_it)
{
	enum hf_reason reason;

	open_it();
	connect_as("agent", "agent", true);
	for (unsigned seq = 0; seq < 3; seq++) {
		ck_assert_int_eq(tokens("agent", "a", "r", seq, HF_END_NONE, &reason), HF_VERDICT_STORED);
	}
	say_as("ben", "a", "?");
	for (unsigned seq = 3; seq < 6; seq++) {
		ck_assert_int_eq(tokens("agent", "a", "r", seq, HF_END_NONE, &reason), HF_VERDICT_STORED);
	}
	erase("ben");
	finish();
	connect_durable("phone", "carl");
	fake.count = 0;
	subscribe("phone", "$from/earliest/sessions/a/#");
	settle();
	ck_assert_str_eq(got("phone"), "a1-3 a:mark a5-7 a:mark");
	check_mark(1, 4);
}
END_TEST

START_TEST(workers_are_not_given_it)
{
	open_it();
	say_as("ann", "a", "1");
	say_as("ben", "a", "2");
	say_as("ann", "a", "3");
	erase("ben");
	finish();
	connect_durable("worker", "agent");
	fake.count = 0;
	subscribe("worker", "$share/g/$from/earliest/sessions/+/input");
	for (int i = 0; i < 5; i++) {
		settle();
		for (size_t j = 0; j < fake.count; j++) {
			release(&fake.handed[j]);
		}
	}
	ck_assert_str_eq(got("worker"), "a1 a3");
}
END_TEST

/* ---- what was derived */

static bool any_value(void *context, struct hf_slice name, struct hf_slice value)
{
	(void)name;
	*(bool *)context = *(bool *)context || memmem(value.data, value.len, SECRET, strlen(SECRET)) != NULL;
	return true;
}

static bool facts_have_it(const char *session)
{
	bool has = false;

	for (uint8_t type = 1; type < HF_FACT_COUNT; type++) {
		ck_assert_ok(hf_fact_each(hub->store, hf_slice_of(session), type, any_value, &has));
	}
	return has;
}

static void ask(const char *identity, const char *session)
{
	struct hf_buffer payload = {0};

	ck_assert(hf_cbor_put_map(&payload, 3) && hf_cbor_pair_text(&payload, "id", hf_slice_of("q")) &&
			  hf_cbor_put_text(&payload, hf_slice_of("choices")) && hf_cbor_put_array(&payload, 2) &&
			  hf_cbor_put_text(&payload, hf_slice_of(SECRET)) && hf_cbor_put_text(&payload, hf_slice_of("no")) &&
			  hf_cbor_pair_text(&payload, "question", hf_slice_of("?")));
	ck_assert_int_eq(publish_on(identity, session, "ask", hf_buffer_slice(&payload), NULL), HF_VERDICT_STORED);
	hf_buffer_free(&payload);
}

static void say_status(const char *identity, const char *session)
{
	struct hf_buffer payload = {0};
	char topic[64];

	snprintf(topic, sizeof(topic), "presence/%s", identity);
	ck_assert(hf_cbor_put_map(&payload, 1) && hf_cbor_pair_text(&payload, "status", hf_slice_of(SECRET)));
	ck_assert_int_eq(publish_on(identity, session, topic, hf_buffer_slice(&payload), NULL), HF_VERDICT_STORED);
	hf_buffer_free(&payload);
}

static void leave_traces(const char *session)
{
	ck_assert_int_eq(publish_on("ben", session, "shared/title", hf_slice_of(SECRET), NULL), HF_VERDICT_STORED);
	ck_assert_int_eq(publish_on("ann", session, "shared/other", hf_slice_of("ann's"), NULL), HF_VERDICT_STORED);
	say_status("ben", session);
}

START_TEST(what_was_derived_goes_too)
{
	bool found;
	struct hf_buffer value = {0};

	open_it();
	leave_traces("a"); /* in memory */
	leave_traces("b"); /* at rest */
	ask("agent", "a");
	ask("agent", "b");
	ck_assert_ok(hf_hub_flush(hub));
	disconnect("ben");
	reopen();
	say_as("ann", "a", "hello");
	ck_assert(facts_have_it("a"));
	ck_assert(facts_have_it("b"));
	erase("ben");
	erase("agent");
	ck_assert_uint_eq(under_way(), 2);
	finish();
	ck_assert(!facts_have_it("a"));
	ck_assert(!facts_have_it("b"));
	ck_assert_ok(hf_fact_get(hub->store, hf_slice_of("b"), HF_FACT_SHARED_VALUE, hf_slice_of("other"), &value, &found));
	ck_assert(found);
	hf_buffer_free(&value);
	/* The key can be had again. */
	ck_assert_int_eq(publish_on("ann", "a", "shared/title", hf_slice_of("new"), NULL), HF_VERDICT_STORED);
}
END_TEST

START_TEST(a_repeat_is_known_by_its_digest)
{
	uint64_t head;

	open_it();
	ck_assert_int_eq(publish_on("ben", "a", "input", hf_slice_of(SECRET), "id-1"), HF_VERDICT_STORED);
	erase("ben");
	finish();
	head = hf_store_head(hub->store);
	ck_assert_int_eq(publish_on("ben", "a", "input", hf_slice_of(SECRET), "id-1"), HF_VERDICT_STORED);
	ck_assert_uint_eq(hf_store_head(hub->store), head);
	ck_assert_int_eq(publish_on("ben", "a", "input", hf_slice_of("another"), "id-1"), HF_VERDICT_REFUSED);
}
END_TEST

/* ---- in steps, and cut short */

#define MANY 3500

static void fill(void)
{
	for (int i = 0; i < MANY; i++) {
		say_as(i % 3 ? "ben" : "ann", "a", "text");
	}
}

START_TEST(it_takes_its_time_and_survives_a_restart)
{
	char detail[64];
	uint64_t count;

	open_it();
	fill();
	erase("ben");
	unsigned restarts = 0;
	for (; restarts < 8 && under_way() > 0; restarts++) { /* the last ones break off what RocksDB does */
		pass(5);
		tick();
		reopen();
	}
	ck_assert_uint_eq(restarts, 8);
	finish();
	ck_assert_uint_eq(records_of(HF_AUDIT_FORGOTTEN, "ben", &count, detail), 1);
	ck_assert_uint_eq(count, MANY / 3 * 2 + 1);
	check_chain(count);
}
END_TEST

static void erase_and_die(int ticks)
{
	open_it();
	fill();
	erase("ben");
	for (int i = 0; i < ticks; i++) {
		pass(5);
		tick();
	}
	_exit(0);
}

START_TEST(it_survives_a_kill)
{
	char detail[64];
	uint64_t count;
	int status;

	pid_t child = fork();
	if (child == 0) {
		erase_and_die(_i);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	open_it();
	finish();
	ck_assert_uint_eq(records_of(HF_AUDIT_FORGOTTEN, "ben", &count, detail), 1);
	ck_assert_uint_eq(count, MANY / 3 * 2 + 1);
	check_chain(count);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session: forget");
	TCase *tests = case_without_hub(suite, "all");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, entries_lose_their_payload_and_stay);
	tcase_add_test(tests, what_is_held_is_refused_or_spared);
	tcase_add_test(tests, nonsense_is_refused);
	tcase_add_test(tests, retention_takes_them_like_others);
	tcase_add_test(tests, readers_are_told_in_its_place);
	tcase_add_test(tests, a_device_that_was_away_goes_on);
	tcase_add_test(tests, joined_messages_end_before_it);
	tcase_add_test(tests, workers_are_not_given_it);
	tcase_add_test(tests, what_was_derived_goes_too);
	tcase_add_test(tests, a_repeat_is_known_by_its_digest);
	tcase_add_test(tests, it_takes_its_time_and_survives_a_restart);
	tcase_add_loop_test(tests, it_survives_a_kill, 0, 8);
	return run_suite(suite);
}
