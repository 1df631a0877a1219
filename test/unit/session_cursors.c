/* SPDX-License-Identifier: BSD-3-Clause */
/* What a durable device has seen, and that it is remembered. */
#include "session_fake.h"

struct wanted {
	const char *device, *filter; /* filter: "" of the device itself */
	struct hf_buffer *out;
	bool found;
};

static bool keep_record(void *context, struct hf_slice device, struct hf_slice filter, struct hf_slice value)
{
	struct wanted *wanted = context;

	if (hf_slice_is(device, wanted->device) && hf_slice_is(filter, wanted->filter)) {
		ck_assert(hf_buffer_append(wanted->out, value.data, value.len));
		wanted->found = true;
	}
	return true;
}

static struct hf_store *open_store(void)
{
	struct hf_store *store;

	ck_assert_ok(
		hf_store_open(&(struct hf_store_options){.path = options.store}, NULL, NULL, &store, message, sizeof(message)));
	return store;
}

/* A device's record, or that of a subscription, as the store has it. The hub must be closed. */
static void read_record(const char *device, const char *filter, struct hf_buffer *out)
{
	struct wanted wanted = {.device = device, .filter = filter, .out = out};
	struct hf_store *store = open_store();

	ck_assert_ok(hf_device_each(store, keep_record, &wanted));
	ck_assert_msg(wanted.found, "no record of %s %s", device, filter);
	hf_store_close(store);
}

static void close_hub(void)
{
	hf_hub_close(hub);
	hub = NULL;
}

/* Entry `offset` of those handed over since fake.count was 0. */
static const struct handed *entry_handed(uint64_t offset)
{
	for (size_t i = 0; i < fake.count; i++) {
		if (fake.handed[i].offset == offset) {
			return &fake.handed[i];
		}
	}
	ck_abort_msg("entry %" PRIu64 " was not handed over", offset);
	return NULL;
}

static void acknowledge_all(void)
{
	for (size_t i = 0; i < fake.count; i++) {
		acknowledge(&fake.handed[i]);
	}
	fake.count = 0;
}

static void come_back(const char *device)
{
	fake.count = 0;
	connect_as(device, "ann", false);
	settle();
}

/* ---- */

START_TEST(survives)
{
	connect_durable("phone", "ann");
	subscribe("phone", "sessions/a/#");
	ck_assert_got("phone", "a:mark");
	say_many("a", 5);
	ck_assert_str_eq(got("phone"), "a1 a2 a3 a4 a5");
	for (uint64_t offset = 1; offset <= 3; offset++) {
		acknowledge(entry_handed(offset));
	}
	ck_assert_uint_eq(reopen(), 1);
	say("a", "while it was away");
	come_back("phone");
	ck_assert_got("phone", "a4 a5 a6 a:mark");
}
END_TEST

START_TEST(acknowledged_in_any_order)
{
	connect_durable("phone", "ann");
	subscribe("phone", "sessions/a/#");
	say_many("a", 7);
	settle();
	acknowledge(entry_handed(2));
	acknowledge(entry_handed(6));
	acknowledge(entry_handed(4));
	reopen();
	come_back("phone");
	ck_assert_str_eq(got("phone"), "a1 a3 a5 a7 a:mark");
	/* What was acknowledged before stays so, also when it is still above the lowest one that is not. */
	acknowledge(entry_handed(5));
	acknowledge(entry_handed(7));
	reopen();
	come_back("phone");
	ck_assert_str_eq(got("phone"), "a1 a3 a:mark");
	acknowledge_all();
	reopen();
	come_back("phone");
	ck_assert_got("phone", "a:mark");
}
END_TEST

/* Another filter puts the device back: what was acknowledged under the first does not come again for that, also not
 * after a restart in the middle of it; what was not, does. */
START_TEST(a_filter_that_begins_earlier_repeats_nothing)
{
	say("a", "a1");
	say("b", "b1");
	say_many("a", 3);
	say("b", "b2");
	connect_durable("phone", "ann");
	subscribe("phone", "$from/earliest/sessions/a/#");
	settle();
	acknowledge(entry_handed(2));
	acknowledge(entry_handed(3));
	ck_assert_got("phone", "a1 a2 a3 a4 a:mark");
	ck_assert_ok(try_subscribe("phone", "$from/earliest/sessions/b/#", 1, 0));
	ck_assert_str_eq(got("phone"), "");
	reopen();
	say("a", "a5");
	come_back("phone");
	ck_assert_got("phone", "a1 b1 a4 b2 a5 a:mark b:mark");
}
END_TEST

/* A client may acknowledge in any order, and need not acknowledge one entry for as long as it likes. */
START_TEST(one_that_is_not_acknowledged_holds_up_one_place)
{
	hf_hub_close(hub);
	options.window = 4;
	open_hub();
	connect_durable("phone", "ann");
	subscribe("phone", "sessions/a/#");
	settle();
	acknowledge_all();
	say("a", "not this one");
	settle();
	fake.count = 0;
	say_many("a", 500);
	for (uint64_t offset = 2; offset <= 501; offset++) {
		settle();
		acknowledge(entry_handed(offset));
		fake.count = fake.handed[0].offset == offset && fake.count == 1 ? 0 : fake.count;
	}
	reopen();
	come_back("phone");
	ck_assert_got("phone", "a1 a:mark");
}
END_TEST

/* A client may keep most of its window for itself: what it acknowledges is used, if not at once. */
START_TEST(a_client_that_keeps_most_of_its_window)
{
	hf_hub_close(hub);
	options.window = 10;
	open_hub();
	connect_durable("phone", "ann");
	subscribe("phone", "sessions/a/#");
	settle();
	acknowledge_all();
	say_many("a", 20);
	ck_assert_str_eq(got("phone"), "a1 a2 a3 a4 a5 a6 a7 a8 a9 a10");
	acknowledge(entry_handed(3));
	acknowledge(entry_handed(7));
	fake.count = 0;
	ck_assert_got("phone", "a11 a12");
}
END_TEST

/* How often the hub has itself woken in ten seconds. */
static unsigned wakes_in_ten_seconds(void)
{
	unsigned wakes = 0;

	for (int64_t begun = fake.monotonic_ms; fake.monotonic_ms < begun + 10000; wakes++) {
		ck_assert_int_ne(fake.wake_at_ms, 0);
		pass(fake.wake_at_ms > fake.monotonic_ms ? fake.wake_at_ms - fake.monotonic_ms : 0);
		fake.wake_at_ms = 0;
		tick();
		hf_hub_rewake(hub);
	}
	return wakes;
}

/* The broker has no room, and nothing in flight will tell when it has: the device asks again by itself, and not all the
 * time. */
START_TEST(asks_again_when_the_broker_has_no_room)
{
	connect_durable("phone", "ann");
	subscribe("phone", "sessions/a/#");
	settle();
	acknowledge_all();
	fake.outcome = HF_DROPPED;
	say_many("a", 3);
	ck_assert_uint_lt(wakes_in_ten_seconds(), 500);
	fake.outcome = HF_HANDED;
	pass(100);
	ck_assert_got("phone", "a1 a2 a3");
}
END_TEST

START_TEST(asks_again_for_a_mark_that_has_no_room)
{
	connect_durable("phone", "ann");
	subscribe("phone", "sessions/a/#");
	settle();
	acknowledge_all();
	say_many("a", 2);
	fake.outcome = HF_DROPPED;
	hf_delivered(hub, "phone", entry_handed(1)->handle, HF_OUTCOME_UNSENT);
	ck_assert_uint_lt(wakes_in_ten_seconds(), 500);
	fake.outcome = HF_HANDED;
	fake.count = 0;
	pass(2000);
	ck_assert_got("phone", "a:mark");
}
END_TEST

START_TEST(what_is_unsent_or_rejected_counts)
{
	connect_durable("phone", "ann");
	subscribe("phone", "sessions/a/#");
	settle();
	acknowledge_all();
	say_many("a", 2);
	hf_delivered(hub, "phone", entry_handed(1)->handle, HF_OUTCOME_REJECTED);
	hf_delivered(hub, "phone", entry_handed(2)->handle, HF_OUTCOME_UNSENT);
	ck_assert_got("phone", "a1 a2 a:mark"); /* that a2 is too large for it */
	reopen();
	/* The mark was not acknowledged: so a2 is tried again, in case the client takes it by now. */
	come_back("phone");
	ck_assert_got("phone", "a2 a:mark");
}
END_TEST

START_TEST(a_gap_waits_for_the_client)
{
	struct hf_buffer wanted = {.data = NULL};

	connect_durable("phone", "ann");
	subscribe("phone", "sessions/a/#");
	settle();
	acknowledge_all();
	say("a", "much too large");
	uint64_t handle = entry_handed(1)->handle;
	fake.count = 0;
	disconnect("phone");
	hf_delivered(hub, "phone", handle, HF_OUTCOME_UNSENT); /* when it comes back, before anybody hears of it */
	settle();
	ck_assert_uint_eq(fake.count, 0);
	come_back("phone");
	ck_assert_str_eq(got("phone"), "a:mark a:mark");
	ck_assert(hf_document_gap(&wanted, 1, 1, "too-large"));
	check_document(&fake.handed[0], &wanted);
}
END_TEST

START_TEST(never_more_than_the_window)
{
	hf_hub_close(hub);
	options.window = 4;
	open_hub();
	connect_durable("phone", "ann");
	subscribe("phone", "sessions/a/#");
	settle();
	acknowledge_all();
	say_many("a", 20);
	ck_assert_str_eq(got("phone"), "a1 a2 a3 a4");
	settle();
	ck_assert_str_eq(got("phone"), "a1 a2 a3 a4");
	acknowledge(entry_handed(2));
	acknowledge(entry_handed(3));
	fake.count = 2;
	settle();
	ck_assert_str_eq(got("phone"), "a1 a2 a5 a6");
}
END_TEST

#define check_record(device, filter, ...)                                                                              \
	do {                                                                                                               \
		static const unsigned char wanted_bytes[] = {__VA_ARGS__};                                                     \
		struct hf_buffer seen = {.data = NULL};                                                                        \
		read_record(device, filter, &seen);                                                                            \
		ck_assert_uint_eq(seen.len, sizeof(wanted_bytes));                                                             \
		ck_assert_mem_eq(seen.data, wanted_bytes, sizeof(wanted_bytes));                                               \
		hf_buffer_free(&seen);                                                                                         \
	} while (0)

/* The layouts in cursors.c, byte by byte. */
START_TEST(golden_bytes)
{
	struct hf_durable durable = {
		.device = "phone",
		.will_delay_time = 0x1112131415161718,
		.session_expiry_time = 0x0102030405060708,
		.will_delay_interval = 5,
		.session_expiry_interval = 3600,
		.max_packet_size = 100000,
		.listener_port = 1883,
		.max_qos = 2,
		.retain_available = true,
	};

	say("a", "before");
	say_many("b", 199);
	connect_as("phone", "ann", true);
	ck_assert_ok(hf_durable_set(hub, &durable));
	ck_assert_ok(try_subscribe("phone", "sessions/a/#", 1 | 4, 7));
	ck_assert_ok(hf_subscription_keep(hub, "phone", "other/1", 2, 0));
	settle();
	acknowledge_all();
	say_many("a", 4);
	acknowledge(entry_handed(3));
	ck_assert_ok(try_subscribe("phone", "$from/-1/sessions/b/#", 2, 0));
	settle();
	close_hub();
	check_record("phone", "", /**/
		0x03, 0x01, 0x02, 0x00, 0x5b, 0x07, 0x03, 0x00, 0x07, 0x00, 0x02,
		0x00, /* port 1883, identity of 3, 7 Packet Identifiers, 2 filters of a session */
		0x10, 0x0e, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, 0xa0, 0x86, 0x01, 0x00, /* 3600 s, 5 s, 100000 bytes */
		0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01, 0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11, /* the times */
		0xcc, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  /* sent: LSN 204, behind which nothing lies */
		0x04, 0x00, 0x00, 0x00,                          /* owed ... */
		0xcc, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  /* shown: LSN 204 */
		'a', 'n', 'n',                                   /**/
		0xc9, 0x0c, 0x01, 0x00, 0x02,                    /* ... LSN 201, offset 2, under the filter of slot 0 ... */
		0x10, 0x00, 0x04, 0x08, 0x00, 0x05,              /* ... 203 and 204, offsets 4 and 5, under it too ... */
		0x1d, 0x04, 0x00, 0xc7, 0x01,                    /* ... and 200, offset 199, under that of slot 2 */
		0x00, 0x06, 0x02, 0xc8, 0x01);                   /* not handed: of slot 0 offset 6, of slot 2 offset 200 */
	check_record("phone", "sessions/a/#",                /**/
		0x03, 0x00, 0x05, 0x00, 0x07, 0x00, 0x00, 0x00,  /* QoS 1, No Local, identifier 7 */
		0xcc, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  /* from: what the other filter comes to again, it has had */
		0x06, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  /* floor */
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  /* last_n */
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00); /* last_lsn */
	check_record("phone", "other/1",                     /**/
		0x03, 0x01, 0x02, 0x01, 0x00, 0x00, 0x00, 0x00,  /* outside the root, QoS 2, slot 1 */
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  /**/
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  /**/
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  /**/
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00);
	open_hub();
}
END_TEST

START_TEST(anonymous_is_not_an_empty_name)
{
	struct hf_buffer record = {.data = NULL};

	connect_as("guest", NULL, true);
	make_durable("guest", 0);
	connect_as("nameless", "", true);
	make_durable("nameless", 0);
	close_hub();
	read_record("guest", "", &record);
	ck_assert_uint_eq(record.data[1], 2);
	hf_buffer_clear(&record);
	read_record("nameless", "", &record);
	ck_assert_uint_eq(record.data[1], 0);
	hf_buffer_free(&record);
	open_hub();
}
END_TEST

/* After a restart, Packet Identifiers that a QoS 2 client may still hold are not given to other messages: nor after a
 * second one that comes before anything else was written. */
START_TEST(packet_identifiers_move_on)
{
	uint16_t first;

	connect_durable("phone", "ann");
	subscribe("phone", "sessions/a/#");
	settle();
	ck_assert_uint_eq(fake.handed[0].packet_id, 1);
	reopen();
	come_back("phone");
	first = fake.handed[0].packet_id;
	ck_assert_uint_gt(first, 1);
	reopen();
	come_back("phone");
	ck_assert_uint_gt(fake.handed[0].packet_id, first);
}
END_TEST

/* ---- damage */

static bool count_client(void *context, const struct hf_durable *durable)
{
	(void)durable;
	++*(unsigned *)context;
	return true;
}

static void put_records(struct hf_store *store, const struct hf_buffer *whole)
{
	char name[32];

	for (size_t len = 0; len < whole->len; len++) {
		struct hf_slice cut = hf_slice_from(whole->data, len);
		snprintf(name, sizeof(name), "cut-%zu", len);
		ck_assert_ok(hf_device_put(store, hf_slice_of(name), &cut));
	}
}

START_TEST(records_cut_short_are_left_out)
{
	struct hf_buffer record = {.data = NULL};
	struct hf_store *store;
	unsigned clients = 0;
	struct hf_restore restore = {.context = &clients, .client = count_client, .subscription = restore_filter};
	char name[32];

	connect_durable("phone", "ann");
	ck_assert_ok(try_subscribe("phone", "sessions/a/#", 1, 0));
	ck_assert_ok(try_subscribe("phone", "sessions/b/#", 1, 0));
	say_many("a", 3);
	settle();
	acknowledge(entry_handed(2));
	close_hub();
	read_record("phone", "", &record);
	store = open_store();
	put_records(store, &record);
	ck_assert(hf_buffer_append(&record, "x", 1));
	struct hf_slice longer = hf_buffer_slice(&record);
	ck_assert_ok(hf_device_put(store, hf_slice_of("longer"), &longer));
	record.len--;
	record.data[0]++; /* of a later version */
	struct hf_slice later = hf_buffer_slice(&record);
	ck_assert_ok(hf_device_put(store, hf_slice_of("later"), &later));
	hf_store_close(store);

	memset(fake.log, 0, sizeof(fake.log));
	open_hub();
	ck_assert_ok(hf_hub_restore(hub, &restore));
	ck_assert_uint_eq(clients, 1); /* phone itself */
	ck_assert_msg(strstr(fake.log, "'cut-0'") && strstr(fake.log, "left out"), "%s", fake.log);
	for (size_t len = 1; len < record.len && strlen(fake.log) < sizeof(fake.log) - 200; len += 40) {
		snprintf(name, sizeof(name), "'cut-%zu'", len);
		ck_assert_msg(strstr(fake.log, name), "%s is not spoken of", name);
	}
	come_back("phone");
	ck_assert_got("phone", "a1 a3 a:mark b:mark");
	hf_buffer_free(&record);
}
END_TEST

/* Whatever the bytes: no crash, and a good record beside them is read. The sanitizers look on. */
START_TEST(damaged_records)
{
	struct hf_buffer record = {.data = NULL};
	struct hf_store *store;
	char name[32];
	uint64_t dice = 1;

	connect_durable("phone", "ann");
	ck_assert_ok(try_subscribe("phone", "$from/-2/sessions/+/#", 2, 9));
	say_many("a", 3);
	settle();
	close_hub();
	read_record("phone", "", &record);
	store = open_store();
	for (unsigned i = 0; i < 3000; i++) {
		dice = dice * UINT64_C(6364136223846793005) + 1442695040888963407;
		size_t at = (size_t)(dice >> 33) % record.len;
		unsigned char before = record.data[at];
		record.data[at] = (unsigned char)(dice >> 20);
		struct hf_slice damaged = hf_buffer_slice(&record);
		snprintf(name, sizeof(name), "damaged-%u", i);
		ck_assert_ok(hf_device_put(store, hf_slice_of(name), &damaged));
		record.data[at] = before;
	}
	hf_store_close(store);
	open_hub();
	come_back("phone");
	ck_assert_got("phone", "a1 a2 a3");
	hf_buffer_free(&record);
}
END_TEST

/* ---- whose it is */

START_TEST(a_device_belongs_to_an_identity)
{
	const char *owner;

	ck_assert(hf_may_connect(hub, "phone", "olga", &owner));
	connect_durable("phone", "ann");
	ck_assert_ok(hf_subscription_keep(hub, "phone", "other/topic", 1, 0));
	ck_assert(hf_may_connect(hub, "phone", "olga", &owner)); /* it reads no sessions: none of our business */
	subscribe("phone", "sessions/a/#");
	for (int i = 0; i < 3; i++) { /* connected, away, and after a restart */
		ck_assert(hf_may_connect(hub, "phone", "ann", &owner));
		ck_assert(!hf_may_connect(hub, "phone", "olga", &owner));
		ck_assert_str_eq(owner, "ann");
		ck_assert(!hf_may_connect(hub, "phone", NULL, &owner));
		ck_assert(!hf_may_connect(hub, "phone", "", &owner));
		if (i == 0) {
			disconnect("phone");
		} else if (i == 1) {
			ck_assert_uint_eq(reopen(), 1);
		}
	}
	connect_durable("guest", NULL);
	options.anonymous_role = HF_ROLE_OBSERVER;
	hf_hub_close(hub);
	open_hub();
	connect_durable("guest", NULL);
	subscribe("guest", "sessions/a/#");
	ck_assert(hf_may_connect(hub, "guest", NULL, &owner));
	ck_assert(!hf_may_connect(hub, "guest", "ann", &owner));
	ck_assert_ptr_null(owner);
	hf_durable_end(hub, "phone");
	ck_assert(hf_may_connect(hub, "phone", "olga", &owner));
	connect_as("tab", "ann", true); /* not durable: there is nothing to take */
	subscribe("tab", "sessions/a/#");
	ck_assert(hf_may_connect(hub, "tab", "olga", &owner));
}
END_TEST

/* Where the broker did not ask: the other one gets nothing of it, now or later, but what it subscribes to itself. */
START_TEST(somebody_else_begins_anew)
{
	connect_durable("phone", "ann");
	subscribe("phone", "sessions/a/#");
	settle();
	acknowledge_all();
	say_many("a", 3);
	disconnect("phone");
	say("a", "while away");
	fake.count = 0;
	connect_as("phone", "olga", false);
	ck_assert_got("phone", "");
	ck_assert_msg(strstr(fake.log, "'olga' has taken the durable device 'phone' of 'ann'"), "%s", fake.log);
	subscribe("phone", "sessions/b/#");
	say("a", "not for olga");
	say("b", "b1");
	ck_assert_got("phone", "b1 b:mark");
	ck_assert_uint_eq(reopen(), 1);
	say("a", "nor later");
	connect_as("phone", "olga", false);
	ck_assert_got("phone", "b1 b:mark");
}
END_TEST

START_TEST(any_identity_if_so_wanted)
{
	const char *owner;

	hf_hub_close(hub);
	options.any_identity = true;
	open_hub();
	connect_durable("phone", "ann");
	subscribe("phone", "sessions/a/#");
	disconnect("phone");
	say("a", "while away");
	ck_assert(hf_may_connect(hub, "phone", "olga", &owner));
	connect_as("phone", "olga", false);
	ck_assert_got("phone", "a1 a:mark");
}
END_TEST

/* ---- the end of a session */

START_TEST(ended_is_forgotten)
{
	connect_durable("phone", "ann");
	subscribe("phone", "sessions/a/#");
	settle();
	disconnect("phone");
	hf_durable_end(hub, "phone");
	ck_assert_uint_eq(reopen(), 0);
	connect_durable("phone", "ann");
	subscribe("phone", "sessions/a/#");
	connect_as("phone", "ann", true); /* a clean start, over the old connection */
	ck_assert_uint_eq(reopen(), 0);
}
END_TEST

START_TEST(without_a_filter_of_ours_not_restored)
{
	connect_durable("phone", "ann");
	ck_assert_ok(hf_subscription_keep(hub, "phone", "other/topic", 1, 0));
	ck_assert_uint_eq(reopen(), 0);
	connect_durable("phone", "ann");
	subscribe("phone", "sessions/a/#");
	ck_assert_uint_eq(reopen(), 1);
}
END_TEST

/* Neither a failed login under its client id nor the end of a connection that was taken over disconnects a device. */
START_TEST(other_connections_do_not_count)
{
	connect_durable("phone", "ann");
	subscribe("phone", "sessions/a/#");
	settle();
	hf_disconnected(hub, "phone", "another", HF_WHY_TAKEN_OVER);
	hf_disconnected(hub, "nobody", "another", HF_WHY_GOODBYE);
	ck_assert_ptr_eq(hf_connection_of(hub, "phone"), "phone");
	fake.count = 0;
	say("a", "still there");
	ck_assert_got("phone", "a1");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session: cursors");
	TCase *tests = case_with_hub(suite, "all");

	tcase_add_test(tests, survives);
	tcase_add_test(tests, acknowledged_in_any_order);
	tcase_add_test(tests, a_filter_that_begins_earlier_repeats_nothing);
	tcase_add_test(tests, one_that_is_not_acknowledged_holds_up_one_place);
	tcase_add_test(tests, a_client_that_keeps_most_of_its_window);
	tcase_add_test(tests, asks_again_when_the_broker_has_no_room);
	tcase_add_test(tests, asks_again_for_a_mark_that_has_no_room);
	tcase_add_test(tests, what_is_unsent_or_rejected_counts);
	tcase_add_test(tests, a_gap_waits_for_the_client);
	tcase_add_test(tests, never_more_than_the_window);
	tcase_add_test(tests, golden_bytes);
	tcase_add_test(tests, anonymous_is_not_an_empty_name);
	tcase_add_test(tests, packet_identifiers_move_on);
	tcase_add_test(tests, records_cut_short_are_left_out);
	tcase_add_test(tests, damaged_records);
	tcase_add_test(tests, a_device_belongs_to_an_identity);
	tcase_add_test(tests, somebody_else_begins_anew);
	tcase_add_test(tests, any_identity_if_so_wanted);
	tcase_add_test(tests, ended_is_forgotten);
	tcase_add_test(tests, without_a_filter_of_ours_not_restored);
	tcase_add_test(tests, other_connections_do_not_count);
	return run_suite(suite);
}
