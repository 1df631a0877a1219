/* SPDX-License-Identifier: BSD-3-Clause */
#include "session_fake.h"

static void check_set(const char *name, const char *value)
{
	message[0] = '\0';
	ck_assert_msg(hf_options_set(&options, name, value, message, sizeof(message)), "%s '%s': %s", name, value, message);
	ck_assert_str_eq(message, "");
}

/* Refused, by a message that names the option and the value; nothing was changed. */
static void check_refused(const char *name, const char *value)
{
	struct hf_options before = options;

	message[0] = '\0';
	ck_assert_msg(!hf_options_set(&options, name, value, message, sizeof(message)), "%s '%s' is taken", name, value);
	ck_assert_msg(strstr(message, "plugin_opt_"), "%s", message);
	ck_assert_msg(strstr(message, name), "the message does not name %s: %s", name, message);
	if (value) {
		char quoted[128];
		snprintf(quoted, sizeof(quoted), "'%.100s", value);
		ck_assert_msg(strstr(message, quoted), "the message does not say the value %s: %s", value, message);
	}
	ck_assert_msg(strstr(message, "takes"), "the message does not say what it takes: %s", message);
	ck_assert_mem_eq(&before, &options, sizeof(options));
}

static void check_numbers(const char *name, const unsigned int *number, unsigned int min, unsigned int max)
{
	static const char *const bad[] = {"", " ", "x", "1x", "0x10", " 1", "1 ", "-1", "+1", "1.5", "1e3",
		"18446744073709551617", "99999999999999999999999", "-18446744073709551615"};
	char text[32];

	snprintf(text, sizeof(text), "%u", min);
	check_set(name, text);
	ck_assert_uint_eq(*number, min);
	snprintf(text, sizeof(text), "%u", max);
	check_set(name, text);
	ck_assert_uint_eq(*number, max);
	snprintf(text, sizeof(text), "%u", min - 1);
	check_refused(name, text);
	snprintf(text, sizeof(text), "%u", max + 1);
	check_refused(name, text);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		check_refused(name, bad[i]);
	}
	check_refused(name, NULL);
}

START_TEST(defaults)
{
	hf_options_defaults(&options);
	ck_assert_str_eq(options.root, "sessions");
	ck_assert_str_eq(options.store, "");
	ck_assert_str_eq(options.roles, "");
	ck_assert_int_eq(options.anonymous_role, HF_ROLE_NONE);
	ck_assert(!options.any_identity);
	ck_assert_int_eq(options.durability, HF_DURABILITY_PROCESS);
	ck_assert_uint_eq(options.ack_flush_ms, 20);
	ck_assert_uint_gt(options.window, 0);
	ck_assert_uint_gt(options.payload_max, 0);
	ck_assert_uint_gt(options.history_page, 0);
	ck_assert_uint_gt(options.rollup, 0);
	ck_assert_uint_gt(options.ask_expiry_s, 0);
	ck_assert_uint_eq(options.agent_grace_ms, 0);
	ck_assert_uint_eq(options.restart_grace_ms, 10000);
	ck_assert_uint_eq(options.stall_after_ms, 30000);
	ck_assert_int_eq(options.presence_notices, HF_NOTICES_ALL);
	ck_assert_uint_eq(options.share_expiry_s, 7 * 24 * 3600);
}
END_TEST

START_TEST(numbers)
{
	check_numbers("ack_flush", &options.ack_flush_ms, 1, 60000);
	check_numbers("window", &options.window, 1, 1000);
	check_numbers("payload_max", &options.payload_max, 1, 67108864);
	check_numbers("history_page", &options.history_page, 1, 10000);
	check_numbers("rollup", &options.rollup, 0, 1048576);
	check_numbers("ask_expiry", &options.ask_expiry_s, 1, 31622400);
	check_numbers("agent_grace", &options.agent_grace_ms, 0, 3600000);
	check_numbers("restart_grace", &options.restart_grace_ms, 0, 3600000);
	check_numbers("stall_after", &options.stall_after_ms, 0, 3600000);
	check_numbers("share_expiry", &options.share_expiry_s, 1, 315360000);
}
END_TEST

START_TEST(presence_notices)
{
	check_set("presence_notices", "none");
	ck_assert_int_eq(options.presence_notices, HF_NOTICES_NONE);
	check_set("presence_notices", "agents");
	ck_assert_int_eq(options.presence_notices, HF_NOTICES_AGENTS);
	check_set("presence_notices", "all");
	ck_assert_int_eq(options.presence_notices, HF_NOTICES_ALL);
	check_refused("presence_notices", "some");
	check_refused("presence_notices", "");
	check_refused("presence_notices", NULL);
}
END_TEST

static void check_limit(const char *name, const uint64_t *limit, const char *value, uint64_t wanted)
{
	check_set(name, value);
	ck_assert_uint_eq(*limit, wanted);
}

START_TEST(limits)
{
	static const char *const bad[] = {"", " ", "-1", "+1", "1 ", " 1", "x", "1x", "0x10", "1.5", "None",
		"99999999999999999999", "9223372036854775807", NULL};
	static const char *const names[] = {"retention_age", "retention_bytes", "retention_count", "audit_keep"};

	ck_assert_uint_eq(options.retention.age_ms, 0);
	ck_assert_uint_eq(options.retention.bytes, 0);
	ck_assert_uint_eq(options.retention.count, 0);
	check_limit("retention_age", &options.retention.age_ms, "1", 1000);
	check_limit("retention_age", &options.retention.age_ms, "90s", 90000);
	check_limit("retention_age", &options.retention.age_ms, "5m", 300000);
	check_limit("retention_age", &options.retention.age_ms, "2h", 7200000);
	check_limit("retention_age", &options.retention.age_ms, "30d", UINT64_C(2592000000));
	check_limit("retention_age", &options.retention.age_ms, "2w", UINT64_C(1209600000));
	check_limit("retention_age", &options.retention.age_ms, "none", 0);
	ck_assert_uint_eq(options.audit_keep_ms, 0);
	check_limit("audit_keep", &options.audit_keep_ms, "365d", UINT64_C(31536000000));
	check_limit("audit_keep", &options.audit_keep_ms, "none", 0);
	check_limit("retention_bytes", &options.retention.bytes, "1000", 1000);
	check_limit("retention_bytes", &options.retention.bytes, "1k", 1024);
	check_limit("retention_bytes", &options.retention.bytes, "3M", 3145728);
	check_limit("retention_bytes", &options.retention.bytes, "2G", UINT64_C(2147483648));
	check_limit("retention_bytes", &options.retention.bytes, "1T", UINT64_C(1099511627776));
	check_limit("retention_bytes", &options.retention.bytes, "0", 0);
	check_limit("retention_count", &options.retention.count, "1000000", 1000000);
	check_limit("retention_count", &options.retention.count, "none", 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		for (size_t j = 0; j < sizeof(bad) / sizeof(*bad); j++) {
			check_refused(names[i], bad[j]);
		}
	}
	check_refused("retention_age", "1M");
	check_refused("retention_age", "1ms");
	check_refused("retention_bytes", "1d");
	check_refused("retention_bytes", "4611686018427387904");
	check_refused("retention_count", "1k");
}
END_TEST

START_TEST(paths)
{
	char long_path[5000];

	check_set("store", "/var/lib/holdfast");
	ck_assert_str_eq(options.store, "/var/lib/holdfast");
	check_set("roles", "/etc/holdfast/roles");
	ck_assert_str_eq(options.roles, "/etc/holdfast/roles");
	memset(long_path, 'x', sizeof(long_path));
	long_path[4095] = '\0';
	check_set("store", long_path);
	ck_assert_str_eq(options.store, long_path);
	long_path[4095] = 'x';
	long_path[4096] = '\0';
	check_refused("store", long_path);
	check_refused("roles", long_path);
	check_refused("store", "");
	check_refused("roles", "");
	check_refused("store", NULL);
}
END_TEST

START_TEST(root)
{
	static const char *const bad[] = {
		"", "/", "a/", "/a", "a//b", "+", "a/+", "#", "a/#", "$share", "$SYS/x", "\xff", "a\xc3"};
	char long_root[300];

	check_set("root", "sessions");
	check_set("root", "acme/ai/sessions");
	ck_assert_str_eq(options.root, "acme/ai/sessions");
	check_set("root", "gespr\xc3\xa4"
					  "che");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		check_refused("root", bad[i]);
	}
	memset(long_root, 'r', sizeof(long_root));
	long_root[256] = '\0';
	check_set("root", long_root);
	long_root[256] = 'r';
	long_root[257] = '\0';
	check_refused("root", long_root);
	check_refused("root", NULL);
}
END_TEST

START_TEST(anonymous_role)
{
	static const struct {
		const char *name;
		enum hf_role role;
	} roles[] = {
		{"agent", HF_ROLE_AGENT},
		{"user", HF_ROLE_USER},
		{"operator", HF_ROLE_OPERATOR},
		{"observer", HF_ROLE_OBSERVER},
		{"auditor", HF_ROLE_AUDITOR},
		{"admin", HF_ROLE_ADMIN},
	};
	static const char *const bad[] = {"", "Agent", "none", "broker", "agents", "agent ", "user,agent"};

	for (size_t i = 0; i < sizeof(roles) / sizeof(*roles); i++) {
		check_set("anonymous_role", roles[i].name);
		ck_assert_int_eq(options.anonymous_role, roles[i].role);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		check_refused("anonymous_role", bad[i]);
	}
	check_refused("anonymous_role", NULL);
}
END_TEST

START_TEST(durability)
{
	static const char *const bad[] = {"", "Process", "interval", "interval:", "interval:0", "interval:60001",
		"interval:-1", "interval:x", "interval:10ms", "interval: 10", "powerful", "process "};

	check_set("durability", "power");
	ck_assert_int_eq(options.durability, HF_DURABILITY_POWER);
	check_set("durability", "process");
	ck_assert_int_eq(options.durability, HF_DURABILITY_PROCESS);
	check_set("durability", "interval:1");
	ck_assert_int_eq(options.durability, HF_DURABILITY_INTERVAL);
	ck_assert_uint_eq(options.sync_interval_ms, 1);
	check_set("durability", "interval:60000");
	ck_assert_uint_eq(options.sync_interval_ms, 60000);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		check_refused("durability", bad[i]);
	}
	check_refused("durability", NULL);
}
END_TEST

START_TEST(device_identity)
{
	check_set("device_identity", "any");
	ck_assert(options.any_identity);
	check_refused("device_identity", "some");
	ck_assert(options.any_identity);
	check_set("device_identity", "fixed");
	ck_assert(!options.any_identity);
	check_refused("device_identity", "");
	check_refused("device_identity", NULL);
}
END_TEST

START_TEST(unknown)
{
	static const char *const names[] = {"stores", "Store", "", "store ", "log_level"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct hf_options before = options;
		char wanted[64];
		snprintf(wanted, sizeof(wanted), "plugin_opt_%s ", names[i]);
		ck_assert(!hf_options_set(&options, names[i], "x", message, sizeof(message)));
		ck_assert_msg(strstr(message, wanted), "%s", message);
		ck_assert_mem_eq(&before, &options, sizeof(options));
	}
}
END_TEST

/* A value of any length must not run over the message. */
START_TEST(short_message)
{
	char little[16];

	memset(little, 'z', sizeof(little));
	ck_assert(!hf_options_set(&options, "window", "much too large a value for this", little, sizeof(little) - 1));
	ck_assert_uint_eq(strlen(little), sizeof(little) - 2);
	ck_assert_int_eq(little[sizeof(little) - 1], 'z');
}
END_TEST

/* The store's own message comes through, and nothing is left behind. */
START_TEST(store_cannot_be_opened)
{
	snprintf(options.store, sizeof(options.store), "%s/no/such/folder", directory);
	ck_assert_reason(try_open(), HF_STORE_FAILED);
	ck_assert_ptr_null(hub);
	ck_assert_msg(strstr(message, options.store), "%s", message);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session: options");
	TCase *tests = case_without_hub(suite, "all");

	tcase_add_test(tests, defaults);
	tcase_add_test(tests, numbers);
	tcase_add_test(tests, limits);
	tcase_add_test(tests, presence_notices);
	tcase_add_test(tests, paths);
	tcase_add_test(tests, root);
	tcase_add_test(tests, anonymous_role);
	tcase_add_test(tests, durability);
	tcase_add_test(tests, device_identity);
	tcase_add_test(tests, unknown);
	tcase_add_test(tests, short_message);
	tcase_add_test(tests, store_cannot_be_opened);
	return run_suite(suite);
}
