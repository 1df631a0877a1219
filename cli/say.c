/* SPDX-License-Identifier: BSD-3-Clause */
/* holdfast say: its options. The work is in stream.c. */
#include "say.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/utf8.h"

#define BATCH_CHARS 4 /* about what a model's token is */
#define BATCH_CHARS_MAX 65536
#define WINDOW 20
#define WINDOW_MAX 1000

enum {
	KEY_RESPONSE = 0x200,
	KEY_SEQ,
	KEY_WINDOW,
};

static const struct argp_option options[] = {
	{.name = "batch", .key = 'b', .arg = "CHARS", .doc = "Characters in a batch, 1 to 65536 (default: 4)"},
	{.name = "rate",
		.key = 'r',
		.arg = "NUMBER",
		.doc = "Batches a second (default: as fast as they are acknowledged)"},
	{.name = "window",
		.key = KEY_WINDOW,
		.arg = "NUMBER",
		.doc = "Batches on their way at most, 1 to 1000 (default: 20)"},
	{.name = "response", .key = KEY_RESPONSE, .arg = "ID", .doc = "Id of the response (default: random)"},
	{.name = "seq",
		.key = KEY_SEQ,
		.arg = "NUMBER",
		.doc = "Number of the first batch, to go on with a response (default: 0)"},
	{0},
};

static const struct argp_child children[] = {
	{.argp = &hf_client_argp},
	{0},
};

static int64_t interval_argument(struct argp_state *state, const char *text)
{
	char *end;
	double rate = strtod(text, &end);

	if (*end || end == text || !(rate >= 0.001 && rate <= 1e6)) {
		argp_error(state, "--rate takes batches a second, from 0.001 to 1000000, not '%s'", text);
		return 0;
	}
	return (int64_t)(1e9 / rate);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct hf_say *say = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &say->client_options;
		break;
	case 'b':
		say->batch_chars = (size_t)hf_number_argument(state, "batch", arg, 1, BATCH_CHARS_MAX);
		break;
	case 'r':
		say->interval_ns = interval_argument(state, arg);
		break;
	case KEY_WINDOW:
		say->window = (size_t)hf_number_argument(state, "window", arg, 1, WINDOW_MAX);
		break;
	case KEY_RESPONSE:
		if (*arg == '\0' || strlen(arg) > HF_RESPONSE_ID_MAX || !hf_utf8_valid(hf_slice_of(arg))) {
			argp_error(state, "--response takes 1 to %d bytes of UTF-8", HF_RESPONSE_ID_MAX);
			break;
		}
		snprintf(say->response, sizeof(say->response), "%s", arg);
		break;
	case KEY_SEQ:
		say->first_seq = hf_number_argument(state, "seq", arg, 0, INT64_MAX);
		break;
	case ARGP_KEY_ARG:
		if (state->arg_num == 0) {
			say->session = hf_session_argument(state, arg);
		} else if (state->arg_num == 1) {
			say->path = arg;
		} else {
			argp_error(state, "too many arguments: %s", arg);
		}
		break;
	case ARGP_KEY_END:
		if (!say->session) {
			argp_error(state, "which session?");
		}
		if (say->first_seq > 0 && !say->response[0]) {
			argp_error(state, "--seq goes on with a response: name it with --response");
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
	.args_doc = "SESSION [FILE]",
	.doc =
		"Stream text into a session as the token batches of one response, as an agent does."
		"\vFILE is - or left out for standard input, which is streamed as it comes. The text is UTF-8. Ctrl-C ends the "
		"response as cancelled. A connection that breaks is made again, and no batch is lost or stored twice; for a "
		"FILE this also holds when say itself is ended and run again, within a minute, with the same --response and "
		"--batch.\n\n"
		"Exit status: 0 all is stored, 1 refused, failed or cancelled, 2 wrong usage.",
	.children = children,
};

int hf_command_say(int argc, char **argv)
{
	struct hf_say say = {.batch_chars = BATCH_CHARS, .window = WINDOW};

	if (argp_parse(&argp, argc, argv, 0, NULL, &say)) {
		return HF_EXIT_USAGE;
	}
	enum hf_exit status = hf_stream(&say);
	hf_client_options_free(&say.client_options);
	return (int)status;
}
