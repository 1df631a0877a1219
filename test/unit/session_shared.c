/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared state: the latest value of each key is shown to who subscribes; a write may be on condition; there are limits.
 */
#include <sys/wait.h>

#include "session/internal.h"
#include "session_fake.h"

static enum hf_reason write_if(
	const char *who, const char *topic, struct hf_slice value, const uint64_t *expect, const char *id)
{
	struct hf_publish publish = {
		.device = who,
		.identity = who,
		.topic = topic,
		.payload = value,
		.properties = HF_SLICE_NONE,
		.correlation = HF_SLICE_NONE,
		.conditions = {.id = hf_slice_of(id),
			.has_expect_offset = expect != NULL,
			.expect_offset = expect ? *expect : 0},
		.qos = 1,
	};
	enum hf_reason reason;

	hf_publish(hub, &publish, &reason);
	return reason;
}

static void set(const char *topic, const char *value)
{
	ck_assert_ok(write_if("ann", topic, hf_slice_of(value), NULL, NULL));
}

static enum hf_reason set_if(const char *topic, const char *value, uint64_t expect)
{
	return write_if("ann", topic, hf_slice_of(value), &expect, NULL);
}

static int by_topic(const void *a, const void *b)
{
	return strcmp(((const struct shown *)a)->topic, ((const struct shown *)b)->topic);
}

/* What somebody is shown who subscribes now: "a/shared/k=v@1 ..." */
static const char *shown_to(const char *identity, const char *filter)
{
	static char text[4096];
	size_t len = 0;

	text[0] = '\0';
	connect_as("looker", identity, true);
	ck_assert_ok(try_subscribe("looker", filter, 1, 0));
	qsort(fake.shown, fake.shown_count, sizeof(*fake.shown), by_topic);
	for (unsigned i = 0; i < fake.shown_count; i++) {
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s=%s@%" PRIu64, i > 0 ? " " : "",
			fake.shown[i].topic, fake.shown[i].payload, fake.shown[i].offset);
	}
	tick();
	ck_assert_uint_eq(fake.shown_count, 0); /* the broker keeps none */
	disconnect("looker");
	return text;
}

static void write_some(void)
{
	set("sessions/a/shared/title", "one");
	set("sessions/a/shared/title", "two");
	set("sessions/a/shared/cursor", "7");
	set("sessions/b/shared/title", "other");
}

#define A_TITLE "a/shared/title=two@2"
#define A_BOTH "a/shared/cursor=7@3 " A_TITLE
#define B_TITLE "b/shared/title=other@1"

static void check_some(void)
{
	ck_assert_str_eq(shown_to("ann", "sessions/a/shared/title"), A_TITLE);
	ck_assert_str_eq(shown_to("ann", "sessions/a/shared/cursor"), "a/shared/cursor=7@3");
	ck_assert_str_eq(shown_to("ann", "sessions/a/shared/none"), "");
	ck_assert_str_eq(shown_to("ann", "sessions/a/shared/+"), A_BOTH);
	ck_assert_str_eq(shown_to("ann", "sessions/a/#"), A_BOTH);
	ck_assert_str_eq(shown_to("ann", "$from/earliest/sessions/a/#"), A_BOTH);
	ck_assert_str_eq(shown_to("ann", "sessions/a/input"), "");
	ck_assert_str_eq(shown_to("ann", "sessions/+/shared/title"), A_TITLE " " B_TITLE);
	ck_assert_str_eq(shown_to("ann", "sessions/#"), A_BOTH " " B_TITLE);
	ck_assert_str_eq(shown_to("watcher", "sessions/#"), A_BOTH); /* it may not read session b */
	ck_assert_str_eq(shown_to("ann", "sessions/c/#"), "");
}

START_TEST(the_latest_of_each_key)
{
	write_some();
	check_some();
	set("sessions/a/shared/title", "three");
	ck_assert_str_eq(shown_to("ann", "sessions/a/#"), "a/shared/cursor=7@3 a/shared/title=three@4");
}
END_TEST

START_TEST(with_a_filter_of_everything)
{
	struct hf_slice plain;

	write_some();
	connect_as("looker", "ann", true);
	ck_assert_reason(hf_may_subscribe(hub, "looker", "#"), HF_TOPIC_OUTSIDE);
	ck_assert_uint_eq(fake.shown_count, 3);
	ck_assert_ok(hf_subscribe(hub, "looker", "#", 0, 0, &plain));
	tick();
	ck_assert_uint_eq(fake.shown_count, 0);
}
END_TEST

/* An old value is gone before a new one comes. */
START_TEST(away_before_the_next_publish)
{
	write_some();
	connect_as("looker", "ann", true);
	ck_assert_ok(try_subscribe("looker", "sessions/a/#", 1, 0));
	ck_assert_uint_eq(fake.shown_count, 2);
	ck_assert_ok(hf_may_receive(hub, "looker", "ann", "sessions/a/shared/title", HF_SLICE_NONE, true));
	/* Mosquitto's own fan-out of a publish is not retained: it stays away from entries. */
	ck_assert_reason(
		hf_may_receive(hub, "looker", "ann", "sessions/a/shared/title", HF_SLICE_NONE, false), HF_NOT_PERMITTED);
	ck_assert_reason(hf_may_receive(hub, "looker", "ann", "sessions/a/input", HF_SLICE_NONE, true), HF_NOT_PERMITTED);
	ck_assert_reason(
		hf_may_receive(hub, "x", "watcher", "sessions/b/shared/title", HF_SLICE_NONE, true), HF_NOT_PERMITTED);
	set("sessions/a/shared/title", "three");
	ck_assert_uint_eq(fake.shown_count, 0);
	ck_assert_ok(try_subscribe("looker", "sessions/a/shared/title", 1, 0));
	ck_assert_ok(try_subscribe("looker", "sessions/a/shared/title", 1, 0)); /* twice in one packet */
	ck_assert_uint_eq(fake.shown_count, 1);
	ck_assert_str_eq(fake.shown[0].payload, "three");
}
END_TEST

/* Each write is also an entry: it comes live, once, to who was there. */
START_TEST(entries_all_the_same)
{
	connect_as("pc", "ann", true);
	subscribe("pc", "sessions/a/#");
	settle();
	fake.count = 0;
	write_some();
	ck_assert_got("pc", "a1 a2 a3");
}
END_TEST

/* ---- on condition */

static void check_failed(enum hf_reason reason, uint64_t newest)
{
	ck_assert_reason(reason, HF_EXPECT_FAILED);
	settle();
	ck_assert_uint_gt(fake.count, 0);
	check_error(&fake.handed[fake.count - 1], HF_EXPECT_FAILED, "sessions/a/shared/k", &newest);
	fake.count = 0;
}

START_TEST(compare_and_set)
{
	connect_as("ann", "ann", true);
	subscribe("ann", "sessions/a/error");
	settle();
	say("a", "an entry");
	check_failed(set_if("sessions/a/shared/k", "x", 1), 0); /* it is the key's own latest value that counts */
	ck_assert_ok(set_if("sessions/a/shared/k", "x", 0));
	say("a", "an entry");
	set("sessions/a/shared/other", "x");
	check_failed(set_if("sessions/a/shared/k", "y", 0), 2);
	check_failed(set_if("sessions/a/shared/k", "y", 4), 2);
	ck_assert_ok(set_if("sessions/a/shared/k", "y", 2));
	check_failed(set_if("sessions/a/shared/k", "z", 2), 5);
	ck_assert_ok(set_if("sessions/a/shared/k", "", 5)); /* removes it */
	check_failed(set_if("sessions/a/shared/k", "z", 6), 0);
	check_failed(set_if("sessions/a/shared/k", "z", 5), 0);
	ck_assert_ok(set_if("sessions/a/shared/k", "z", 0));
	ck_assert_str_eq(shown_to("ann", "sessions/a/shared/k"), "a/shared/k=z@7");
}
END_TEST

START_TEST(of_20_writers_one_wins_each_round)
{
	for (uint64_t round = 0; round < 10; round++) {
		unsigned won = 0;
		for (unsigned writer = 0; writer < 20; writer++) {
			char value[16];
			snprintf(value, sizeof(value), "%u", writer);
			won += set_if("sessions/a/shared/k", value, round) == HF_OK;
		}
		ck_assert_uint_eq(won, 1);
	}
	ck_assert_str_eq(shown_to("ann", "sessions/a/shared/k"), "a/shared/k=0@10");
}
END_TEST

/* A write whose acknowledgement was lost, with an id: it has won, whatever was written since. */
START_TEST(sent_again)
{
	uint64_t none = 0;

	ck_assert_ok(write_if("ann", "sessions/a/shared/k", hf_slice_of("x"), &none, "w-1"));
	set("sessions/a/shared/k", "y");
	ck_assert_ok(write_if("ann", "sessions/a/shared/k", hf_slice_of("x"), &none, "w-1"));
	ck_assert_reason(write_if("ann", "sessions/a/shared/j", hf_slice_of("x"), &none, "w-1"), HF_ID_REUSED);
	ck_assert_str_eq(shown_to("ann", "sessions/a/#"), "a/shared/k=y@2");
}
END_TEST

START_TEST(an_empty_value_removes_the_key)
{
	write_some();
	set("sessions/a/shared/title", "");
	ck_assert_str_eq(shown_to("ann", "sessions/a/#"), "a/shared/cursor=7@3");
	set("sessions/a/shared/title", ""); /* again: an entry, and nothing else */
	set("sessions/a/shared/never", "");
	reopen();
	ck_assert_str_eq(shown_to("ann", "sessions/a/#"), "a/shared/cursor=7@3");
}
END_TEST

/* ---- limits */

static const char *key_name(unsigned number)
{
	static char topic[64];

	snprintf(topic, sizeof(topic), "sessions/a/shared/k%u", number);
	return topic;
}

START_TEST(not_too_many_keys)
{
	unsigned i;

	for (i = 0; i < 500; i++) {
		set(key_name(i), "x");
	}
	ck_assert_reason(write_if("ann", key_name(i), hf_slice_of("x"), NULL, NULL), HF_SHARED_FULL);
	set(key_name(7), "y"); /* those that are there may change */
	ck_assert_ok(write_if("ann", key_name(i), HF_SLICE_NONE, NULL, NULL));
	set("sessions/b/shared/k", "another session");
	set(key_name(8), "");
	set(key_name(i), "x");
	ck_assert_reason(write_if("ann", key_name(8), hf_slice_of("x"), NULL, NULL), HF_SHARED_FULL);
	reopen();
	ck_assert_reason(write_if("ann", key_name(8), hf_slice_of("x"), NULL, NULL), HF_SHARED_FULL);
	set(key_name(9), "");
	set(key_name(8), "x");
	connect_as("looker", "ann", true);
	subscribe("looker", "sessions/a/#");
	ck_assert_uint_eq(fake.shown_count, 500);
}
END_TEST

START_TEST(not_too_many_bytes)
{
	static char large[1 << 18];
	struct hf_slice value = hf_slice_from(large, sizeof(large) - 1000);
	unsigned stored = 0;

	memset(large, 'x', sizeof(large));
	while (stored < 100 && write_if("ann", key_name(stored), value, NULL, NULL) == HF_OK) {
		stored++;
	}
	ck_assert_uint_ge(stored, 63);
	ck_assert_uint_le(stored, 64);
	ck_assert_reason(write_if("ann", key_name(stored), value, NULL, NULL), HF_SHARED_FULL);
	ck_assert_ok(write_if("ann", key_name(0), value, NULL, NULL)); /* takes the place of one as large */
	set(key_name(1), "small");
	ck_assert_ok(write_if("ann", key_name(stored), value, NULL, NULL));
	ck_assert_reason(write_if("ann", key_name(1), value, NULL, NULL), HF_SHARED_FULL);
}
END_TEST

/* Of many sessions at once, as many as the broker has room for; the log says so. */
START_TEST(not_too_many_shown)
{
	for (unsigned session = 0; session < 3; session++) {
		for (unsigned i = 0; i < 400; i++) {
			char topic[64];
			snprintf(topic, sizeof(topic), "sessions/s%u/shared/k%u", session, i);
			set(topic, "x");
		}
	}
	connect_as("looker", "ann", true);
	subscribe("looker", "sessions/+/shared/+");
	ck_assert_uint_eq(fake.shown_count, 1000);
	ck_assert_ptr_nonnull(strstr(fake.log, "looker has subscribed to more than 1000 shared values"));
	subscribe("looker", "sessions/+/shared/k7");
	ck_assert_uint_eq(fake.shown_count, 3);
}
END_TEST

/* ---- what remains */

START_TEST(after_an_orderly_end)
{
	write_some();
	reopen();
	check_some();
	reopen();
	check_some();
	ck_assert_reason(set_if("sessions/a/shared/title", "x", 1), HF_EXPECT_FAILED);
	ck_assert_ok(set_if("sessions/a/shared/title", "x", 2));
}
END_TEST

static void in_a_life_that_is_killed(void (*live)(void))
{
	int status;

	hf_hub_close(hub);
	hub = NULL;
	pid_t child = check_fork();
	if (child == 0) {
		open_hub();
		live();
		_exit(EXIT_SUCCESS);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS);
	open_hub();
}

static void write_some_around_a_flush(void)
{
	set("sessions/a/shared/title", "one");
	set("sessions/a/shared/gone", "x");
	pass(2000);
	tick();
	set("sessions/a/shared/gone", "");
	set("sessions/a/shared/title", "two");
}

START_TEST(after_a_kill)
{
	in_a_life_that_is_killed(write_some);
	check_some();
	in_a_life_that_is_killed(check_some);
	check_some();
}
END_TEST

START_TEST(after_a_kill_later)
{
	in_a_life_that_is_killed(write_some_around_a_flush);
	ck_assert_str_eq(shown_to("ann", "sessions/a/#"), "a/shared/title=two@4");
	ck_assert_reason(set_if("sessions/a/shared/gone", "x", 3), HF_EXPECT_FAILED);
	ck_assert_ok(set_if("sessions/a/shared/gone", "x", 0));
}
END_TEST

START_TEST(after_a_rest)
{
	write_some();
	for (int i = 0; i < 5; i++) {
		pass(3000);
		tick();
		hf_hub_rewake(hub);
	}
	check_some();
	ck_assert_ok(set_if("sessions/a/shared/title", "x", 2));
}
END_TEST

/* Retention takes entries away, not what is so. */
START_TEST(the_entry_is_removed)
{
	struct hf_session *session;

	write_some();
	pass(2000);
	tick(); /* so that they are flushed */
	HASH_FIND(hh, hub->sessions, "a", 1, session);
	ck_assert_ok(hf_log_truncate(session->log, 4));
	ck_assert_uint_eq(hf_log_tail(session->log), 4);
	check_some();
	reopen();
	check_some();
	ck_assert_reason(set_if("sessions/a/shared/title", "x", 0), HF_EXPECT_FAILED);
	ck_assert_ok(set_if("sessions/a/shared/title", "x", 2));
}
END_TEST

START_TEST(golden_fact)
{
	static const char wanted[] = "\x01\x02\0\0\0\0\0\0\0";
	struct hf_store_options where = {.path = options.store};
	struct hf_buffer place = {.data = NULL}, record = {.data = NULL};
	struct hf_slice session = hf_slice_of("a"), key = hf_slice_of("title");
	struct hf_store *store;
	struct hf_entry entry;
	uint32_t size;
	bool found;

	write_some();
	hf_hub_close(hub);
	ck_assert_ok(hf_store_open(&where, NULL, NULL, &store, message, sizeof(message)));
	ck_assert_ok(hf_fact_get(store, session, HF_FACT_SHARED, key, &place, &found));
	ck_assert(found);
	ck_assert_ok(hf_fact_get(store, session, HF_FACT_SHARED_VALUE, key, &record, &found));
	ck_assert(found);
	ck_assert_uint_eq(place.len, 13);
	ck_assert_mem_eq(place.data, wanted, 9);
	memcpy(&size, place.data + 9, 4); /* the machines this runs on are little-endian */
	ck_assert_uint_eq(size, record.len);
	ck_assert_ok(hf_entry_decode(hf_buffer_slice(&record), &entry));
	ck_assert_uint_eq(entry.offset, 2);
	ck_assert(hf_slice_is(entry.payload, "two") && hf_slice_is(entry.topic, "shared/title") &&
			  hf_slice_is(entry.identity, "ann"));
	hf_buffer_free(&place);
	hf_buffer_free(&record);
	hf_store_close(store);
	open_hub();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session: shared state");
	TCase *tests = case_with_hub(suite, "all");

	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, the_latest_of_each_key);
	tcase_add_test(tests, with_a_filter_of_everything);
	tcase_add_test(tests, away_before_the_next_publish);
	tcase_add_test(tests, entries_all_the_same);
	tcase_add_test(tests, compare_and_set);
	tcase_add_test(tests, of_20_writers_one_wins_each_round);
	tcase_add_test(tests, sent_again);
	tcase_add_test(tests, an_empty_value_removes_the_key);
	tcase_add_test(tests, not_too_many_keys);
	tcase_add_test(tests, not_too_many_bytes);
	tcase_add_test(tests, not_too_many_shown);
	tcase_add_test(tests, after_an_orderly_end);
	tcase_add_test(tests, after_a_kill);
	tcase_add_test(tests, after_a_kill_later);
	tcase_add_test(tests, after_a_rest);
	tcase_add_test(tests, the_entry_is_removed);
	tcase_add_test(tests, golden_fact);
	return run_suite(suite);
}
