/* SPDX-License-Identifier: BSD-3-Clause */
/* holdfast interrupt, steer and resume: what a person tells agents while they stream. */
#include <argp.h>
#include <inttypes.h>
#include <string.h>

#include "codec/json.h"
#include "codec/signal.h"
#include "codec/token.h"
#include "codec/utf8.h"
#include "request.h"

struct command {
	struct hf_client_options client_options;
	struct hf_signal signal;
	const char *session;
};

static const struct argp_option options[] = {
	{.name = "response", .key = 'r', .arg = "ID", .doc = "Only this response; without it all that are open"},
	{.name = "agent", .key = 'a', .arg = "IDENTITY", .doc = "Only what this agent streams"},
	{0},
};

static const struct argp_child children[] = {
	{.argp = &hf_client_argp},
	{0},
};

static struct hf_slice take(struct argp_state *state, const char *what, const char *text, size_t max)
{
	if (*text == '\0' || strlen(text) > max || !hf_utf8_valid(hf_slice_of(text))) {
		argp_error(state, "%s is 1 to %zu bytes of UTF-8", what, max);
	}
	return hf_slice_of(text);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct command *command = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &command->client_options;
		break;
	case 'r':
		command->signal.response = take(state, "the id of a response", arg, HF_RESPONSE_ID_MAX);
		break;
	case 'a':
		command->signal.from = take(state, "an identity", arg, HF_SIGNAL_FROM_MAX);
		break;
	case ARGP_KEY_ARG:
		if (state->arg_num == 0) {
			command->session = hf_session_argument(state, arg);
		} else if (state->arg_num == 1) {
			command->signal.text = take(state, "the text", arg, 1 << 20);
		} else {
			argp_error(state, "too many arguments: %s", arg);
		}
		break;
	case ARGP_KEY_END:
		if (!command->session) {
			argp_error(state, "which session?");
		} else if (command->signal.kind == HF_SIGNAL_STEER && command->signal.text.len == 0) {
			argp_error(state, "how shall it go on? Say it in a text behind the session");
		}
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

#define STATUS "\n\nExit status: 0 it is in the session, 1 refused or failed, 2 wrong usage."

static const struct argp argps[HF_SIGNAL_COUNT] = {
	[HF_SIGNAL_INTERRUPT] = {options, parse, "SESSION [TEXT]",
		"Stop what agents stream in a session: all of it, or one response. TEXT says why."
		"\vThe agent is to end it as cancelled. What has not ended after a while (plugin_opt_interrupt_grace) the "
		"broker "
		"closes, and refuses what still comes of it. One that has not begun is stopped when it begins." STATUS,
		children, NULL, NULL},
	[HF_SIGNAL_STEER] = {options, parse, "SESSION TEXT",
		"Tell agents in a session to go on otherwise: how, TEXT says." STATUS, children, NULL, NULL},
	[HF_SIGNAL_RESUME] = {options, parse, "SESSION [TEXT]",
		"Take back an interrupt, as long as it has not been carried out."
		"\vWhat has ended has ended." STATUS,
		children, NULL, NULL},
};

static bool on_accepted(void *context, const cJSON *answer)
{
	const struct command *command = context;
	uint64_t offset = 0;

	hf_json_u64(answer, "offset", &offset);
	if (!command->client_options.quiet) {
		hf_complain("%s, entry %" PRIu64, hf_signal_name(command->signal.kind), offset);
	}
	return false;
}

static enum hf_exit run(struct command *command)
{
	struct hf_buffer payload = {0};
	enum hf_exit status = HF_EXIT_FAILED;

	if (!hf_signal_encode(&command->signal, &payload)) {
		hf_complain("out of memory");
	} else {
		const struct hf_request request = {
			.options = &command->client_options,
			.purpose = "signal",
			.session = command->session,
			.rest = "signal",
			.payload = hf_buffer_slice(&payload),
			.accepted = on_accepted,
			.context = command,
		};
		status = hf_request(&request);
	}
	hf_buffer_free(&payload);
	return status;
}

static int send_signal(enum hf_signal_kind kind, int argc, char **argv)
{
	struct command command = {
		.signal =
			{
				.kind = kind,
				.response = HF_SLICE_NONE,
				.from = HF_SLICE_NONE,
				.text = HF_SLICE_NONE,
				.data = HF_SLICE_NONE,
			},
	};

	if (argp_parse(&argps[kind], argc, argv, 0, NULL, &command)) {
		return HF_EXIT_USAGE;
	}
	enum hf_exit status = run(&command);
	hf_client_options_free(&command.client_options);
	return (int)status;
}

int hf_command_interrupt(int argc, char **argv)
{
	return send_signal(HF_SIGNAL_INTERRUPT, argc, argv);
}

int hf_command_steer(int argc, char **argv)
{
	return send_signal(HF_SIGNAL_STEER, argc, argv);
}

int hf_command_resume(int argc, char **argv)
{
	return send_signal(HF_SIGNAL_RESUME, argc, argv);
}
