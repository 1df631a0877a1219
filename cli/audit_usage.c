/* SPDX-License-Identifier: BSD-3-Clause */
/* holdfast audit usage: what takes up the disk. */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "audit.h"
#include "codec/json.h"
#include "options.h"
#include "rows.h"
#include "store/usage.h"
#include "store_option.h"

#define SESSIONS_DEFAULT 10
#define SESSIONS_MAX 100000

struct usage {
	const char *store_path;
	unsigned int session_max;
	bool json;
	struct hf_usage total;
	struct hf_usage_sessions sessions;
};

/* ---- for people */

static void print_bytes(uint64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double amount = (double)bytes;
	size_t unit = 0;

	for (; amount >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++) {
		amount /= 1024;
	}
	printf(unit == 0 ? "%8.0f %-3s" : "%8.1f %-3s", amount, units[unit]);
}

static void print_line(uint64_t bytes, const char *text)
{
	print_bytes(bytes);
	printf("  %s\n", text);
}

static void print_text(const struct usage *usage)
{
	print_line(usage->total.disk_bytes, "the store's folder on the disk, of that");
	print_line(usage->total.wal_bytes, "write-ahead log");
	print_line(usage->total.table_bytes, "tables, compressed, of");
	for (size_t i = 0; i < HF_USAGE_PARTS; i++) {
		const struct hf_usage_part *part = &usage->total.parts[i];
		print_bytes(part->table_bytes);
		printf("    %-11s about %" PRIu64 " keys\n", part->name, part->keys);
	}
	printf("\n");
	print_bytes(usage->sessions.bytes);
	printf("  %" PRIu64 " entries of %" PRIu64 " sessions, before compression\n", usage->sessions.entries,
		usage->sessions.sessions);
	for (size_t i = 0; i < usage->sessions.largest_count; i++) {
		const struct hf_usage_session *session = &usage->sessions.largest[i];
		print_bytes(session->bytes);
		printf("    %-11s %" PRIu64 " entries\n", session->session, session->entries);
	}
}

/* ---- for programs */

static bool add_number(cJSON *object, const char *name, uint64_t value)
{
	return hf_json_add(object, name, hf_json_from_u64(value));
}

static bool add_part(cJSON *parts, const struct hf_usage_part *part)
{
	cJSON *object = cJSON_CreateObject();

	return hf_json_add(parts, NULL, object) && hf_json_add(object, "name", cJSON_CreateString(part->name)) &&
		   add_number(object, "table_bytes", part->table_bytes) &&
		   add_number(object, "memory_bytes", part->memory_bytes) && add_number(object, "keys", part->keys);
}

static bool add_session(cJSON *sessions, const struct hf_usage_session *session)
{
	cJSON *object = cJSON_CreateObject();

	return hf_json_add(sessions, NULL, object) &&
		   hf_json_add(object, "session", cJSON_CreateString(session->session)) &&
		   add_number(object, "entries", session->entries) && add_number(object, "bytes", session->bytes);
}

static bool print_json(const struct usage *usage)
{
	cJSON *object = cJSON_CreateObject(), *parts = cJSON_CreateArray(), *largest = cJSON_CreateArray();
	bool made = hf_json_add(object, "parts", parts);

	made = hf_json_add(object, "largest", largest) && made;
	for (size_t i = 0; i < HF_USAGE_PARTS && made; i++) {
		made = add_part(parts, &usage->total.parts[i]);
	}
	for (size_t i = 0; i < usage->sessions.largest_count && made; i++) {
		made = add_session(largest, &usage->sessions.largest[i]);
	}
	made = made && add_number(object, "disk_bytes", usage->total.disk_bytes) &&
		   add_number(object, "wal_bytes", usage->total.wal_bytes) &&
		   add_number(object, "table_bytes", usage->total.table_bytes) &&
		   add_number(object, "sessions", usage->sessions.sessions) &&
		   add_number(object, "entries", usage->sessions.entries) &&
		   add_number(object, "entry_bytes", usage->sessions.bytes);
	bool printed = hf_json_print(made ? object : NULL, false);

	cJSON_Delete(object);
	return printed;
}

static enum hf_exit run(struct usage *usage, struct hf_store *store)
{
	enum hf_reason reason = hf_store_usage(store, &usage->total);

	if (reason == HF_OK) {
		reason = hf_store_usage_sessions(store, &usage->sessions);
	}
	if (reason != HF_OK) {
		hf_complain(
			"cannot read the store %s: %s (%s)", usage->store_path, hf_reason_sentence(reason), hf_store_error(store));
		return HF_EXIT_FAILED;
	}
	if (usage->json && !print_json(usage)) {
		return HF_EXIT_FAILED;
	} else if (!usage->json) {
		print_text(usage);
	}
	return hf_output_end();
}

/* ---- options */

static const struct argp_option options[] = {
	{.name = "largest",
		.key = 'n',
		.arg = "NUMBER",
		.doc = "How many sessions to list, the largest first; 10 by default, 0 for none"},
	{.name = "json", .key = 'j', .doc = "Print a JSON object"},
	{.name = NULL, .key = 'h', .flags = OPTION_HIDDEN, .doc = ""},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct usage *usage = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &usage->store_path;
		break;
	case 'n':
		usage->session_max = (unsigned int)hf_number_argument(state, "--largest", arg, 0, SESSIONS_MAX);
		break;
	case 'j':
		usage->json = true;
		break;
	case 'h':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "too many arguments: %s", arg);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.children = (const struct argp_child[]){{.argp = &hf_store_argp}, {0}},
	.doc = "Print what takes up the disk: in all, by part of the store, and by session."
		   "\vWhat was removed is still in the tables until RocksDB has compacted them, which it does by itself. The "
		   "bytes of a "
		   "session are those of the entries that it has, as they were written; not its index, receipts, and what the "
		   "audit "
		   "keeps of entries that it has no more.\n\n"
		   "Exit status: 0 done, 1 failed, 2 wrong usage.",
};

int hf_audit_command_usage(int argc, char **argv)
{
	struct usage usage = {.session_max = SESSIONS_DEFAULT};
	enum hf_exit status = HF_EXIT_FAILED;

	if (argp_parse(&argp, argc, argv, 0, NULL, &usage)) {
		return HF_EXIT_USAGE;
	}
	usage.sessions.largest_max = usage.session_max;
	usage.sessions.largest = calloc(usage.session_max + 1u, sizeof(*usage.sessions.largest));
	if (!usage.sessions.largest) {
		hf_complain("out of memory");
		return HF_EXIT_FAILED;
	}
	struct hf_store *store = hf_store_open_to_read(usage.store_path);
	if (store) {
		status = run(&usage, store);
		hf_store_close(store);
	}
	free(usage.sessions.largest);
	return (int)status;
}
