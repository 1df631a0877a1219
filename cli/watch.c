/* SPDX-License-Identifier: BSD-3-Clause */
/* holdfast watch: its options. The work is in follow.c. */
#include "watch.h"

#include <argp.h>
#include <string.h>

#include "codec/filter.h"

#define EXPIRY_S (7 * 24 * 3600)

enum {
	KEY_FROM = 0x200,
	KEY_JSON,
	KEY_RAW,
	KEY_TOPICS,
	KEY_UNTIL_CAUGHT_UP,
	KEY_DEVICE,
	KEY_EXPIRY,
};

static const struct argp_option options[] = {
	{.name = "from",
		.key = KEY_FROM,
		.arg = "POSITION",
		.doc = "Begin at earliest, latest (the default), an offset, -N (the last N) or @MS (Unix milliseconds)"},
	{.name = "json", .key = KEY_JSON, .doc = "Print a JSON object for each entry, one a line"},
	{.name = "raw", .key = KEY_RAW, .doc = "Print nothing but the text of token batches, byte for byte"},
	{.name = "topics",
		.key = KEY_TOPICS,
		.arg = "LIST",
		.doc = "Print only these, with commas between them: tokens, input, event, signal, ask, answer, notice, "
			   "shared; and what is not of the log: presence, state, ephemeral (default: all of the log)"},
	{.name = "until-caught-up", .key = KEY_UNTIL_CAUGHT_UP, .doc = "End after the last entry that is stored now"},
	{.name = "device",
		.key = KEY_DEVICE,
		.arg = "NAME",
		.doc =
			"Be the durable device NAME (its client id): go on where it left off; --from counts only the first time"},
	{.name = "expiry",
		.key = KEY_EXPIRY,
		.arg = "SECONDS",
		.doc = "How long the broker keeps the device's place when it is away (default: 604800, a week)"},
	{0},
};

static const struct argp_child children[] = {
	{.argp = &hf_client_argp},
	{0},
};

static uint32_t kinds_argument(struct argp_state *state, const char *list)
{
	uint32_t kinds = 0;

	for (const char *at = list;; at++) {
		size_t len = strcspn(at, ",");
		enum hf_kind kind = HF_KIND_NONE + 1;
		while (kind < HF_KIND_COUNT && !hf_slice_is(hf_slice_from(at, len), hf_kind_name(kind))) {
			kind++;
		}
		if (kind == HF_KIND_COUNT || len == 0) {
			argp_error(state, "--topics takes names such as tokens,input, not '%s'", list);
			return 0;
		}
		kinds |= HF_KIND_BIT(kind);
		at += len;
		if (*at == '\0') {
			return kinds;
		}
	}
}

static void set_mode(struct argp_state *state, struct hf_watch *watch, enum hf_print_mode mode)
{
	if (watch->mode != HF_PRINT_TEXT && watch->mode != mode) {
		argp_error(state, "--json and --raw exclude each other");
	}
	watch->mode = mode;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct hf_watch *watch = state->input;
	struct hf_position position;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &watch->client_options;
		break;
	case KEY_FROM:
		if (hf_position_parse(hf_slice_of(arg), &position) != HF_OK) {
			argp_error(
				state, "--from takes earliest, latest, an offset from 1, -N or @ and Unix milliseconds, not '%s'", arg);
		}
		watch->from = arg;
		break;
	case KEY_JSON:
		set_mode(state, watch, HF_PRINT_JSON);
		break;
	case KEY_RAW:
		set_mode(state, watch, HF_PRINT_RAW);
		break;
	case KEY_TOPICS:
		watch->kinds = kinds_argument(state, arg);
		break;
	case KEY_UNTIL_CAUGHT_UP:
		watch->until_caught_up = true;
		break;
	case KEY_DEVICE:
		if (*arg == '\0') {
			argp_error(state, "--device takes a name");
		}
		watch->device = arg;
		break;
	case KEY_EXPIRY:
		watch->expiry_s = (uint32_t)hf_number_argument(state, "expiry", arg, 1, UINT32_MAX);
		break;
	case ARGP_KEY_ARG:
		if (state->arg_num > 0) {
			argp_error(state, "too many arguments: %s", arg);
		}
		watch->session = hf_session_argument(state, arg);
		break;
	case ARGP_KEY_END:
		if (!watch->session) {
			argp_error(state, "which session?");
		}
		break;
	case ARGP_KEY_SUCCESS:
		if (watch->device && watch->client_options.client_id) {
			argp_error(state, "--device and --client-id exclude each other: the name of the device is its client id");
		}
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "SESSION",
	.doc =
		"Print a session: what is stored from a position on, and then what comes."
		"\vThe text of a response flows as it streams. A connection that breaks is made again, and the session goes on "
		"without a gap or a repeat. Ctrl-C ends it.\n\n"
		"Exit status: 0 ended by Ctrl-C, by --until-caught-up, or because nobody reads the output any more; "
		"1 refused or failed; 2 wrong usage.",
	.children = children,
};

int hf_command_watch(int argc, char **argv)
{
	struct hf_watch watch = {.from = "latest", .expiry_s = EXPIRY_S, .kinds = HF_KINDS_LOGGED};

	if (argp_parse(&argp, argc, argv, 0, NULL, &watch)) {
		return HF_EXIT_USAGE;
	}
	enum hf_exit status = hf_follow(&watch);
	hf_client_options_free(&watch.client_options);
	return (int)status;
}
