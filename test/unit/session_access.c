/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/stat.h>

#include "session/access.h"
#include "session_fake.h"

static struct hf_access *access_rules;

static enum hf_reason load(const char *text)
{
	if (text) {
		write_roles(text);
	}
	message[0] = '\0';
	hf_access_free(access_rules);
	access_rules = NULL;
	return hf_access_load(options.roles, &access_rules, message, sizeof(message));
}

static void forget_rules(void)
{
	hf_access_free(access_rules);
	access_rules = NULL;
	stop();
}

static enum hf_role role(const char *identity, const char *session)
{
	return hf_access_role(access_rules, hf_slice_of(identity), hf_slice_of(session));
}

static void check_line(const char *text, unsigned int line)
{
	char wanted[32];

	ck_assert_reason(load(text), HF_ROLES_INVALID);
	ck_assert_ptr_null(access_rules);
	snprintf(wanted, sizeof(wanted), "line %u:", line);
	ck_assert_msg(strstr(message, wanted), "'%s' is blamed by: %s", text, message);
	ck_assert_msg(strstr(message, options.roles), "%s", message);
	ck_assert_msg(strstr(message, "plugin_opt_roles"), "%s", message);
}

START_TEST(bad_lines_are_named)
{
	check_line("ann\n", 1);
	check_line("ann user\n", 1);
	check_line("ann user a b\n", 1);
	check_line("ann user a b c\n", 1);
	check_line("ann boss a\n", 1);
	check_line("ann User a\n", 1);
	check_line("ann broker a\n", 1);
	check_line("# a comment\n\nann user *\nbob user\n", 4);
	check_line("ann user *\r\nbob nothing *\r\n", 2);
	check_line("ann user ,a\n", 1);
	check_line("ann user a,\n", 1);
	check_line("ann user a,,b\n", 1);
	check_line("ann user ,\n", 1);
	check_line("ann user * # fine\nbob user # not fine *\n", 2);
	check_line("ann user", 1);
}
END_TEST

START_TEST(good_lines)
{
	ck_assert_ok(load(""));
	ck_assert_int_eq(role("ann", "a"), HF_ROLE_NONE);
	ck_assert_ok(load("\n\n# nothing\n   \t\n\r\n"));
	ck_assert_int_eq(role("ann", "a"), HF_ROLE_NONE);
	ck_assert_ok(load("ann user a # a comment\n\tbob\t agent   b,c,d*\r\nlast admin z"));
	ck_assert_int_eq(role("ann", "a"), HF_ROLE_USER);
	ck_assert_int_eq(role("ann", "b"), HF_ROLE_NONE);
	ck_assert_int_eq(role("bob", "a"), HF_ROLE_NONE);
	ck_assert_int_eq(role("bob", "b"), HF_ROLE_AGENT);
	ck_assert_int_eq(role("bob", "c"), HF_ROLE_AGENT);
	ck_assert_int_eq(role("bob", "dance"), HF_ROLE_AGENT);
	ck_assert_int_eq(role("last", "z"), HF_ROLE_ADMIN);
	ck_assert_int_eq(role("", "a"), HF_ROLE_NONE);
	ck_assert_int_eq(role("ann ", "a"), HF_ROLE_NONE);
}
END_TEST

START_TEST(first_match_wins)
{
	ck_assert_ok(load("ann observer secret-*\nann user *\n* agent bots\nann admin *\n"));
	ck_assert_int_eq(role("ann", "secret-1"), HF_ROLE_OBSERVER);
	ck_assert_int_eq(role("ann", "open"), HF_ROLE_USER);
	ck_assert_int_eq(role("ann", "bots"), HF_ROLE_USER);
	ck_assert_int_eq(role("bob", "bots"), HF_ROLE_AGENT);
	ck_assert_int_eq(role("bob", "open"), HF_ROLE_NONE);
}
END_TEST

START_TEST(patterns_are_globs)
{
	ck_assert_ok(load("agent-[0-9] agent s-?\n*@example.org user *\n\\*star operator x\n"));
	ck_assert_int_eq(role("agent-7", "s-1"), HF_ROLE_AGENT);
	ck_assert_int_eq(role("agent-x", "s-1"), HF_ROLE_NONE);
	ck_assert_int_eq(role("agent-77", "s-1"), HF_ROLE_NONE);
	ck_assert_int_eq(role("agent-7", "s-"), HF_ROLE_NONE);
	ck_assert_int_eq(role("agent-7", "s-12"), HF_ROLE_NONE);
	ck_assert_int_eq(role("ann@example.org", "s-1"), HF_ROLE_USER);
	ck_assert_int_eq(
		role("a/b@example.org", "s-1"), HF_ROLE_USER); /* a slash in an identity is a character like others */
	ck_assert_int_eq(role("*star", "x"), HF_ROLE_OPERATOR);
	ck_assert_int_eq(role("tarstar", "x"), HF_ROLE_NONE);
}
END_TEST

/* What a client calls itself must not reach the C string functions cut short or run over. */
START_TEST(hostile_names)
{
	char identity[5000];

	ck_assert_ok(load("* user *\n"));
	memset(identity, 'i', sizeof(identity));
	ck_assert_int_eq(
		hf_access_role(access_rules, hf_slice_from(identity, sizeof(identity)), hf_slice_of("a")), HF_ROLE_NONE);
	ck_assert_int_eq(hf_access_role(access_rules, hf_slice_from("ann\0admin", 9), hf_slice_of("a")), HF_ROLE_NONE);
	ck_assert_int_eq(hf_access_role(access_rules, hf_slice_of("ann"), hf_slice_from(identity, 65)), HF_ROLE_NONE);
	ck_assert_int_eq(hf_access_role(access_rules, hf_slice_of("ann"), hf_slice_from(identity, 64)), HF_ROLE_USER);
	ck_assert(!hf_access_reads_some(access_rules, hf_slice_from(identity, sizeof(identity))));
	ck_assert(!hf_access_reads_some(access_rules, hf_slice_from("ann\0admin", 9)));
}
END_TEST

START_TEST(reads_some)
{
	ck_assert_ok(load("ann user a\nbob auditor *\nbob observer b\neve admin *\n"));
	ck_assert(hf_access_reads_some(access_rules, hf_slice_of("ann")));
	ck_assert(hf_access_reads_some(access_rules, hf_slice_of("bob")));
	ck_assert(!hf_access_reads_some(access_rules, hf_slice_of("eve")));
	ck_assert(!hf_access_reads_some(access_rules, hf_slice_of("nobody")));
	/* The first rule decides, also where the later one would let it read. */
	ck_assert_int_eq(role("bob", "b"), HF_ROLE_AUDITOR);
}
END_TEST

static bool names(const char *identity, const char *session)
{
	return hf_access_names(access_rules, hf_slice_of(identity), hf_slice_of(session));
}

/* What was said is read by who is named beside a session's very name. */
START_TEST(a_session_is_named_by_its_id)
{
	ck_assert_ok(load("hal auditor a,hr-*\nhal auditor *\nida auditor b*\nida auditor b1\naud-* auditor [c],c?,d\n"));
	ck_assert(names("hal", "a"));
	ck_assert(!names("hal", "hr-1"));
	ck_assert(!names("hal", "b"));
	ck_assert(!names("hal", "hr-"));
	ck_assert(!names("ida", "b1")); /* the first rule decides, by its pattern */
	ck_assert(!names("aud-1", "c"));
	ck_assert(!names("aud-1", "cc"));
	ck_assert(names("aud-1", "d"));
	ck_assert(!names("eve", "a"));
	ck_assert(!hf_access_names(access_rules, hf_slice_of("hal"), hf_slice_from("a\0", 2)));
	ck_assert(!hf_access_names(access_rules, hf_slice_of("hal"), HF_SLICE_NONE));
}
END_TEST

START_TEST(unreadable)
{
	snprintf(options.roles, sizeof(options.roles), "%s/missing", directory);
	ck_assert_reason(load(NULL), HF_ROLES_INVALID);
	ck_assert_ptr_null(access_rules);
	ck_assert_msg(
		strstr(message, options.roles) && strstr(message, "plugin_opt_roles") && strstr(message, "No such file"), "%s",
		message);
}
END_TEST

START_TEST(folder)
{
	snprintf(options.roles, sizeof(options.roles), "%s", directory);
	ck_assert_reason(load(NULL), HF_ROLES_INVALID);
	ck_assert_ptr_null(access_rules);
	ck_assert_msg(strstr(message, directory) && strstr(message, "irectory"), "%s", message);
}
END_TEST

START_TEST(no_file_no_rules)
{
	options.roles[0] = '\0';
	ck_assert_ok(load(NULL));
	ck_assert_int_eq(role("ann", "a"), HF_ROLE_NONE);
	hf_access_free(access_rules);
	ck_assert_ok(hf_access_load(NULL, &access_rules, message, sizeof(message)));
	ck_assert_int_eq(role("ann", "a"), HF_ROLE_NONE);
}
END_TEST

/* DESIGN section 3, line by line. */
START_TEST(who_publishes_what)
{
	enum { A = 1 << HF_ROLE_AGENT, U = 1 << HF_ROLE_USER, O = 1 << HF_ROLE_OPERATOR, B = 1 << HF_ROLE_OBSERVER };
	static const struct {
		enum hf_kind kind;
		unsigned int roles;
	} table[] = {
		{HF_KIND_NONE, 0},
		{HF_KIND_TOKENS, A | O},
		{HF_KIND_INPUT, U | O},
		{HF_KIND_EVENT, A | O},
		{HF_KIND_SIGNAL, U | O},
		{HF_KIND_ASK, A},
		{HF_KIND_ANSWER, U | O},
		{HF_KIND_NOTICE, 0},
		{HF_KIND_SHARED, A | U | O},
		{HF_KIND_HISTORY, A | U | O | B},
		{HF_KIND_CONTROL, A | U | O | B | 1 << HF_ROLE_ADMIN},
		{HF_KIND_STATE, 0},
		{HF_KIND_EPHEMERAL, A | U | O | B},
		{HF_KIND_MARK, 0},
		{HF_KIND_ERROR, 0},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		for (enum hf_role who = HF_ROLE_NONE; who <= HF_ROLE_BROKER; who++) {
			bool wanted = table[i].roles & 1u << who;
			ck_assert_msg(hf_role_may_publish(who, table[i].kind) == wanted, "%s on %s: %s", hf_role_name(who),
				hf_kind_name(table[i].kind), wanted ? "refused" : "allowed");
		}
	}
	ck_assert(!hf_role_may_publish(HF_ROLE_AGENT, HF_KIND_COUNT));
}
END_TEST

START_TEST(who_reads)
{
	for (enum hf_role who = HF_ROLE_NONE; who <= HF_ROLE_BROKER; who++) {
		bool wanted = who >= HF_ROLE_AGENT && who <= HF_ROLE_OBSERVER;
		ck_assert_msg(hf_role_may_read(who) == wanted, "%s", hf_role_name(who));
	}
}
END_TEST

/* ---- through the hub */

START_TEST(hub_refuses_bad_roles)
{
	write_roles("ann user *\nbob\n");
	ck_assert_reason(try_open(), HF_ROLES_INVALID);
	ck_assert_ptr_null(hub);
	ck_assert_msg(strstr(message, "line 2:"), "%s", message);
}
END_TEST

START_TEST(reload)
{
	enum hf_reason reason;

	open_hub();
	connect_as("pc", "ann", true);
	ck_assert_int_eq(publish_bytes("pc", "ann", "sessions/a/input", hf_slice_of("x"), &reason), HF_VERDICT_STORED);
	subscribe("pc", "sessions/a/#");
	ck_assert_got("pc", "a:mark");
	write_roles("ann user b\nbroken\n");
	ck_assert_reason(hf_hub_reload(hub, message, sizeof(message)), HF_ROLES_INVALID);
	ck_assert_msg(strstr(message, "line 2:"), "%s", message);
	say("a", "still as before");
	ck_assert_got("pc", "a2");
	write_roles("bob user *\nann user b\n");
	ck_assert_ok(hf_hub_reload(hub, message, sizeof(message)));
	ck_assert_int_eq(publish_bytes("pc", "ann", "sessions/a/input", hf_slice_of("x"), &reason), HF_VERDICT_REFUSED);
	ck_assert_reason(reason, HF_NOT_PERMITTED);
	ck_assert_int_eq(publish_bytes("other", "bob", "sessions/a/input", hf_slice_of("x"), &reason), HF_VERDICT_STORED);
	ck_assert_got("pc", "");
	ck_assert_reason(hf_may_receive(hub, "pc", "ann", "sessions/a/state", HF_SLICE_NONE, false), HF_NOT_PERMITTED);
	ck_assert_reason(hf_may_keep(hub, "ann", "sessions/a/input"), HF_NOT_PERMITTED);
	ck_assert_ok(hf_may_keep(hub, "ann", "sessions/b/input"));
}
END_TEST

static void roles(const char *text)
{
	write_roles(text);
	ck_assert_ok(hf_hub_reload(hub, message, sizeof(message)));
}

/* Who loses its role and gets it back goes on where it lost it, under filters that name the session: as after being
 * away. Under one with a wildcard it reads what it may when the turn comes. */
START_TEST(a_role_that_comes_back)
{
	static const char all[] = "ann user *\nbob user a,b\n", less[] = "ann user *\nbob user b\n";

	open_hub();
	roles(all);
	connect_durable("bob/1", "bob");
	subscribe("bob/1", "sessions/a/#");
	subscribe("bob/1", "sessions/b/#");
	connect_durable("bob/2", "bob");
	subscribe("bob/2", "sessions/+/#");
	connect_as("bob/3", "bob", true);
	subscribe("bob/3", "sessions/a/#");
	settle();
	fake.count = 0;
	say("a", "a1");
	ck_assert_str_eq(got("bob/1"), "a1");
	ck_assert_str_eq(got("bob/2"), "a1");
	ck_assert_got("bob/3", "a1");
	roles(less);
	for (int i = 0; i < 3; i++) {
		say("a", "not for bob");
		say("b", "for bob");
	}
	ck_assert_got("bob/1", "b1 b2 b3");
	roles(all);
	say("b", "b4");
	say("a", "a5");
	settle();
	ck_assert_str_eq(got("bob/1"), "a2 a3 a4 b4 a:mark a5");
	ck_assert_str_eq(got("bob/2"), "b4 a5");
	ck_assert_got("bob/3", "a2 a3 a4 a5 a:mark");
}
END_TEST

/* So it is over a restart, and for what was in flight: the broker takes it back from a client that comes without its
 * role. */
START_TEST(a_role_that_comes_back_later)
{
	static const char all[] = "ann user *\nbob user a,b\n", less[] = "ann user *\nbob user b\n";

	open_hub();
	roles(all);
	connect_durable("bob/1", "bob");
	subscribe("bob/1", "sessions/a/#");
	settle();
	say("a", "in flight");
	say("a", "in flight");
	acknowledge(&fake.handed[2]);
	uint64_t handle = fake.handed[1].handle;
	roles(less);
	say("a", "a3");
	disconnect("bob/1");
	hf_delivered(hub, "bob/1", handle, HF_OUTCOME_UNSENT);
	connect_as("bob/1", "bob", false);
	fake.count = 0;
	ck_assert_got("bob/1", "");
	ck_assert_uint_eq(reopen(), 1);
	connect_as("bob/1", "bob", false);
	say("a", "a4");
	ck_assert_got("bob/1", "");
	roles(all);
	ck_assert_got("bob/1", "a1 a3 a4 a:mark");
}
END_TEST

START_TEST(anonymous)
{
	enum hf_reason reason;

	open_hub();
	connect_as("guest", NULL, true);
	ck_assert_reason(hf_may_subscribe(hub, "guest", "sessions/a/#"), HF_NOT_AUTHENTICATED);
	ck_assert_int_eq(publish_bytes("guest", NULL, "sessions/a/input", hf_slice_of("x"), &reason), HF_VERDICT_REFUSED);
	ck_assert_reason(reason, HF_NOT_AUTHENTICATED);
	hf_hub_close(hub);
	options.anonymous_role = HF_ROLE_OBSERVER;
	open_hub();
	connect_as("guest", NULL, true);
	ck_assert_ok(hf_may_subscribe(hub, "guest", "sessions/a/#"));
	ck_assert_int_eq(publish_bytes("guest", NULL, "sessions/a/input", hf_slice_of("x"), &reason), HF_VERDICT_REFUSED);
	ck_assert_reason(reason, HF_NOT_PERMITTED);
}
END_TEST

/* Entries never travel by the broker's own fan-out; live-only and retained topics do, to those who may read. */
START_TEST(what_the_broker_may_deliver)
{
	static const char *const entries[] = {
		"tokens", "input", "event", "signal", "ask", "answer", "notice", "shared/k", "mark", "error", "history"};
	char topic[64];

	open_hub();
	connect_as("pc", "ann", true);
	for (size_t i = 0; i < sizeof(entries) / sizeof(*entries); i++) {
		snprintf(topic, sizeof(topic), "sessions/a/%s", entries[i]);
		ck_assert_reason(hf_may_receive(hub, "pc", "ann", topic, HF_SLICE_NONE, false), HF_NOT_PERMITTED);
	}
	ck_assert_ok(hf_may_receive(hub, "pc", "ann", "sessions/a/state", HF_SLICE_NONE, false));
	ck_assert_reason(hf_may_receive(hub, "pc", "ann", "sessions/a/presence/ann", HF_SLICE_NONE, false),
		HF_NOT_PERMITTED); /* none of ours */
	ck_assert_ok(hf_may_receive(hub, "pc", "ann", "sessions/a/ephemeral/typing", HF_SLICE_NONE, false));
	ck_assert_reason(hf_may_receive(hub, "x", "auditor", "sessions/a/state", HF_SLICE_NONE, false), HF_NOT_PERMITTED);
	ck_assert_reason(hf_may_receive(hub, "x", "watcher", "sessions/b/state", HF_SLICE_NONE, false), HF_NOT_PERMITTED);
	ck_assert_ok(hf_may_receive(hub, "x", "watcher", "sessions/a/state", HF_SLICE_NONE, false));
	ck_assert_reason(hf_may_receive(hub, "pc", "ann", "weather/berlin", HF_SLICE_NONE, false), HF_TOPIC_OUTSIDE);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session: access");
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, make_options, forget_rules);
	suite_add_tcase(suite, tests);
	tcase_add_test(tests, bad_lines_are_named);
	tcase_add_test(tests, good_lines);
	tcase_add_test(tests, first_match_wins);
	tcase_add_test(tests, patterns_are_globs);
	tcase_add_test(tests, hostile_names);
	tcase_add_test(tests, reads_some);
	tcase_add_test(tests, a_session_is_named_by_its_id);
	tcase_add_test(tests, unreadable);
	tcase_add_test(tests, folder);
	tcase_add_test(tests, no_file_no_rules);
	tcase_add_test(tests, who_publishes_what);
	tcase_add_test(tests, who_reads);
	tcase_add_test(tests, hub_refuses_bad_roles);
	tcase_add_test(tests, reload);
	tcase_add_test(tests, a_role_that_comes_back);
	tcase_add_test(tests, a_role_that_comes_back_later);
	tcase_add_test(tests, anonymous);
	tcase_add_test(tests, what_the_broker_may_deliver);
	return run_suite(suite);
}
