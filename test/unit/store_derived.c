/* SPDX-License-Identifier: BSD-3-Clause */
/* Facts, devices and the list of sessions: what is pending and what is on disk look like one. */
#include "store_check.h"

static void put_fact(struct hf_store *store, const char *session, uint8_t type, const char *name, const char *value)
{
	struct hf_slice bytes = hf_slice_of(value);

	ck_assert_ok(hf_fact_put(store, hf_slice_of(session), type, hf_slice_of(name), value != NULL ? &bytes : NULL));
}

static void put_device(struct hf_store *store, const char *device, const char *value)
{
	struct hf_slice bytes = hf_slice_of(value);

	ck_assert_ok(hf_device_put(store, hf_slice_of(device), value != NULL ? &bytes : NULL));
}

/* What a get finds; "-" when nothing. Static. */
static const char *fact(struct hf_store *store, const char *session, uint8_t type, const char *name)
{
	static struct hf_buffer value;
	bool found;

	hf_buffer_clear(&value);
	ck_assert_ok(hf_fact_get(store, hf_slice_of(session), type, hf_slice_of(name), &value, &found));
	ck_assert(hf_buffer_append(&value, "", 1));
	return found ? (const char *)value.data : "-";
}

static const char *device(struct hf_store *store, const char *id)
{
	static struct hf_buffer value;
	bool found;

	hf_buffer_clear(&value);
	ck_assert_ok(hf_device_get(store, hf_slice_of(id), &value, &found));
	ck_assert(hf_buffer_append(&value, "", 1));
	return found ? (const char *)value.data : "-";
}

struct listing {
	char text[4096];
	int left; /* to visit before stopping; -1: all */
};

static bool list_one(void *context, struct hf_slice key, struct hf_slice value)
{
	struct listing *listing = context;
	size_t len = strlen(listing->text);

	snprintf(listing->text + len, sizeof listing->text - len, "%.*s=%.*s ", (int)key.len, key.data, (int)value.len,
		value.data);
	return --listing->left != 0;
}

static bool list_device(void *context, struct hf_slice id, struct hf_slice filter, struct hf_slice value)
{
	char key[300];

	snprintf(
		key, sizeof key, "%.*s%s%.*s", (int)id.len, id.data, filter.len > 0 ? ":" : "", (int)filter.len, filter.data);
	return list_one(context, hf_slice_of(key), value);
}

static const char *facts(struct hf_store *store, const char *session, uint8_t type, int most)
{
	static struct listing listing;

	listing = (struct listing){.left = most};
	ck_assert_ok(hf_fact_each(store, hf_slice_of(session), type, list_one, &listing));
	return listing.text;
}

static const char *devices(struct hf_store *store, int most)
{
	static struct listing listing;

	listing = (struct listing){.left = most};
	ck_assert_ok(hf_device_each(store, list_device, &listing));
	return listing.text;
}

START_TEST(gets_see_what_is_pending)
{
	struct hf_store *store = open_store();

	ck_assert_str_eq(fact(store, "s", 1, "r"), "-");
	put_fact(store, "s", 1, "r", "one");
	ck_assert(hf_store_dirty(store));
	ck_assert_str_eq(fact(store, "s", 1, "r"), "one");
	put_fact(store, "s", 1, "r", "a longer value");
	ck_assert_str_eq(fact(store, "s", 1, "r"), "a longer value");
	put_fact(store, "s", 1, "r", "");
	ck_assert_str_eq(fact(store, "s", 1, "r"), "");
	put_fact(store, "s", 1, "r", "two");
	ck_assert_ok(hf_store_flush(store));
	ck_assert(!hf_store_dirty(store));
	ck_assert_str_eq(fact(store, "s", 1, "r"), "two");
	put_fact(store, "s", 1, "r", NULL);
	ck_assert_str_eq(fact(store, "s", 1, "r"), "-");
	ck_assert_ok(hf_store_flush(store));
	ck_assert_str_eq(fact(store, "s", 1, "r"), "-");

	put_device(store, "d", "x");
	put_device(store, "", "an empty id");
	ck_assert_str_eq(device(store, "d"), "x");
	ck_assert_ok(hf_store_flush(store));
	put_device(store, "d", "y");
	ck_assert_str_eq(device(store, "d"), "y");
	hf_store_close(store);
	store = open_store();
	ck_assert_str_eq(device(store, "d"), "y");
	ck_assert_str_eq(device(store, ""), "an empty id");
	ck_assert_str_eq(fact(store, "s", 1, "r"), "-");
	hf_store_close(store);
}
END_TEST

START_TEST(a_get_appends_to_the_buffer)
{
	struct hf_store *store = open_store();
	struct hf_buffer value = {0};
	bool found;

	put_device(store, "d", "world");
	ck_assert(hf_buffer_append(&value, "hello ", 6));
	ck_assert_ok(hf_device_get(store, hf_slice_of("d"), &value, &found));
	ck_assert(found);
	ck_assert_ok(hf_store_flush(store));
	ck_assert_ok(hf_device_get(store, hf_slice_of("d"), &value, &found));
	ck_assert(hf_slice_is(hf_buffer_slice(&value), "hello worldworld"));
	ck_assert_ok(hf_device_get(store, hf_slice_of("e"), &value, &found));
	ck_assert(!found);
	ck_assert(hf_slice_is(hf_buffer_slice(&value), "hello worldworld"));
	hf_buffer_free(&value);
	hf_store_close(store);
}
END_TEST

START_TEST(no_two_facts_share_a_key)
{
	struct hf_store *store = open_store();
	/* The same bytes in a row, cut at different places, and bytes that a careless separator would be. */
	const struct {
		const char *session;
		uint8_t type;
		struct hf_slice name;
	} keys[] = {
		{"s", 'a', hf_slice_of("bc")},
		{"s", 'b', hf_slice_of("c")},
		{"s", 'a', hf_slice_of("b")},
		{"s", 'a', hf_slice_of("")},
		{"s", 0, hf_slice_of("abc")},
		{"s", 'a', hf_slice_from("b\0c", 3)},
		{"s", 'a', hf_slice_from("\0b\0c", 4)},
		{"sa", 'b', hf_slice_of("c")},
	};
	const size_t count = sizeof keys / sizeof keys[0];

	for (size_t i = 0; i < count; i++) {
		struct hf_slice value = hf_slice_from(&"01234567"[i], 1);
		ck_assert_ok(hf_fact_put(store, hf_slice_of(keys[i].session), keys[i].type, keys[i].name, &value));
		if (i == count / 2)
			ck_assert_ok(hf_store_flush(store));
	}
	for (size_t i = 0; i < count; i++) {
		struct hf_buffer value = {0};
		bool found;
		ck_assert_ok(hf_fact_get(store, hf_slice_of(keys[i].session), keys[i].type, keys[i].name, &value, &found));
		ck_assert(found);
		ck_assert(hf_slice_equal(hf_buffer_slice(&value), hf_slice_from(&"01234567"[i], 1)));
		hf_buffer_free(&value);
	}
	hf_store_close(store);
}
END_TEST

START_TEST(walks_merge_pending_and_disk)
{
	struct hf_store *store = open_store();

	ck_assert_str_eq(devices(store, -1), "");
	put_device(store, "b", "1");
	put_device(store, "d", "2");
	put_device(store, "f", "3");
	ck_assert_str_eq(devices(store, -1), "b=1 d=2 f=3 ");
	ck_assert_ok(hf_store_flush(store));
	ck_assert_str_eq(devices(store, -1), "b=1 d=2 f=3 ");
	put_device(store, "d", NULL);   /* removed between */
	put_device(store, "f", "33");   /* changed at the end */
	put_device(store, "a", "0");    /* new before all */
	put_device(store, "c", "1.5");  /* between */
	put_device(store, "bb", "1.2"); /* longer than its neighbour */
	put_device(store, "g", "4");    /* after all */
	put_device(store, "x", NULL);   /* removed, never there */
	ck_assert_str_eq(devices(store, -1), "a=0 b=1 bb=1.2 c=1.5 f=33 g=4 ");
	ck_assert_str_eq(devices(store, 1), "a=0 ");
	ck_assert_str_eq(devices(store, 3), "a=0 b=1 bb=1.2 ");
	ck_assert_ok(hf_store_flush(store));
	ck_assert_str_eq(devices(store, -1), "a=0 b=1 bb=1.2 c=1.5 f=33 g=4 ");
	hf_store_close(store);
}
END_TEST

static void put_filter(struct hf_store *store, const char *device, const char *filter, const char *value)
{
	struct hf_slice bytes = hf_slice_of(value);

	ck_assert_ok(hf_filter_put(store, hf_slice_of(device), hf_slice_of(filter), value != NULL ? &bytes : NULL));
}

START_TEST(subscriptions_stand_behind_their_device)
{
	struct hf_store *store = open_store();

	put_filter(store, "b", "x/#", "1");
	put_device(store, "bb", "2");
	put_device(store, "b", "3");
	put_filter(store, "bb", "a", "4");
	put_filter(store, "b", "a", "5");
	put_filter(store, "b", "a/b", "6");
	put_filter(store, "none", "a", "7");
	for (int pass = 0; pass < 2; pass++) {
		ck_assert_str_eq(devices(store, -1), "b=3 b:a=5 b:a/b=6 b:x/#=1 bb=2 bb:a=4 none:a=7 ");
		ck_assert_ok(hf_store_flush(store));
	}
	put_filter(store, "b", "a", NULL);
	put_device(store, "bb", NULL);
	ck_assert_str_eq(devices(store, -1), "b=3 b:a/b=6 b:x/#=1 bb:a=4 none:a=7 ");
	hf_store_close(store);
}
END_TEST

START_TEST(a_session_shows_its_own_facts_of_a_type)
{
	struct hf_store *store = open_store();

	for (int flushed = 0; flushed < 2; flushed++) {
		put_fact(store, "s", 1, "ann2", "2");
		put_fact(store, "s", 1, "ann1", "1");
		put_fact(store, "s", 1, "bob1", "3");
		put_fact(store, "s", 2, "ann1", "not type 1");
		put_fact(store, "s-", 1, "ann1", "not s");
		put_fact(store, "r", 1, "ann1", "not s");
		ck_assert_str_eq(facts(store, "s", 1, -1), "ann1=1 ann2=2 bob1=3 ");
		ck_assert_str_eq(facts(store, "s", 1, 2), "ann1=1 ann2=2 ");
		ck_assert_str_eq(facts(store, "s", 3, -1), "");
		ck_assert_str_eq(facts(store, "q", 1, -1), "");
		ck_assert_ok(hf_store_flush(store));
	}
	put_fact(store, "s", 1, "ann2", NULL);
	ck_assert_str_eq(facts(store, "s", 1, -1), "ann1=1 bob1=3 ");
	/* Devices are another family: same bytes, no clash. */
	put_device(store, "s", "device");
	ck_assert_str_eq(facts(store, "s", 1, -1), "ann1=1 bob1=3 ");
	ck_assert_str_eq(devices(store, -1), "s=device ");
	hf_store_close(store);
}
END_TEST

START_TEST(a_commit_writes_what_is_pending_alone)
{
	struct hf_store *store = open_store();
	struct hf_log *log = acquire(store, "a");
	struct hf_store *reader;

	ck_assert_ok(hf_store_commit(store));
	append(log);
	put_device(store, "d", "x");
	put_fact(store, "a", 1, "r", "y");
	ck_assert_ok(hf_store_commit(store));
	ck_assert_ok(try_open(&reader, true));
	ck_assert_str_eq(device(reader, "d"), "x");
	ck_assert_str_eq(fact(reader, "a", 1, "r"), "y");
	ck_assert(hf_store_dirty(reader)); /* the entry had to be replayed */
	hf_store_close(reader);
	ck_assert(hf_store_dirty(store));
	ck_assert_ok(hf_store_flush(store));
	ck_assert(!hf_store_dirty(store));
	hf_log_release(log);
	hf_store_close(store);
}
END_TEST

static bool list_session(void *context, const struct hf_session_info *info)
{
	struct listing *listing = context;
	size_t len = strlen(listing->text);

	snprintf(listing->text + len, sizeof listing->text - len, "%.*s:%" PRIu64 "-%" PRIu64 "@%" PRId64 "-%" PRId64 " ",
		(int)info->session.len, info->session.data, info->tail, info->head, info->created_ms, info->changed_ms);
	return --listing->left != 0;
}

static const char *sessions(struct hf_store *store, int most)
{
	static struct listing listing;

	listing = (struct listing){.left = most};
	ck_assert_ok(hf_session_each(store, HF_SLICE_NONE, list_session, &listing));
	return listing.text;
}

START_TEST(sessions_are_listed)
{
	struct hf_store *store = open_store();
	struct hf_log *b = acquire(store, "b");
	struct hf_log *a = acquire(store, "a");
	struct hf_log *none = acquire(store, "none");
	struct hf_entry entry;

	ck_assert_str_eq(sessions(store, -1), "");
	ck_assert_ok(append_bytes(b, HF_KIND_INPUT, HF_SLICE_NONE, 10, &entry));
	ck_assert_ok(append_bytes(b, HF_KIND_INPUT, HF_SLICE_NONE, 20, &entry));
	ck_assert_str_eq(sessions(store, -1), "b:1-2@10-20 ");
	ck_assert_ok(hf_store_flush(store));
	ck_assert_ok(append_bytes(a, HF_KIND_INPUT, HF_SLICE_NONE, 30, &entry));
	ck_assert_str_eq(sessions(store, -1), "a:1-1@30-30 b:1-2@10-20 ");
	ck_assert_ok(append_bytes(b, HF_KIND_INPUT, HF_SLICE_NONE, 40, &entry));
	ck_assert_str_eq(sessions(store, -1), "a:1-1@30-30 b:1-3@10-40 ");
	ck_assert_str_eq(sessions(store, 1), "a:1-1@30-30 ");
	hf_log_release(a);
	hf_log_release(b);
	hf_log_release(none);
	ck_assert_str_eq(sessions(store, -1), "a:1-1@30-30 b:1-3@10-40 ");
	hf_store_close(store);
	store = open_store();
	ck_assert_str_eq(sessions(store, -1), "a:1-1@30-30 b:1-3@10-40 ");
	hf_store_close(store);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store: derived data");
	TCase *tests = case_with_directory(suite);

	tcase_add_test(tests, gets_see_what_is_pending);
	tcase_add_test(tests, a_get_appends_to_the_buffer);
	tcase_add_test(tests, no_two_facts_share_a_key);
	tcase_add_test(tests, walks_merge_pending_and_disk);
	tcase_add_test(tests, subscriptions_stand_behind_their_device);
	tcase_add_test(tests, a_session_shows_its_own_facts_of_a_type);
	tcase_add_test(tests, a_commit_writes_what_is_pending_alone);
	tcase_add_test(tests, sessions_are_listed);
	return run_suite(suite);
}
