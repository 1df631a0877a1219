/* SPDX-License-Identifier: BSD-3-Clause */
#include "session/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "codec/ask.h"
#include "codec/topic.h"

#define HF_LIMIT_MAX ((uint64_t)INT64_MAX / 2) /* that times may be added to */

void hf_options_defaults(struct hf_options *options)
{
	*options = (struct hf_options){
		.root = "sessions",
		.durability = HF_DURABILITY_PROCESS,
		.audit = true,
		.ack_flush_ms = 20,
		.window = 100,
		.payload_max = 256 * 1024,
		.history_page = 1000,
		.rollup = 8192,
		.share_expiry_s = 7 * 24 * 3600,
		.ask_expiry_s = 86400,
		.restart_grace_ms = 10000,
		.interrupt_grace_ms = 2000,
		.floor_lease_ms = 30000,
		.stall_after_ms = 30000,
		.unattended = HF_UNATTENDED_ALLOW,
	};
}

static bool set_number(unsigned int *number, const char *value, unsigned long min, unsigned long max)
{
	char *end;

	errno = 0;
	unsigned long parsed = strtoul(value, &end, 10);
	if (errno || value[0] < '0' || value[0] > '9' || *end || parsed < min || parsed > max) {
		return false;
	}
	*number = (unsigned int)parsed;
	return true;
}

/* Digits, and a unit of which `units` has the letter; a unit is worth what all units up to it multiply to. "none" and 0
 * are no limit. */
struct unit {
	char letter;
	uint64_t times; /* the one before */
};

static bool set_limit(uint64_t *limit, const char *value, uint64_t factor, const struct unit *units)
{
	char *end;

	if (strcmp(value, "none") == 0) {
		*limit = 0;
		return true;
	}
	errno = 0;
	uint64_t parsed = strtoull(value, &end, 10);
	if (errno || value[0] < '0' || value[0] > '9') {
		return false;
	}
	bool known = *end == '\0';
	for (; !known && units->letter; units++) {
		factor *= units->times;
		known = units->letter == *end && end[1] == '\0';
	}
	if (!known) {
		return false;
	}
	if (parsed > HF_LIMIT_MAX / factor) {
		return false;
	}
	*limit = parsed * factor;
	return true;
}

static bool set_text(char *text, size_t size, const char *value)
{
	size_t len = strlen(value);

	if (len == 0 || len >= size) {
		return false;
	}
	memcpy(text, value, len + 1);
	return true;
}

static bool set_root(struct hf_options *options, const char *value)
{
	return hf_root_valid(value) && set_text(options->root, sizeof(options->root), value);
}

static bool set_store(struct hf_options *options, const char *value)
{
	return set_text(options->store, sizeof(options->store), value);
}

static bool set_roles(struct hf_options *options, const char *value)
{
	return set_text(options->roles, sizeof(options->roles), value);
}

static bool set_anonymous_role(struct hf_options *options, const char *value)
{
	enum hf_role role = hf_role_parse(hf_slice_of(value));

	if (role == HF_ROLE_NONE) {
		return false;
	}
	options->anonymous_role = role;
	return true;
}

static bool set_device_identity(struct hf_options *options, const char *value)
{
	bool any = strcmp(value, "any") == 0;

	if (!any && strcmp(value, "fixed") != 0) {
		return false;
	}
	options->any_identity = any;
	return true;
}

static bool set_durability(struct hf_options *options, const char *value)
{
	static const char interval[] = "interval:";

	if (strcmp(value, "process") == 0) {
		options->durability = HF_DURABILITY_PROCESS;
	} else if (strcmp(value, "power") == 0) {
		options->durability = HF_DURABILITY_POWER;
	} else if (strncmp(value, interval, sizeof(interval) - 1) == 0) {
		if (!set_number(&options->sync_interval_ms, value + sizeof(interval) - 1, 1, 60000)) {
			return false;
		}
		options->durability = HF_DURABILITY_INTERVAL;
	} else {
		return false;
	}
	return true;
}

static bool set_audit(struct hf_options *options, const char *value)
{
	options->audit = strcmp(value, "on") == 0;
	return options->audit || strcmp(value, "off") == 0;
}

static bool set_audit_key(struct hf_options *options, const char *value)
{
	return set_text(options->audit_key, sizeof(options->audit_key), value);
}

static const struct unit ages[] = {{'s', 1}, {'m', 60}, {'h', 60}, {'d', 24}, {'w', 7}, {'\0', 0}};

static bool set_audit_keep(struct hf_options *options, const char *value)
{
	return set_limit(&options->audit_keep_ms, value, 1000, ages);
}

static bool set_ack_flush(struct hf_options *options, const char *value)
{
	return set_number(&options->ack_flush_ms, value, 1, 60000);
}

static bool set_window(struct hf_options *options, const char *value)
{
	return set_number(&options->window, value, 1, 1000);
}

static bool set_payload_max(struct hf_options *options, const char *value)
{
	return set_number(&options->payload_max, value, 1, 64ul << 20);
}

static bool set_history_page(struct hf_options *options, const char *value)
{
	return set_number(&options->history_page, value, 1, 10000);
}

static bool set_retention_age(struct hf_options *options, const char *value)
{
	return set_limit(&options->retention.age_ms, value, 1000, ages);
}

static bool set_retention_bytes(struct hf_options *options, const char *value)
{
	static const struct unit units[] = {{'k', 1024}, {'M', 1024}, {'G', 1024}, {'T', 1024}, {'\0', 0}};

	return set_limit(&options->retention.bytes, value, 1, units);
}

static bool set_retention_count(struct hf_options *options, const char *value)
{
	static const struct unit units[] = {{'\0', 0}};

	return set_limit(&options->retention.count, value, 1, units);
}

static bool set_ask_expiry(struct hf_options *options, const char *value)
{
	return set_number(&options->ask_expiry_s, value, 1, HF_ASK_EXPIRES_MAX_MS / 1000);
}

static bool set_agent_grace(struct hf_options *options, const char *value)
{
	return set_number(&options->agent_grace_ms, value, 0, 3600000);
}

static bool set_restart_grace(struct hf_options *options, const char *value)
{
	return set_number(&options->restart_grace_ms, value, 0, 3600000);
}

static bool set_interrupt_grace(struct hf_options *options, const char *value)
{
	return set_number(&options->interrupt_grace_ms, value, 0, 3600000);
}

static bool set_stall_after(struct hf_options *options, const char *value)
{
	return set_number(&options->stall_after_ms, value, 0, 3600000);
}

static bool set_presence_notices(struct hf_options *options, const char *value)
{
	static const char *const names[] = {
		[HF_NOTICES_ALL] = "all", [HF_NOTICES_AGENTS] = "agents", [HF_NOTICES_NONE] = "none"};

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(value, names[i]) == 0) {
			options->presence_notices = (enum hf_notices)i;
			return true;
		}
	}
	return false;
}

static bool set_floor_lease(struct hf_options *options, const char *value)
{
	unsigned int seconds;

	if (!set_number(&seconds, value, 0, 86400)) {
		return false;
	}
	options->floor_lease_ms = seconds * 1000;
	return true;
}

static bool set_unattended(struct hf_options *options, const char *value)
{
	bool reject = strcmp(value, "reject") == 0;

	if (!reject && strcmp(value, "allow") != 0) {
		return false;
	}
	options->unattended = reject ? HF_UNATTENDED_REJECT : HF_UNATTENDED_ALLOW;
	return true;
}

static bool set_wake_identity(struct hf_options *options, const char *value)
{
	return set_text(options->wake_identity, sizeof(options->wake_identity), value);
}

static bool set_rollup(struct hf_options *options, const char *value)
{
	return set_number(&options->rollup, value, 0, 1ul << 20);
}

static bool set_share_expiry(struct hf_options *options, const char *value)
{
	return set_number(&options->share_expiry_s, value, 1, 3650ul * 24 * 3600);
}

static const struct {
	const char *name;
	bool (*set)(struct hf_options *options, const char *value);
	const char *takes;
} table[] = {
	{"store", set_store, "the path of a folder, at most 4095 bytes"},
	{"root", set_root, "a topic without wildcards, such as sessions"},
	{"roles", set_roles, "the path of the roles file"},
	{"anonymous_role", set_anonymous_role, "agent, user, operator, observer, auditor or admin"},
	{"device_identity", set_device_identity, "fixed or any"},
	{"durability", set_durability, "process, interval:N (milliseconds, 1 to 60000) or power"},
	{"audit", set_audit, "on or off"},
	{"audit_key", set_audit_key, "the path of a file, at most 4095 bytes"},
	{"audit_keep", set_audit_keep, "seconds, or a number with the unit s, m, h, d or w, such as 365d; or none"},
	{"ack_flush", set_ack_flush, "milliseconds, 1 to 60000"},
	{"window", set_window, "a number of entries, 1 to 1000"},
	{"payload_max", set_payload_max, "a number of bytes, 1 to 67108864"},
	{"history_page", set_history_page, "a number of entries, 1 to 10000"},
	{"retention_age", set_retention_age, "seconds, or a number with the unit s, m, h, d or w, such as 30d; or none"},
	{"retention_bytes", set_retention_bytes, "bytes, or a number with the unit k, M, G or T, such as 100M; or none"},
	{"retention_count", set_retention_count, "a number of entries, or none"},
	{"rollup", set_rollup, "a number of bytes, 0 to 1048576"},
	{"share_expiry", set_share_expiry, "seconds, 1 to 315360000"},
	{"ask_expiry", set_ask_expiry, "seconds, 1 to 31622400"},
	{"agent_grace", set_agent_grace, "milliseconds, 0 to 3600000"},
	{"restart_grace", set_restart_grace, "milliseconds, 0 to 3600000"},
	{"interrupt_grace", set_interrupt_grace, "milliseconds, 0 to 3600000"},
	{"stall_after", set_stall_after, "milliseconds, 0 to 3600000"},
	{"presence_notices", set_presence_notices, "all, agents or none"},
	{"floor_lease", set_floor_lease, "seconds, 0 to 86400"},
	{"unattended", set_unattended, "allow or reject"},
	{"wake_identity", set_wake_identity, "an identity, at most 1024 bytes"},
};

bool hf_options_set(struct hf_options *options, const char *name, const char *value, char *message, size_t message_size)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strcmp(name, table[i].name) != 0) {
			continue;
		}
		if (value && table[i].set(options, value)) {
			return true;
		}
		snprintf(message, message_size, "plugin_opt_%s cannot be '%.200s': it takes %s", name, value ? value : "",
			table[i].takes);
		return false;
	}
	snprintf(message, message_size, "plugin_opt_%s is no option of Holdfast; mosquitto.conf.sample lists them", name);
	return false;
}
