/* SPDX-License-Identifier: BSD-3-Clause */
/* holdfast floor: who may answer in a session, and taking, giving and opening that right. */
#include <argp.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "codec/control.h"
#include "codec/json.h"
#include "codec/utf8.h"
#include "request.h"
#include "safe.h"

#define COMMAND_SHOW HF_COMMAND_COUNT

enum {
	KEY_COLD = 0x200,
	KEY_EPOCH,
};

struct command {
	struct hf_client_options client_options;
	struct hf_control_request request;
	const char *session;
	bool chosen;
	bool json;
	bool shown;
};

static const struct argp_option options[] = {
	{.name = "cold",
		.key = KEY_COLD,
		.doc = "Transfer at once, instead of offering it to who then accepts or declines"},
	{.name = "epoch", .key = KEY_EPOCH, .arg = "NUMBER", .doc = "Do it only if this is the epoch of the floor"},
	{.name = "json", .key = 'j', .doc = "Print the floor as a JSON object"},
	{0},
};

static const struct argp_child children[] = {
	{.argp = &hf_client_argp},
	{0},
};

static void choose(struct argp_state *state, struct command *command, const char *name)
{
	command->chosen = true;
	command->request.command = COMMAND_SHOW;
	if (strcmp(name, "show") == 0) {
		return;
	}
	for (enum hf_command one = 0; one <= HF_COMMAND_RELEASE; one++) { /* those of the floor */
		if (strcmp(name, hf_command_name(one)) == 0) {
			command->request.command = one;
			return;
		}
	}
	argp_error(state, "'floor' takes show, claim, transfer, accept, decline, handback or release, not '%s'", name);
}

static void take_argument(struct argp_state *state, struct command *command, const char *arg)
{
	if (state->arg_num == 0) {
		choose(state, command, arg);
	} else if (state->arg_num == 1) {
		command->session = hf_session_argument(state, arg);
	} else if (state->arg_num == 2 && command->request.command == HF_COMMAND_TRANSFER) {
		if (*arg == '\0' || strlen(arg) > HF_IDENTITY_MAX || !hf_utf8_valid(hf_slice_of(arg))) {
			argp_error(state, "an identity is 1 to %d bytes of UTF-8", HF_IDENTITY_MAX);
		}
		command->request.to = hf_slice_of(arg);
		command->request.fields |= HF_CONTROL_TO;
	} else {
		argp_error(state, "too many arguments: %s", arg);
	}
}

static void check(struct argp_state *state, const struct command *command)
{
	const struct hf_control_request *request = &command->request;

	if (!command->chosen) {
		argp_error(state, "what? show, claim, transfer, accept, decline, handback or release");
	} else if (!command->session) {
		argp_error(state, "which session?");
	} else if (request->command == HF_COMMAND_TRANSFER && !(request->fields & HF_CONTROL_TO)) {
		argp_error(state, "to whom? transfer takes a session and an identity");
	} else if (request->command != HF_COMMAND_TRANSFER && request->cold) {
		argp_error(state, "--cold is for transfer");
	} else if (request->command == COMMAND_SHOW && (request->fields & HF_CONTROL_EPOCH)) {
		argp_error(state, "--epoch is for what changes the floor");
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct command *command = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &command->client_options;
		break;
	case KEY_COLD:
		command->request.cold = true;
		command->request.fields |= HF_CONTROL_MODE;
		break;
	case KEY_EPOCH:
		command->request.epoch = hf_number_argument(state, "epoch", arg, 0, UINT64_MAX);
		command->request.fields |= HF_CONTROL_EPOCH;
		break;
	case 'j':
		command->json = true;
		break;
	case ARGP_KEY_ARG:
		take_argument(state, command, arg);
		break;
	case ARGP_KEY_END:
		check(state, command);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "show SESSION\nclaim SESSION\ntransfer SESSION IDENTITY\naccept SESSION\ndecline SESSION\nhandback "
				"SESSION\nrelease SESSION",
	.doc = "The floor of a session: the right to answer in it. Show it, or change whose it is."
		   "\vAgents and operators may. A holder without a connected device loses the floor after a while "
		   "(plugin_opt_floor_lease): "
		   "this command alone is one only as long as it runs.\n\n"
		   "Exit status: 0 done, 1 refused or failed, 2 wrong usage.",
	.children = children,
};

/* ---- what comes of it */

static void print_floor(struct command *command, const cJSON *floor)
{
	const char *holder = hf_json_text(floor, "holder"), *to = hf_json_text(floor, "to");
	uint64_t epoch = 0;

	command->shown = true;
	if (command->json) {
		char *printed = cJSON_PrintUnformatted(floor);
		printf("%s\n", printed ? printed : "{}");
		cJSON_free(printed);
		return;
	}
	hf_json_u64(floor, "epoch", &epoch);
	fputs(*holder ? "held by " : "open", stdout);
	hf_write_safe(stdout, hf_slice_of(holder), "");
	fputs(*to ? ", offered to " : "", stdout);
	hf_write_safe(stdout, hf_slice_of(to), "");
	printf(", epoch %" PRIu64 "\n", epoch);
}

static void on_found(void *context, const struct hf_topic *topic, const cJSON *document)
{
	struct command *command = context;
	const cJSON *floor = cJSON_GetObjectItemCaseSensitive(document, "floor");

	if (topic->kind == HF_KIND_STATE && floor && !command->shown) {
		print_floor(command, floor);
	}
}

static bool on_accepted(void *context, const cJSON *answer)
{
	const cJSON *floor = cJSON_GetObjectItemCaseSensitive(answer, "floor");

	if (floor) {
		print_floor(context, floor);
	}
	return false;
}

static enum hf_exit show(struct command *command)
{
	const struct hf_request request = {
		.options = &command->client_options,
		.purpose = "floor",
		.session = command->session,
		.rest = HF_LOOK_REST,
		.payload = HF_LOOK_PAYLOAD,
		.look = "state",
		.found = on_found,
		.context = command,
	};
	enum hf_exit status = hf_request(&request);

	if (status == HF_EXIT_OK && !command->shown) {
		hf_complain("the broker shows no state of session %s", command->session);
		status = HF_EXIT_FAILED;
	}
	return status;
}

static enum hf_exit change(struct command *command)
{
	struct hf_buffer payload = {0};
	enum hf_exit status = HF_EXIT_FAILED;

	if (!hf_control_encode(&command->request, &payload)) {
		hf_complain("out of memory");
	} else {
		const struct hf_request request = {
			.options = &command->client_options,
			.purpose = "floor",
			.session = command->session,
			.rest = "control",
			.payload = hf_buffer_slice(&payload),
			.accepted = on_accepted,
			.context = command,
		};
		status = hf_request(&request);
	}
	hf_buffer_free(&payload);
	return status;
}

int hf_command_floor(int argc, char **argv)
{
	struct command command = {.request = {.to = HF_SLICE_NONE}};

	if (argp_parse(&argp, argc, argv, 0, NULL, &command)) {
		return HF_EXIT_USAGE;
	}
	enum hf_exit status = command.request.command == COMMAND_SHOW ? show(&command) : change(&command);
	hf_client_options_free(&command.client_options);
	return (int)status;
}
