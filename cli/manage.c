/* SPDX-License-Identifier: BSD-3-Clause */
/* holdfast close, erase, limits: what admins do with a whole session. */
#include <argp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/control.h"
#include "codec/json.h"
#include "request.h"

enum {
	KEY_YES = 0x200,
	KEY_AGE,
	KEY_BYTES,
	KEY_COUNT,
	KEY_DEFAULT,
};

struct command {
	struct hf_client_options client_options;
	struct hf_control_request request;
	const char *session;
	bool yes;        /* erase: it is meant */
	bool as_options; /* limits: without any of its own */
};

static const struct argp_child children[] = {
	{.argp = &hf_client_argp},
	{0},
};

/* ---- arguments */

struct unit {
	char letter; /* '\0': the last one */
	uint64_t times;
};

/* A number, or one with a unit; "none" is 0. */
static uint64_t amount(struct argp_state *state, const char *name, const char *text, const struct unit *units)
{
	char number[24];
	size_t digits = strspn(text, "0123456789");
	const struct unit *unit = units;
	uint64_t value;

	if (strcmp(text, "none") == 0) {
		return 0;
	}
	while (unit->letter && unit->letter != text[digits]) {
		unit++;
	}
	if (digits == 0 || digits >= sizeof(number) || (text[digits] && (!unit->letter || text[digits + 1]))) {
		argp_error(state, "--%s takes a number, with a unit or without, or none; not '%s'", name, text);
	}
	memcpy(number, text, digits);
	number[digits] = '\0';
	value = hf_number_argument(state, name, number, 1, INT64_MAX);
	uint64_t times = text[digits] ? unit->times : 1;
	if (value > (uint64_t)INT64_MAX / 1000 / times) {
		argp_error(state, "--%s cannot be %s", name, text);
	}
	return value * times;
}

static uint64_t age_ms(struct argp_state *state, const char *text)
{
	static const struct unit units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}, {'\0', 1}};

	return amount(state, "age", text, units) * 1000;
}

static uint64_t bytes(struct argp_state *state, const char *text)
{
	static const struct unit units[] = {{'k', UINT64_C(1) << 10}, {'M', UINT64_C(1) << 20}, {'G', UINT64_C(1) << 30},
		{'T', UINT64_C(1) << 40}, {'\0', 1}};

	return amount(state, "bytes", text, units);
}

static uint64_t count(struct argp_state *state, const char *text)
{
	static const struct unit units[] = {{'\0', 1}};

	return amount(state, "count", text, units);
}

static void check(struct argp_state *state, const struct command *command)
{
	if (!command->session) {
		argp_error(state, "which session?");
	} else if (command->request.command == HF_COMMAND_ERASE && !command->yes) {
		argp_error(state, "what is erased cannot be brought back: if you mean it, say so with --yes");
	} else if (command->request.command == HF_COMMAND_LIMITS && !command->request.fields && !command->as_options) {
		argp_error(state, "which limits? --age, --bytes, --count; or --default, to have those of the broker's options");
	} else if (command->request.fields && command->as_options) {
		argp_error(state, "--default goes with no other limit");
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct command *command = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &command->client_options;
		break;
	case KEY_YES:
		command->yes = true;
		break;
	case KEY_AGE:
		command->request.age_ms = age_ms(state, arg);
		command->request.fields |= HF_CONTROL_AGE;
		break;
	case KEY_BYTES:
		command->request.bytes = bytes(state, arg);
		command->request.fields |= HF_CONTROL_BYTES;
		break;
	case KEY_COUNT:
		command->request.count = count(state, arg);
		command->request.fields |= HF_CONTROL_COUNT;
		break;
	case KEY_DEFAULT:
		command->as_options = true;
		break;
	case ARGP_KEY_ARG:
		if (state->arg_num > 0) {
			argp_error(state, "too many arguments: %s", arg);
		}
		command->session = hf_session_argument(state, arg);
		break;
	case ARGP_KEY_END:
		check(state, command);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

#define EXIT_STATUS "\n\nThe role admin may. Exit status: 0 done, 1 refused or failed, 2 wrong usage."

static const struct argp close_argp = {
	.options = (const struct argp_option[]){{0}},
	.parser = parse,
	.args_doc = "SESSION",
	.doc = "End a session: the notice `closed` is its last entry."
		   "\vWhat is open in it ends before: responses, questions, the floor. What is there can still be read; its id "
		   "is not "
		   "used again." EXIT_STATUS,
	.children = children,
};

static const struct argp erase_argp = {
	.options =
		(const struct argp_option[]){{.name = "yes", .key = KEY_YES, .doc = "It is meant: this cannot be undone"}, {0}},
	.parser = parse,
	.args_doc = "SESSION",
	.doc = "End a session and remove what was said in it."
		   "\vThe records of the audit stay, with the hash of what is gone. The session's id is not used again. What "
		   "devices "
		   "were sent before is theirs." EXIT_STATUS,
	.children = children,
};

static const struct argp limits_argp = {
	.options =
		(const struct argp_option[]){{.name = "age",
										 .key = KEY_AGE,
										 .arg = "TIME",
										 .doc = "Keep entries for so long: seconds, or 90s, 5m, 12h, 30d, 4w; or none"},
			{.name = "bytes",
				.key = KEY_BYTES,
				.arg = "SIZE",
				.doc = "Keep so much: bytes, or 10k, 5M, 1G, 1T; or none"},
			{.name = "count", .key = KEY_COUNT, .arg = "NUMBER", .doc = "Keep so many entries, or none"},
			{.name = "default", .key = KEY_DEFAULT, .doc = "Have no limits of its own any more"}, {0}},
	.parser = parse,
	.args_doc = "SESSION",
	.doc = "Set how much of a session is kept, and print what holds from now on."
		   "\vA limit that is not given is that of the broker's options (retention_age, retention_bytes, "
		   "retention_count); "
		   "none is no limit, whatever they say." EXIT_STATUS,
	.children = children,
};

/* ---- what comes of it */

static void print_limit(const cJSON *answer, const char *key, const char *before, const char *unit)
{
	uint64_t limit;

	if (hf_json_u64(answer, key, &limit)) {
		printf(" %s %" PRIu64 " %s", before, limit, unit);
	}
}

static bool on_accepted(void *context, const cJSON *answer)
{
	const struct command *command = context;
	uint64_t offset = 0;

	hf_json_u64(answer, "offset", &offset);
	if (command->request.command == HF_COMMAND_LIMITS) {
		bool any = cJSON_GetArraySize(answer) > 2;
		fputs(any ? "kept:" : "kept: everything", stdout);
		print_limit(answer, "max-age", "for", "ms");
		print_limit(answer, "max-count", "at most", "entries");
		print_limit(answer, "max-bytes", "at most", "bytes");
		putchar('\n');
	} else {
		printf(
			"%s, last entry %" PRIu64 "\n", command->request.command == HF_COMMAND_CLOSE ? "closed" : "erased", offset);
	}
	return false;
}

static int run(int argc, char **argv, enum hf_command which, const struct argp *argp)
{
	struct command command = {.request = {.command = which, .to = HF_SLICE_NONE}};
	struct hf_buffer payload = {0};
	enum hf_exit status = HF_EXIT_FAILED;

	if (argp_parse(argp, argc, argv, 0, NULL, &command)) {
		return HF_EXIT_USAGE;
	}
	if (!hf_control_encode(&command.request, &payload)) {
		hf_complain("out of memory");
	} else {
		const struct hf_request request = {
			.options = &command.client_options,
			.purpose = hf_command_name(which),
			.session = command.session,
			.rest = "control",
			.payload = hf_buffer_slice(&payload),
			.accepted = on_accepted,
			.context = &command,
		};
		status = hf_request(&request);
	}
	hf_buffer_free(&payload);
	hf_client_options_free(&command.client_options);
	return (int)status;
}

int hf_command_close(int argc, char **argv)
{
	return run(argc, argv, HF_COMMAND_CLOSE, &close_argp);
}

int hf_command_erase(int argc, char **argv)
{
	return run(argc, argv, HF_COMMAND_ERASE, &erase_argp);
}

int hf_command_limits(int argc, char **argv)
{
	return run(argc, argv, HF_COMMAND_LIMITS, &limits_argp);
}
