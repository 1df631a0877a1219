/* SPDX-License-Identifier: BSD-3-Clause */
/* Who is there to read what an agent says. */
#include "session/people/people.h"

#include "session_fake.h"

static struct hf_audience seen(const char *session)
{
	struct hf_audience audience;
	struct hf_session *found = hf_session_use(hub, hf_slice_of(session));

	ck_assert_ptr_nonnull(found);
	hf_session_audience(hub, found, &audience);
	ck_assert_int_eq(hf_session_attended(hub, found), audience.people > 0);
	return audience;
}

#define ck_assert_audience(session, people_wanted, devices_wanted, caught_up_wanted)                                   \
	do {                                                                                                               \
		struct hf_audience is = seen(session);                                                                         \
		ck_assert_uint_eq(is.people, people_wanted);                                                                   \
		ck_assert_uint_eq(is.devices, devices_wanted);                                                                 \
		ck_assert_uint_eq(is.caught_up, caught_up_wanted);                                                             \
	} while (0)

START_TEST(counts_identities_and_devices)
{
	ck_assert_audience("a", 0, 0, 0);
	connect_as("pc", "ann", true);
	connect_durable("phone", "ann");
	connect_as("desk", "olga", true);
	ck_assert_audience("a", 0, 0, 0);
	subscribe("pc", "sessions/a/#");
	subscribe("phone", "sessions/a/tokens");
	subscribe("phone", "sessions/a/input");
	subscribe("desk", "sessions/+/tokens");
	settle();
	ck_assert_audience("a", 2, 3, 3);
	ck_assert_audience("b", 1, 1, 1);
	disconnect("pc");
	ck_assert_audience("a", 2, 2, 2);
	disconnect("phone"); /* durable, and away */
	ck_assert_audience("a", 1, 1, 1);
	connect_as("phone", "ann", false);
	settle();
	ck_assert_audience("a", 2, 2, 2);
	disconnect("desk");
	disconnect("phone");
	ck_assert_audience("a", 0, 0, 0);
}
END_TEST

START_TEST(only_users_and_operators_who_get_the_tokens)
{
	struct hf_slice plain;

	connect_as("agent", "agent", true);
	connect_as("wall", "watcher", true);
	connect_as("pc", "ann", true);
	subscribe("agent", "sessions/a/#");
	subscribe("wall", "sessions/a/#");
	subscribe("pc", "sessions/a/input");
	subscribe("pc", "sessions/b/tokens");
	settle();
	ck_assert_audience("a", 0, 0, 0);
	ck_assert_audience("b", 1, 1, 1);
	subscribe("pc", "sessions/a/tokens");
	settle();
	ck_assert_audience("a", 1, 1, 1);
	ck_assert_ok(hf_unsubscribe(hub, "pc", "sessions/a/tokens", &plain));
	ck_assert_audience("a", 0, 0, 0);
	ck_assert_audience("b", 1, 1, 1);
}
END_TEST

/* A device with both a wildcard and a name is one device; one that has only a wildcard beside another name, too. */
START_TEST(wildcards_and_names_of_one_device)
{
	connect_as("pc", "ann", true);
	subscribe("pc", "sessions/+/input");
	subscribe("pc", "sessions/a/tokens");
	settle();
	ck_assert_audience("a", 1, 1, 1);
	ck_assert_audience("b", 0, 0, 0);
	subscribe("pc", "sessions/#");
	settle();
	ck_assert_audience("a", 1, 1, 1);
	ck_assert_audience("b", 1, 1, 1);
}
END_TEST

START_TEST(who_lags_has_not_caught_up)
{
	connect_durable("pc", "ann");
	subscribe("pc", "sessions/a/#");
	settle();
	say_many("a", options.window + 1);
	ck_assert_audience("a", 1, 1, 0);
	while (fake.count > 0) {
		size_t count = fake.count;
		fake.count = 0;
		for (size_t i = 0; i < count; i++) {
			acknowledge(&fake.handed[i]);
		}
		settle();
	}
	ck_assert_audience("a", 1, 1, 1);
}
END_TEST

START_TEST(roles_that_change)
{
	connect_as("pc", "ann", true);
	subscribe("pc", "sessions/a/#");
	settle();
	ck_assert_audience("a", 1, 1, 1);
	write_roles("ann observer *\n");
	ck_assert_ok(hf_hub_reload(hub, message, sizeof(message)));
	ck_assert_audience("a", 0, 0, 0);
	write_roles("ann operator b\n");
	ck_assert_ok(hf_hub_reload(hub, message, sizeof(message)));
	ck_assert_audience("a", 0, 0, 0);
	write_roles("ann operator *\n");
	ck_assert_ok(hf_hub_reload(hub, message, sizeof(message)));
	ck_assert_audience("a", 1, 1, 1);
}
END_TEST

START_TEST(anonymous_devices_count_one_by_one)
{
	hf_hub_close(hub);
	options.anonymous_role = HF_ROLE_USER;
	open_hub();
	connect_as("one", NULL, true);
	connect_as("two", NULL, true);
	subscribe("one", "sessions/a/#");
	subscribe("two", "sessions/+/tokens");
	settle();
	ck_assert_audience("a", 2, 2, 2);
}
END_TEST

/* ---- in the state */

static bool shows(uint64_t head, uint32_t people, uint32_t devices, uint32_t caught_up)
{
	struct hf_buffer wanted = {.data = NULL};
	const struct hf_document_state state = {
		.head = head, .tail = 1, .people = people, .devices = devices, .caught_up = caught_up, .floor = {.epoch = 1}};

	ck_assert(hf_document_state(&wanted, &state));
	bool equal = fake.state_len == wanted.len && memcmp(fake.state, wanted.data, wanted.len) == 0;
	hf_buffer_free(&wanted);
	return equal;
}

START_TEST(told_at_once_and_not_more_often_than_it_may)
{
	say("a", "hello");
	connect_as("watch", "olga", true);
	subscribe("watch", "sessions/a/state");
	settle();
	pass(1000);
	tick();
	fake.announced = 0;
	connect_as("pc", "ann", true);
	subscribe("pc", "sessions/a/#");
	settle();
	ck_assert(shows(1, 1, 1, 1));
	ck_assert_uint_eq(fake.announced, 1);
	/* A thousand comings and goings within a second. */
	for (int i = 0; i < 1000; i++) {
		disconnect("pc");
		connect_as("pc", "ann", true);
		subscribe("pc", "sessions/a/#");
		pass(1);
		tick();
	}
	ck_assert_uint_le(fake.announced, 1 + 1000 / 20 + 1);
	disconnect("pc");
	settle();
	ck_assert(shows(1, 0, 0, 0));
}
END_TEST

START_TEST(wildcard_readers_change_the_state_of_every_session)
{
	say("a", "hello");
	connect_as("watch", "ann", true);
	subscribe("watch", "sessions/a/state");
	settle();
	pass(1000);
	tick();
	fake.announced = 0;
	connect_as("desk", "olga", true);
	subscribe("desk", "sessions/#");
	settle();
	ck_assert(shows(1, 1, 1, 1));
	ck_assert_uint_eq(fake.announced, 1);
	disconnect("desk");
	settle();
	ck_assert(shows(1, 0, 0, 0));
	ck_assert_uint_eq(fake.announced, 2);
	/* One whose filter does not match the tokens changes nothing. */
	connect_as("desk", "olga", true);
	subscribe("desk", "sessions/+/input");
	settle();
	ck_assert_uint_eq(fake.announced, 2);
}
END_TEST

/* What is announced is on its way until the next turn of the loop. Who is shown a newer state before must not get it.
 */
START_TEST(a_state_that_was_overtaken)
{
	char old[512];
	size_t old_len;

	say("a", "hello");
	connect_as("watch", "ann", true);
	subscribe("watch", "sessions/a/state");
	pass(1000);
	settle();
	say("a", "more");
	pass(1000);
	tick();
	memcpy(old, fake.state, fake.state_len);
	old_len = fake.state_len;
	ck_assert_ok(hf_may_receive(hub, "watch", "ann", "sessions/a/state", hf_slice_from(old, old_len), false));
	say("a", "and more");
	unsigned int retained = fake.retained;
	connect_as("late", "olga", true);
	subscribe("late", "sessions/a/state");
	ck_assert_uint_eq(fake.retained, retained + 1);
	ck_assert_ok(
		hf_may_receive(hub, "late", "olga", "sessions/a/state", hf_slice_from(fake.state, fake.state_len), false));
	ck_assert_reason(
		hf_may_receive(hub, "late", "olga", "sessions/a/state", hf_slice_from(old, old_len), false), HF_NOT_PERMITTED);
	ck_assert_reason(
		hf_may_receive(hub, "watch", "ann", "sessions/a/state", hf_slice_from(old, old_len), false), HF_NOT_PERMITTED);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session: audience");
	TCase *tests = case_with_hub(suite, "audience");

	tcase_add_test(tests, counts_identities_and_devices);
	tcase_add_test(tests, only_users_and_operators_who_get_the_tokens);
	tcase_add_test(tests, wildcards_and_names_of_one_device);
	tcase_add_test(tests, who_lags_has_not_caught_up);
	tcase_add_test(tests, roles_that_change);
	tcase_add_test(tests, anonymous_devices_count_one_by_one);
	tcase_add_test(tests, told_at_once_and_not_more_often_than_it_may);
	tcase_add_test(tests, wildcard_readers_change_the_state_of_every_session);
	tcase_add_test(tests, a_state_that_was_overtaken);
	return run_suite(suite);
}
