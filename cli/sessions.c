/* SPDX-License-Identifier: BSD-3-Clause */
/* holdfast sessions: what the store has, read beside a running broker or without one. */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "codec/json.h"
#include "command.h"
#include "rows.h"
#include "store_option.h"

struct sessions {
	const char *store;
	bool json;
	bool failed;
	uint64_t count;
};

static void print_time(int64_t time_ms)
{
	time_t seconds = (time_t)(time_ms / 1000);
	char text[32] = "-";
	struct tm local;

	if (time_ms > 0 && localtime_r(&seconds, &local)) {
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &local);
	}
	printf("  %-19s", text);
}

static bool print_json(const struct hf_session_info *info)
{
	cJSON *object = cJSON_CreateObject();
	bool made = hf_json_add(object, "session", hf_json_from_text(info->session)) &&
				hf_json_add(object, "head", hf_json_from_u64(info->head)) &&
				hf_json_add(object, "tail", hf_json_from_u64(info->tail)) &&
				hf_json_add(object, "created", hf_json_from_u64((uint64_t)info->created_ms)) &&
				hf_json_add(object, "changed", hf_json_from_u64((uint64_t)info->changed_ms));
	bool printed = hf_json_print(made ? object : NULL, false);

	cJSON_Delete(object);
	return printed;
}

static bool print_one(void *context, const struct hf_session_info *info)
{
	struct sessions *sessions = context;

	if (sessions->json) {
		sessions->failed = !print_json(info);
	} else {
		if (sessions->count == 0) {
			printf("%12s  %12s  %-19s  %-19s  %s\n", "HEAD", "TAIL", "CREATED", "CHANGED", "SESSION");
		}
		printf("%12" PRIu64 "  %12" PRIu64, info->head, info->tail);
		print_time(info->created_ms);
		print_time(info->changed_ms);
		/* Ids are of harmless characters by the topic grammar. */
		printf("  %.*s\n", (int)info->session.len, info->session.data);
	}
	sessions->count++;
	return !sessions->failed && !ferror(stdout);
}

static enum hf_exit list(struct sessions *sessions)
{
	struct hf_store *store = hf_store_open_to_read(sessions->store);

	if (!store) {
		return HF_EXIT_FAILED;
	}
	enum hf_reason reason = hf_session_each(store, HF_SLICE_NONE, print_one, sessions);
	if (reason != HF_OK) {
		hf_complain(
			"cannot read the store %s: %s (%s)", sessions->store, hf_reason_sentence(reason), hf_store_error(store));
	}
	hf_store_close(store);
	if (reason == HF_OK && sessions->count == 0 && !sessions->json) {
		hf_complain("the store %s has no sessions yet", sessions->store);
	}
	if (fflush(stdout) || ferror(stdout)) {
		if (errno != EPIPE) {
			hf_complain("cannot write to standard output: %s", strerror(errno));
			return HF_EXIT_FAILED;
		}
	}
	return reason == HF_OK && !sessions->failed ? HF_EXIT_OK : HF_EXIT_FAILED;
}

/* ---- options */

static const struct argp_option options[] = {
	{.name = "json", .key = 'j', .doc = "Print a JSON object for each session, one a line; times are Unix ms"},
	{.name = NULL, .key = 'h', .flags = OPTION_HIDDEN, .doc = ""},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct sessions *sessions = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &sessions->store;
		break;
	case 'j':
		sessions->json = true;
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
	.doc =
		"List the sessions of a store: offsets of the newest (head) and the oldest entry (tail), times of the "
		"first and the last one."
		"\vThe store is opened read-only: this works while the broker runs and without one, and puts no load on it. It "
		"needs the right to read the store's files.\n\n"
		"Exit status: 0 done, 1 failed, 2 wrong usage.",
};

int hf_command_sessions(int argc, char **argv)
{
	struct sessions sessions = {.json = false};

	if (argp_parse(&argp, argc, argv, 0, NULL, &sessions)) {
		return HF_EXIT_USAGE;
	}
	return (int)list(&sessions);
}
