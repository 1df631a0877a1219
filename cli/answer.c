/* SPDX-License-Identifier: BSD-3-Clause */
/* holdfast answer: the answer to a question. */
#include <argp.h>
#include <inttypes.h>
#include <string.h>

#include "codec/ask.h"
#include "codec/json.h"
#include "codec/utf8.h"
#include "request.h"

struct command {
	struct hf_client_options client_options;
	const char *session;
	const char *id;
	const char *choice; /* NULL: none */
	const char *text;   /* NULL: none */
};

static const struct argp_option options[] = {
	{.name = "text", .key = 't', .arg = "TEXT", .doc = "The answer to a question without choices; with one, a remark"},
	{0},
};

static const struct argp_child children[] = {
	{.argp = &hf_client_argp},
	{0},
};

static const char *take(struct argp_state *state, const char *what, const char *text, size_t max)
{
	if (*text == '\0' || strlen(text) > max || !hf_utf8_valid(hf_slice_of(text))) {
		argp_error(state, "%s is 1 to %zu bytes of UTF-8", what, max);
	}
	return text;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct command *command = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &command->client_options;
		break;
	case 't':
		command->text = take(state, "the text", arg, 1 << 20);
		break;
	case ARGP_KEY_ARG:
		if (state->arg_num == 0) {
			command->session = hf_session_argument(state, arg);
		} else if (state->arg_num == 1) {
			command->id = take(state, "the id of a question", arg, HF_ASK_ID_MAX);
		} else if (state->arg_num == 2) {
			command->choice = take(state, "a choice", arg, HF_ASK_CHOICE_MAX);
		} else {
			argp_error(state, "too many arguments: %s", arg);
		}
		break;
	case ARGP_KEY_END:
		if (!command->id) {
			argp_error(state, "which session, and which question?");
		} else if (!command->choice && !command->text) {
			argp_error(state, "what is the answer? A choice, or --text");
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
	.args_doc = "SESSION ID [CHOICE]",
	.doc = "Answer a question of a session: with one of its choices, or with --text where it has none."
		   "\vThe first valid answer wins; who comes later is told who was first. 'holdfast watch' shows the "
		   "questions.\n\n"
		   "Exit status: 0 this answer is the one, 1 refused or failed, 2 wrong usage.",
	.children = children,
};

static bool on_accepted(void *context, const cJSON *answer)
{
	const struct command *command = context;
	uint64_t offset = 0;

	hf_json_u64(answer, "offset", &offset);
	if (!command->client_options.quiet) {
		hf_complain("answered, entry %" PRIu64, offset);
	}
	return false;
}

static enum hf_exit run(struct command *command)
{
	const struct hf_answer answer = {
		.id = hf_slice_of(command->id),
		.choice = hf_slice_of(command->choice),
		.text = hf_slice_of(command->text),
		.data = HF_SLICE_NONE,
	};
	struct hf_buffer payload = {0};
	enum hf_exit status = HF_EXIT_FAILED;

	if (!hf_answer_encode(&answer, &payload)) {
		hf_complain("out of memory");
	} else {
		const struct hf_request request = {
			.options = &command->client_options,
			.purpose = "answer",
			.session = command->session,
			.rest = "answer",
			.payload = hf_buffer_slice(&payload),
			.accepted = on_accepted,
			.context = command,
		};
		status = hf_request(&request);
	}
	hf_buffer_free(&payload);
	return status;
}

int hf_command_answer(int argc, char **argv)
{
	struct command command = {.session = NULL};

	if (argp_parse(&argp, argc, argv, 0, NULL, &command)) {
		return HF_EXIT_USAGE;
	}
	enum hf_exit status = run(&command);
	hf_client_options_free(&command.client_options);
	return (int)status;
}
