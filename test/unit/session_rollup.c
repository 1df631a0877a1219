/* SPDX-License-Identifier: BSD-3-Clause */
/* Token batches that a device gets joined while it catches up. */
#include "session_fake.h"

#include "codec/properties.h"

static void publish_batch(const char *session, const struct hf_token_batch *batch, struct hf_slice properties)
{
	struct hf_buffer payload = {.data = NULL};
	char topic[128];
	enum hf_reason reason;

	snprintf(topic, sizeof(topic), "sessions/%s/tokens", session);
	ck_assert(hf_token_encode(batch, &payload));
	struct hf_publish publish = {
		.device = "agent",
		.identity = "agent",
		.topic = topic,
		.payload = hf_buffer_slice(&payload),
		.properties = properties,
		.correlation = HF_SLICE_NONE,
		.qos = 1,
	};
	enum hf_verdict verdict = hf_publish(hub, &publish, &reason);
	ck_assert_msg(verdict == HF_VERDICT_STORED, "%s: %s", topic, hf_reason_name(reason));
	hf_buffer_free(&payload);
}

static struct hf_token_batch batch_of(const char *id, uint64_t seq, const char *text)
{
	return (struct hf_token_batch){
		.id = hf_slice_of(id), .seq = seq, .text = hf_slice_of(text), .kind = HF_SLICE_NONE, .data = HF_SLICE_NONE};
}

static void write_text(const char *id, uint64_t seq, const char *text)
{
	struct hf_token_batch batch = batch_of(id, seq, text);

	publish_batch("a", &batch, HF_SLICE_NONE);
}

/* Batches from `seq` on, each with its number as text. */
static void write_many(const char *id, uint64_t seq, unsigned count)
{
	char text[32];

	for (unsigned i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "%" PRIu64 " ", seq + i);
		write_text(id, seq + i, text);
	}
}

static void acknowledge_all(void)
{
	for (size_t i = 0; i < fake.count; i++) {
		acknowledge(&fake.handed[i]);
	}
	fake.count = 0;
}

static struct hf_token_batch last_batch(void)
{
	struct hf_token_batch batch;

	ck_assert_ok(hf_token_decode(hf_slice_from(fake.last, fake.last_len), &batch));
	return batch;
}

#define ck_assert_text(slice, wanted)                                                                                  \
	do {                                                                                                               \
		struct hf_slice slice_seen = (slice);                                                                          \
		ck_assert_msg(                                                                                                 \
			hf_slice_is(slice_seen, wanted), "'%.*s', not '%s'", (int)slice_seen.len, slice_seen.data, wanted);        \
	} while (0)

/* ---- what is joined */

START_TEST(a_long_answer_is_few_messages)
{
	write_many("r", 0, 1000);
	connect_durable("phone", "ann");
	subscribe("phone", "$from/earliest/sessions/a/tokens");
	ck_assert_got("phone", "a1-1000");
	struct hf_token_batch batch = last_batch();
	ck_assert_text(batch.id, "r");
	ck_assert_uint_eq(batch.seq, 0);
	ck_assert_uint_eq(batch.last, 999);
	ck_assert_uint_eq(batch.text.len, 10 * 2 + 90 * 3 + 900 * 4);
	ck_assert_int_eq(batch.end, HF_END_NONE);
}
END_TEST

START_TEST(live_batches_are_never_joined)
{
	write_many("r", 0, 3);
	connect_durable("phone", "ann");
	subscribe("phone", "$from/earliest/sessions/a/tokens");
	ck_assert_got("phone", "a1-3");
	write_many("r", 3, 3);
	ck_assert_str_eq(got("phone"), "a4 a5 a6"); /* at once, without a tick */
}
END_TEST

START_TEST(one_alone_is_as_it_was_published)
{
	/* Not the encoding that Holdfast would have chosen: seq in nine bytes. */
	static const char odd[] = "\xa3\x62id\x61r\x63seq\x1b\0\0\0\0\0\0\0\0\x64text\x61x";
	enum hf_reason reason;

	ck_assert_int_eq(publish_bytes("agent", "agent", "sessions/a/tokens", hf_slice_from(odd, sizeof(odd) - 1), &reason),
		HF_VERDICT_STORED);
	say("a", "between");
	connect_durable("phone", "ann");
	subscribe("phone", "$from/earliest/sessions/a/tokens");
	ck_assert_got("phone", "a1");
	ck_assert_uint_eq(fake.last_len, sizeof(odd) - 1);
	ck_assert_mem_eq(fake.last, odd, sizeof(odd) - 1);
}
END_TEST

START_TEST(what_lies_between_parts_them)
{
	write_many("r", 0, 3);
	say("a", "between");
	write_many("r", 3, 3);
	connect_durable("phone", "ann");
	subscribe("phone", "$from/earliest/sessions/a/#");
	ck_assert_got("phone", "a1-3 a4 a5-7 a:mark");
	connect_durable("tablet", "ann");
	subscribe("tablet", "$from/earliest/sessions/a/tokens");
	ck_assert_got("tablet", "a1-3 a5-7");
}
END_TEST

START_TEST(responses_are_not_mixed)
{
	write_many("r", 0, 2);
	write_many("s", 0, 2);
	write_many("r", 2, 2);
	tokens("agent", "b", "r", 0, HF_END_NONE, &(enum hf_reason){HF_OK});
	write_many("r", 4, 2);
	connect_durable("phone", "ann");
	subscribe("phone", "$from/earliest/sessions/+/tokens");
	ck_assert_got("phone", "a1-2 a3-4 a5-6 b1 a7-8");
}
END_TEST

START_TEST(only_what_is_alike_is_joined)
{
	struct hf_buffer once = {.data = NULL}, twice = {.data = NULL};
	struct hf_token_batch batch;

	ck_assert(hf_property_put(
		&once, &(struct hf_property){.id = HF_PROPERTY_USER, .name = hf_slice_of("n"), .value = hf_slice_of("1")}));
	ck_assert(hf_property_put(
		&twice, &(struct hf_property){.id = HF_PROPERTY_USER, .name = hf_slice_of("n"), .value = hf_slice_of("2")}));
	write_many("r", 0, 2);
	for (uint64_t seq = 2; seq < 6; seq++) { /* offsets 3 to 6: of another kind */
		batch = batch_of("r", seq, "thinking");
		batch.kind = hf_slice_of(seq < 4 ? "reasoning" : "answer");
		publish_batch("a", &batch, HF_SLICE_NONE);
	}
	for (uint64_t seq = 6; seq < 8; seq++) { /* 7 and 8: with data */
		batch = batch_of("r", seq, "x");
		batch.data = hf_slice_from("\x01", 1);
		publish_batch("a", &batch, HF_SLICE_NONE);
	}
	for (uint64_t seq = 8; seq < 14; seq++) { /* 9 to 14: with properties */
		batch = batch_of("r", seq, "x");
		publish_batch("a", &batch,
			seq < 10   ? hf_buffer_slice(&once)
			: seq < 12 ? hf_buffer_slice(&twice)
					   : HF_SLICE_NONE);
	}
	connect_durable("phone", "ann");
	subscribe("phone", "$from/earliest/sessions/a/tokens");
	ck_assert_got("phone", "a1-2 a3-4 a5-6 a7 a8 a9-10 a11-12 a13-14");
	hf_buffer_free(&once);
	hf_buffer_free(&twice);
}
END_TEST

START_TEST(the_end_comes_with_the_last)
{
	struct hf_token_batch batch = batch_of("r", 2, "the end");

	write_many("r", 0, 2);
	batch.end = HF_END_CANCELLED;
	publish_batch("a", &batch, HF_SLICE_NONE);
	write_many("s", 0, 2);
	connect_durable("phone", "ann");
	subscribe("phone", "$from/earliest/sessions/a/tokens");
	settle();
	ck_assert_str_eq(got("phone"), "a1-3 a4-5");
	ck_assert_ok(hf_token_decode(hf_slice_from(fake.handed[0].payload, fake.handed[0].payload_len), &batch));
	ck_assert_text(batch.text, "0 1 the end");
	ck_assert_int_eq(batch.end, HF_END_CANCELLED);
	ck_assert_uint_eq(batch.last, 2);
}
END_TEST

START_TEST(another_role_is_another_sender)
{
	char why[256];

	write_many("r", 0, 2);
	write_roles("agent agent b\nann user *\nagent operator a\n");
	ck_assert_ok(hf_hub_reload(hub, why, sizeof(why)));
	connect_durable("phone", "ann");
	subscribe("phone", "$from/earliest/sessions/a/tokens");
	ck_assert_got("phone", "a1-2");
}
END_TEST

/* ---- by choice */

START_TEST(batches_as_they_were)
{
	write_many("r", 0, 3);
	connect_durable("phone", "ann");
	subscribe("phone", "$from/earliest,batches/sessions/a/tokens");
	ck_assert_got("phone", "a1 a2 a3");
	subscribe("phone", "$from/earliest/sessions/a/tokens");
	ck_assert_got("phone", "a1-3");
}
END_TEST

START_TEST(one_filter_that_wants_batches_is_enough)
{
	write_many("r", 0, 3);
	connect_durable("phone", "ann");
	subscribe("phone", "$from/earliest,batches/sessions/a/tokens");
	subscribe("phone", "$from/earliest/sessions/a/#");
	ck_assert_got("phone", "a1 a2 a3 a:mark");
}
END_TEST

START_TEST(the_choice_is_kept)
{
	connect_durable("phone", "ann");
	subscribe("phone", "$resume/latest,batches/sessions/a/tokens");
	settle();
	disconnect("phone");
	write_many("r", 0, 3);
	reopen();
	connect_as("phone", "ann", false);
	settle();
	ck_assert_str_eq(got("phone"), "a1 a2 a3");
	acknowledge_all();
	disconnect("phone");
	write_many("r", 3, 3);
	connect_as("phone", "ann", false);
	subscribe("phone", "sessions/a/tokens"); /* the choice is that of the last time it was subscribed */
	settle();
	ck_assert_str_eq(got("phone"), "a4 a5-6"); /* the first one alone: see sizes_that_are_not_known */
}
END_TEST

START_TEST(switched_off)
{
	options.rollup = 0;
	reopen();
	write_many("r", 0, 3);
	connect_durable("phone", "ann");
	subscribe("phone", "$from/earliest/sessions/a/tokens");
	ck_assert_got("phone", "a1 a2 a3");
}
END_TEST

/* ---- acknowledgements */

static void come_back(const char *device)
{
	fake.count = 0;
	connect_as(device, "ann", false);
	settle();
}

START_TEST(acknowledged_as_a_whole)
{
	write_many("r", 0, 5);
	connect_durable("phone", "ann");
	subscribe("phone", "$from/earliest/sessions/a/tokens");
	ck_assert_got("phone", "a1-5");
	reopen();
	come_back("phone");
	ck_assert_str_eq(got("phone"), "a1 a2 a3 a4 a5"); /* what it may have seen comes one by one */
	acknowledge_all();
	reopen();
	come_back("phone");
	ck_assert_got("phone", "");
}
END_TEST

START_TEST(acknowledged_above_others)
{
	write_many("r", 0, 5);
	say("a", "unread");
	write_many("r", 5, 5);
	connect_durable("phone", "ann");
	subscribe("phone", "$from/earliest/sessions/a/#");
	settle();
	ck_assert_str_eq(got("phone"), "a1-5 a6 a7-11 a:mark");
	acknowledge(&fake.handed[0]);
	acknowledge(&fake.handed[2]);
	write_many("r", 10, 3);
	reopen();
	come_back("phone");
	ck_assert_got("phone", "a6 a12 a13 a14 a:mark");
}
END_TEST

/* After the end of the broker, orderly or not, a message is all new to a device, or not at all. */
START_TEST(new_or_seen_never_both)
{
	connect_durable("phone", "ann");
	subscribe("phone", "sessions/a/tokens");
	settle();
	write_many("r", 0, 3);
	ck_assert_str_eq(got("phone"), "a1 a2 a3");
	disconnect("phone");
	write_many("r", 3, 5);
	reopen();
	come_back("phone");
	/* a1 to a3 were seen, perhaps: alone. What was published when it was away cannot have been. */
	ck_assert_str_eq(got("phone"), "a1 a2 a3 a4-8");
}
END_TEST

START_TEST(what_an_online_device_has_seen_a_kill_leaves_open)
{
	struct hf_buffer record = {.data = NULL};
	uint64_t shown;
	struct hf_store *store;
	bool found;

	connect_durable("phone", "ann");
	subscribe("phone", "sessions/a/tokens");
	settle();
	write_many("r", 0, 3);
	pass(100);
	tick();
	hf_hub_rewake(hub);
	/* As a kill leaves it: the record as it was while the device was connected. */
	hf_hub_close(hub);
	ck_assert_ok(
		hf_store_open(&(struct hf_store_options){.path = options.store}, NULL, NULL, &store, message, sizeof(message)));
	ck_assert_ok(hf_device_get(store, hf_slice_of("phone"), &record, &found));
	memcpy(&shown, record.data + 52, sizeof(shown));
	ck_assert_uint_eq(shown, 3); /* an orderly end knows */
	memset(record.data + 52, 0xff, sizeof(shown));
	ck_assert_ok(
		hf_device_put(store, hf_slice_of("phone"), &(struct hf_slice){.data = (char *)record.data, .len = record.len}));
	hf_store_close(store);
	open_hub();
	write_many("r", 3, 5);
	come_back("phone");
	ck_assert_str_eq(got("phone"), "a1 a2 a3 a4-8");
	hf_buffer_free(&record);
}
END_TEST

/* The end of the record of a device: see cursors.c. */
START_TEST(golden_bytes_of_a_joined_message)
{
	static const unsigned char wanted[] = {
		0x02,
		0x00,
		0x00,
		0x00, /* owed: two messages */
		0x2d,
		0x01,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00, /* shown: LSN 301 */
		'a',
		'n',
		'n', /**/
		0x0b,
		0x01,
		0xab,
		0x02,
		0x00,
		0x01, /* LSN 1 and 299 more, from offset 1 on, under the filter of slot 0 */
		0x08,
		0x00,
		0xad,
		0x02, /* and 301, offset 301 */
		0x00,
		0xae,
		0x02, /* that filter has not been handed offset 302 */
	};
	struct hf_buffer record = {.data = NULL};
	struct hf_store *store;
	bool found;

	write_many("r", 0, 300);
	say("a", "and one more");
	connect_durable("phone", "ann");
	subscribe("phone", "$from/earliest,batches/sessions/a/#");
	subscribe("phone", "$from/earliest/sessions/a/#");
	settle();
	ck_assert_str_eq(got("phone"), "a1-300 a301 a:mark");
	hf_hub_close(hub);
	ck_assert_ok(
		hf_store_open(&(struct hf_store_options){.path = options.store}, NULL, NULL, &store, message, sizeof(message)));
	ck_assert_ok(hf_device_get(store, hf_slice_of("phone"), &record, &found));
	ck_assert_uint_gt(record.len, sizeof(wanted));
	ck_assert_mem_eq(record.data + record.len - sizeof(wanted), wanted, sizeof(wanted));
	hf_buffer_free(&record);
	hf_store_close(store);
	open_hub();
}
END_TEST

static void open_with_retention(uint64_t count)
{
	hf_hub_close(hub);
	options.retention = (struct hf_retention){.count = count};
	open_hub();
}

static void check_truncated(const struct handed *handed, uint64_t first, uint64_t last)
{
	struct hf_buffer wanted = {.data = NULL};

	ck_assert(hf_document_gap(&wanted, first, last, "truncated"));
	ck_assert_uint_eq(handed->payload_len, wanted.len);
	ck_assert_mem_eq(handed->payload, wanted.data, wanted.len);
	hf_buffer_free(&wanted);
}

static void ck_assert_single(uint64_t first, uint64_t last)
{
	ck_assert_uint_ge(fake.count, last + 1 - first);
	for (size_t i = 0; i <= last - first; i++) {
		ck_assert_uint_eq(fake.handed[i].offset, first + i);
		ck_assert_uint_eq(fake.handed[i].first_offset, 0);
	}
}

/* Of what was joined and in flight when the broker stopped, retention has removed the beginning. */
START_TEST(what_is_left_of_joined_ones)
{
	open_with_retention(100);
	write_many("r", 0, 100);
	say("b", "between"); /* another session, and not due */
	write_many("r", 100, 50);
	connect_durable("phone", "ann");
	subscribe("phone", _i % 2 ? "$from/earliest/sessions/+/tokens" : "$from/earliest/sessions/a/tokens");
	subscribe("phone", "sessions/a/mark");
	settle();
	ck_assert_str_eq(got("phone"), "a1-150 a:mark");
	reopen();
	uint64_t first = 1, tail = 78;
	if (_i >= 2) { /* it gets some of them, and acknowledges these */
		come_back("phone");
		ck_assert_single(1, 100);
		fake.outcome = HF_DROPPED;
		acknowledge_all();
		disconnect("phone");
		fake.outcome = HF_HANDED;
		say_many("a", 40);
		first = 101;
		tail = 118;
	}
	say_many("a", 27);
	pass(2000);
	tick();
	fake.count = 0;
	reopen();
	come_back("phone");
	ck_assert_uint_eq(fake.count, 1);
	check_truncated(&fake.handed[0], first, tail - 1);
	acknowledge_all();
	settle();
	ck_assert_single(tail, 150);
	ck_assert_uint_eq(fake.count, 150 + 1 - tail + 1); /* and a mark */
}
END_TEST

/* Between them lies one of another session, which the device was not to have: it is not owed with them. */
START_TEST(what_lay_between_joined_ones)
{
	const struct hf_token_batch between = batch_of("q", 0, "between");

	write_roles("agent agent *\nann user a\n");
	ck_assert_ok(hf_hub_reload(hub, message, sizeof(message)));
	write_many("r", 0, 3);
	publish_batch("c", &between, HF_SLICE_NONE);
	write_many("r", 3, 3);
	connect_durable("phone", "ann");
	subscribe("phone", "$from/earliest/sessions/+/tokens");
	ck_assert_got("phone", "a1-6");
	write_roles("agent agent *\nann user *\n");
	reopen();
	come_back("phone");
	ck_assert_got("phone", "a1 a2 a3 a4 a5 a6");
}
END_TEST

START_TEST(given_up_after_all)
{
	struct hf_buffer wanted = {.data = NULL};

	write_many("r", 0, 5);
	connect_durable("phone", "ann");
	subscribe("phone", "$from/earliest/sessions/a/tokens");
	subscribe("phone", "sessions/a/mark");
	settle();
	/* It came back with a smaller Maximum Packet Size, and the broker gave up what was in flight. */
	hf_delivered(hub, "phone", fake.handed[0].handle, HF_OUTCOME_UNSENT);
	fake.count = 0;
	settle();
	ck_assert_str_eq(got("phone"), "a:mark");
	ck_assert(hf_document_gap(&wanted, 1, 5, "too-large"));
	check_document(&fake.handed[0], &wanted);
}
END_TEST

/* ---- sizes */

START_TEST(no_larger_than_the_option_says)
{
	options.rollup = 200;
	reopen();
	write_many("r", 0, 100);
	connect_durable("phone", "ann");
	subscribe("phone", "$from/earliest/sessions/a/tokens");
	settle();
	ck_assert_uint_gt(fake.count, 2);
	ck_assert_uint_lt(fake.count, 10);
	for (size_t i = 0; i < fake.count; i++) {
		ck_assert_uint_le(fake.handed[i].payload_len, 200);
	}
}
END_TEST

START_TEST(no_larger_than_the_client_takes)
{
	write_many("r", 0, 100);
	connect_as("phone", "ann", true);
	make_durable("phone", 300);
	subscribe("phone", "$from/earliest/sessions/a/tokens");
	settle();
	ck_assert_uint_gt(fake.count, 2);
	ck_assert_uint_lt(fake.count, 10);
	for (size_t i = 0; i < fake.count; i++) {
		ck_assert_uint_le(fake.handed[i].payload_len, 300 - 100); /* topic and properties take their share */
	}
	connect_as("watch", "ann", true);
	make_durable("watch", 150);
	fake.count = 0;
	subscribe("watch", "$from/earliest/sessions/a/tokens");
	settle();
	ck_assert_uint_eq(fake.count, 100);
}
END_TEST

/* A device that resumes its session may have another Maximum Packet Size than before, and it is not told. */
START_TEST(sizes_that_are_not_known)
{
	connect_durable("phone", "ann");
	subscribe("phone", "sessions/a/tokens");
	settle();
	disconnect("phone");
	write_many("r", 0, 10);
	come_back("phone");
	/* The first one alone: a joined one is tried only behind a message that is in flight. */
	ck_assert_got("phone", "a1 a2-10");
}
END_TEST

START_TEST(too_large_for_it_so_one_by_one)
{
	connect_durable("phone", "ann");
	subscribe("phone", "sessions/a/#");
	settle();
	acknowledge_all();
	disconnect("phone");
	write_many("r", 0, 90);
	fake.outcome_joined = HF_TOO_LARGE;
	come_back("phone");
	ck_assert_uint_eq(fake.count, 91); /* a mark behind them */
	ck_assert_uint_eq(fake.joined, 1); /* each one costs it a place of its Receive Maximum */
	disconnect("phone");
	fake.outcome_joined = HF_HANDED;
	write_many("r", 90, 3);
	come_back("phone"); /* on another connection it is tried again */
	ck_assert_got("phone", "a91 a92-93 a:mark");
}
END_TEST

/* Receive Maximum 1: what would have to wait is taken back, and the entries come one by one. */
START_TEST(no_place_for_a_second_message)
{
	connect_durable("phone", "ann");
	subscribe("phone", "sessions/a/#");
	settle();
	acknowledge_all();
	disconnect("phone");
	write_many("r", 0, 4);
	fake.outcome_joined = HF_DROPPED;
	come_back("phone");
	ck_assert_got("phone", "a1 a2 a3 a4 a:mark");
	ck_assert_uint_eq(fake.joined, 4);
}
END_TEST

/* Two that came live, one after the other, are no sign of a second place either. */
START_TEST(one_after_the_other_is_one_place)
{
	connect_durable("phone", "ann");
	subscribe("phone", "sessions/a/#");
	settle();
	acknowledge_all();
	disconnect("phone");
	come_back("phone");
	acknowledge_all();
	for (unsigned i = 0; i < 3; i++) {
		say_many("a", 1);
		ck_assert_uint_eq(fake.count, 1);
		acknowledge_all();
	}
	fake.outcome = HF_DROPPED;
	write_many("r", 0, 4);
	settle();
	fake.outcome = HF_HANDED;
	fake.outcome_joined = HF_DROPPED;
	for (unsigned i = 0; i < 20; i++) {
		pass(2000);
		tick();
		hf_hub_rewake(hub);
	}
	ck_assert_str_eq(got("phone"), "a4 a5 a6 a7");
}
END_TEST

/* One that had two messages in flight has room for a joined one sooner or later. */
START_TEST(no_room_for_a_joined_one_now)
{
	connect_durable("phone", "ann");
	subscribe("phone", "sessions/a/#");
	settle();
	acknowledge_all();
	disconnect("phone");
	say_many("a", 2);
	write_many("r", 0, 4);
	fake.outcome_joined = HF_DROPPED;
	come_back("phone");
	for (unsigned i = 0; i < 20; i++) {
		pass(100);
		tick();
		hf_hub_rewake(hub);
	}
	ck_assert_str_eq(got("phone"), "a1 a2");
	ck_assert_uint_gt(fake.joined, 4);
	fake.outcome_joined = HF_HANDED;
	acknowledge_all();
	ck_assert_got("phone", "a3-6 a:mark");
}
END_TEST

START_TEST(without_a_session_at_qos_0_it_cannot_be_known)
{
	write_many("r", 0, 5);
	connect_as("page", "ann", true);
	ck_assert_ok(try_subscribe("page", "$from/earliest/sessions/a/tokens", 0, 0));
	ck_assert_got("page", "a1 a2 a3 a4 a5");
	connect_as("page", "ann", true);
	ck_assert_ok(try_subscribe("page", "$from/earliest/sessions/a/tokens", 1, 0));
	ck_assert_got("page", "a1 a2-5");
}
END_TEST

START_TEST(mqtt_3_has_no_limit)
{
	struct hf_connection connection = {
		.device = "old", .identity = "ann", .token = "old", .clean = true, .unlimited = true};

	write_many("r", 0, 5);
	ck_assert_ok(hf_connected(hub, &connection));
	ck_assert_ok(try_subscribe("old", "$from/earliest/sessions/a/tokens", 0, 0));
	ck_assert_got("old", "a1-5");
}
END_TEST

/* ---- any batches, any cut: the same text */

enum {
	RESPONSES = 4,
	SESSIONS = 2,
	ENTRIES_MAX = 600,
};

struct published {
	unsigned session, response;
	bool tokens, end;
	uint64_t seq;
	size_t text_from, text_to; /* in the text of the response */
};

static struct model {
	uint64_t dice;
	struct published log[ENTRIES_MAX + 1]; /* by LSN */
	uint64_t head;
	uint64_t lsn_of[SESSIONS][ENTRIES_MAX + 1]; /* by offset */
	uint64_t offsets[SESSIONS];
	struct hf_buffer text[SESSIONS][RESPONSES];
	uint64_t next_seq[SESSIONS][RESPONSES];
	unsigned ended[SESSIONS][RESPONSES]; /* how often: ids are not used twice */
	/* what the device has seen */
	bool seen[ENTRIES_MAX + 1];
	uint64_t last_seen;
	uint64_t joined, single;
	size_t payload_max;
} *model;

static uint64_t roll(uint64_t below)
{
	model->dice = model->dice * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (model->dice >> 33) % below;
}

static void name_response(char *id, size_t size, unsigned session, unsigned response)
{
	snprintf(id, size, "%c%u", (char)('r' + response), model->ended[session][response]);
}

static void publish_something(void)
{
	static const char *const pieces[] = {"", "a", "word ", "Gr\xc3\xbc\xc3\x9f\x65 ", "\xe2\x82\xac",
		"\xf0\x9f\x98\x80", "\n", "a longer piece of text, as it comes "};
	static unsigned response;
	unsigned session = (unsigned)roll(SESSIONS);
	struct published *entry = &model->log[++model->head];

	ck_assert_uint_le(model->head, ENTRIES_MAX);
	model->lsn_of[session][++model->offsets[session]] = model->head;
	*entry = (struct published){.session = session};
	if (roll(12) == 0) {
		say(session ? "b" : "a", "between");
		return;
	}
	if (roll(6) == 0) {
		response = (unsigned)roll(RESPONSES);
	}
	char id[16];
	struct hf_buffer *text = &model->text[session][response];
	const char *piece = pieces[roll(sizeof(pieces) / sizeof(*pieces))];
	name_response(id, sizeof(id), session, response);
	struct hf_token_batch batch = batch_of(id, model->next_seq[session][response]++, piece);
	batch.kind = roll(15) == 0 ? hf_slice_of("reasoning") : HF_SLICE_NONE;
	batch.data = roll(15) == 0 ? hf_slice_from("\x01", 1) : HF_SLICE_NONE;
	batch.end = roll(40) == 0 ? HF_END_COMPLETE : HF_END_NONE;
	*entry = (struct published){.session = session,
		.response = response,
		.tokens = true,
		.end = batch.end,
		.seq = batch.seq,
		.text_from = text->len};
	ck_assert(hf_buffer_append(text, piece, strlen(piece)));
	entry->text_to = text->len;
	publish_batch(session ? "b" : "a", &batch, HF_SLICE_NONE);
	if (batch.end != HF_END_NONE) {
		model->ended[session][response]++;
		model->next_seq[session][response] = 0;
	}
}

/* What a message claims to hold is what was published, and all of it. */
static void check_range(unsigned session, uint64_t first, uint64_t last, const struct hf_message *out)
{
	const struct published *begin = &model->log[model->lsn_of[session][first]],
						   *end = &model->log[model->lsn_of[session][last]];
	struct hf_token_batch batch;

	ck_assert_ok(hf_token_decode(out->entry->payload, &batch));
	ck_assert_uint_eq(batch.seq, begin->seq);
	ck_assert_uint_eq(batch.last, end->seq);
	ck_assert_int_eq(batch.end != HF_END_NONE, end->end);
	ck_assert_uint_eq(batch.text.len, end->text_to - begin->text_from);
	ck_assert_mem_eq(batch.text.data, model->text[session][begin->response].data + begin->text_from, batch.text.len);
	ck_assert_uint_le(out->entry->payload.len, options.rollup);
	uint64_t seq = begin->seq;
	for (uint64_t offset = first; offset <= last; offset++) {
		const struct published *entry = &model->log[model->lsn_of[session][offset]];
		/* Others in between are those that the device does not get: inputs, under a filter for tokens. */
		ck_assert(!entry->tokens || (entry->response == begin->response && entry->seq == seq++));
	}
	ck_assert_uint_eq(seq, end->seq + 1);
}

static void watch_phone(const char *device, const struct hf_message *out)
{
	if (!out->entry) {
		return;
	}
	ck_assert_str_eq(device, "phone");
	unsigned session = hf_slice_is(out->entry->session, "b");
	uint64_t last = out->entry->offset, first = out->first_offset ? out->first_offset : last;
	unsigned seen = 0, fresh = 0;

	ck_assert_uint_le(first, last);
	if (out->first_offset) {
		check_range(session, first, last, out);
		model->joined++;
	} else {
		model->single++;
	}
	for (uint64_t offset = first; offset <= last; offset++) {
		uint64_t lsn = model->lsn_of[session][offset];
		if (first != last && !model->log[lsn].tokens) {
			continue;
		}
		seen += model->seen[lsn];
		fresh += !model->seen[lsn];
		model->seen[lsn] = true;
		model->last_seen = lsn;
	}
	ck_assert_msg(seen == 0 || fresh == 0, "%" PRIu64 "-%" PRIu64 ": %u new, %u seen before", first, last, fresh, seen);
}

/* Some of what is in flight is acknowledged, mostly in order. */
static void answer_some(void)
{
	size_t count = 0;

	for (size_t i = 0; i < fake.count; i++) {
		if (fake.handed[i].qos > 0 && roll(4) > 0) {
			acknowledge(&fake.handed[i]);
		} else {
			fake.handed[count++] = fake.handed[i];
		}
	}
	fake.count = count;
}

static void go_away_and_come_back(void)
{
	disconnect("phone");
	for (uint64_t i = roll(20); i > 0; i--) {
		publish_something();
	}
	if (roll(3) == 0) {
		reopen(); /* with what was not acknowledged */
	}
	struct hf_connection connection = {.device = "phone", .identity = "ann", .token = "phone", .unlimited = roll(2)};
	ck_assert_ok(hf_connected(hub, &connection));
}

static bool wanted(const char *filter, const struct published *entry)
{
	return strstr(filter, "#") || entry->tokens;
}

START_TEST(any_batches_any_cut_the_same_text)
{
	static const char *const filters[] = {"sessions/+/#", "sessions/+/tokens"};
	static struct model made;
	char filter[64];

	made = (struct model){.dice = (uint64_t)_i * 2654435761u + 1};
	model = &made;
	const char *plain = filters[roll(2)];
	options.rollup = roll(4) == 0 ? 70 + (unsigned)roll(300) : 8192;
	options.window = 1 + (unsigned)roll(20);
	reopen();
	for (uint64_t i = roll(150); i > 0; i--) {
		publish_something();
	}
	connect_as("phone", "ann", true);
	make_durable("phone", roll(3) == 0 ? 250 + (uint32_t)roll(600) : 0);
	fake_watch = watch_phone;
	snprintf(filter, sizeof(filter), "$from/earliest/%s", plain);
	ck_assert_ok(try_subscribe("phone", filter, (uint8_t)(1 + roll(2)), 0));
	for (unsigned i = 0; i < 60 && model->head < ENTRIES_MAX - 100; i++) {
		for (uint64_t j = roll(8); j > 0; j--) {
			publish_something();
		}
		settle();
		answer_some();
		if (roll(8) == 0) {
			go_away_and_come_back();
		}
	}
	for (unsigned i = 0; i < 5000 && fake.count + (i < 10) > 0; i++) {
		settle();
		acknowledge_all();
		settle();
	}
	fake_watch = NULL;
	for (uint64_t lsn = 1; lsn <= model->head; lsn++) {
		ck_assert_msg(
			model->seen[lsn] == wanted(plain, &model->log[lsn]), "entry %" PRIu64 " of %" PRIu64, lsn, model->head);
	}
	ck_assert_uint_gt(model->joined, 0);
	ck_assert_uint_gt(model->single, 0);
	for (unsigned session = 0; session < SESSIONS; session++) {
		for (unsigned response = 0; response < RESPONSES; response++) {
			hf_buffer_free(&model->text[session][response]);
		}
	}
}
END_TEST

START_TEST(joined_ones_cannot_be_published)
{
	static const char joined[] = "\xa4\x62id\x61r\x63seq\0\x64last\x01\x64text\x61x";
	enum hf_reason reason;

	ck_assert_int_eq(
		publish_bytes("agent", "agent", "sessions/a/tokens", hf_slice_from(joined, sizeof(joined) - 1), &reason),
		HF_VERDICT_REFUSED);
	ck_assert_reason(reason, HF_PAYLOAD_INVALID);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session: rollup");
	TCase *tests = case_with_hub(suite, "all");

	tcase_add_test(tests, a_long_answer_is_few_messages);
	tcase_add_test(tests, live_batches_are_never_joined);
	tcase_add_test(tests, one_alone_is_as_it_was_published);
	tcase_add_test(tests, what_lies_between_parts_them);
	tcase_add_test(tests, responses_are_not_mixed);
	tcase_add_test(tests, only_what_is_alike_is_joined);
	tcase_add_test(tests, the_end_comes_with_the_last);
	tcase_add_test(tests, another_role_is_another_sender);
	tcase_add_test(tests, batches_as_they_were);
	tcase_add_test(tests, one_filter_that_wants_batches_is_enough);
	tcase_add_test(tests, the_choice_is_kept);
	tcase_add_test(tests, switched_off);
	tcase_add_test(tests, acknowledged_as_a_whole);
	tcase_add_test(tests, acknowledged_above_others);
	tcase_add_test(tests, new_or_seen_never_both);
	tcase_add_test(tests, what_an_online_device_has_seen_a_kill_leaves_open);
	tcase_add_test(tests, golden_bytes_of_a_joined_message);
	tcase_add_loop_test(tests, what_is_left_of_joined_ones, 0, 4);
	tcase_add_test(tests, what_lay_between_joined_ones);
	tcase_add_test(tests, given_up_after_all);
	tcase_add_test(tests, no_larger_than_the_option_says);
	tcase_add_test(tests, no_larger_than_the_client_takes);
	tcase_add_test(tests, sizes_that_are_not_known);
	tcase_add_test(tests, too_large_for_it_so_one_by_one);
	tcase_add_test(tests, no_place_for_a_second_message);
	tcase_add_test(tests, one_after_the_other_is_one_place);
	tcase_add_test(tests, no_room_for_a_joined_one_now);
	tcase_add_test(tests, without_a_session_at_qos_0_it_cannot_be_known);
	tcase_add_test(tests, mqtt_3_has_no_limit);
	tcase_add_loop_test(tests, any_batches_any_cut_the_same_text, 0, 60);
	tcase_add_test(tests, joined_ones_cannot_be_published);
	return run_suite(suite);
}
