/* SPDX-License-Identifier: BSD-3-Clause */
/* holdfast presence: who takes part in a session, and how they are; and one's own words about oneself. */
#include <argp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <utlist.h>

#include "codec/cbor.h"
#include "codec/json.h"
#include "codec/utf8.h"
#include "request.h"
#include "safe.h"

#define STATUS_MAX 256

struct person {
	struct person *next;
	cJSON *document;
};

struct command {
	struct hf_client_options client_options;
	const char *session;
	const char *status; /* NULL: list */
	bool json;
	struct person *people;
};

static const struct argp_option options[] = {
	{.name = "status",
		.key = 's',
		.arg = "TEXT",
		.doc = "Do not list: say this of yourself, up to 256 bytes; nothing any more when empty"},
	{.name = "json", .key = 'j', .doc = "Print a JSON object for each participant, one a line"},
	{0},
};

static const struct argp_child children[] = {
	{.argp = &hf_client_argp},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct command *command = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &command->client_options;
		break;
	case 's':
		if (strlen(arg) > STATUS_MAX || !hf_utf8_valid(hf_slice_of(arg))) {
			argp_error(state, "--status takes up to %d bytes of UTF-8", STATUS_MAX);
		}
		command->status = arg;
		break;
	case 'j':
		command->json = true;
		break;
	case ARGP_KEY_ARG:
		if (state->arg_num > 0) {
			argp_error(state, "too many arguments: %s", arg);
		}
		command->session = hf_session_argument(state, arg);
		break;
	case ARGP_KEY_END:
		if (!command->session) {
			argp_error(state, "which session?");
		} else if (command->status && command->json) {
			argp_error(state, "--status and --json exclude each other");
		}
		break;
	case ARGP_KEY_SUCCESS:
		if (command->status && !command->client_options.user) {
			argp_error(state, "--status is about a user: name it with --user");
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
	.doc = "List who takes part, or has taken part, in a session: state, role, devices, since when, who, and their own "
		   "words."
		   "\vWho looks takes part, too. 'holdfast watch --topics notice,presence' tells of changes.\n\n"
		   "Exit status: 0 done, 1 refused or failed, 2 wrong usage.",
	.children = children,
};

/* ---- the list */

static void on_found(void *context, const struct hf_topic *topic, const cJSON *document)
{
	struct command *command = context;
	const char *identity = hf_json_text(document, "identity");
	struct person *person;

	if (topic->kind != HF_KIND_PRESENCE || !document) {
		return;
	}
	LL_FOREACH(command->people, person)
	{
		if (strcmp(hf_json_text(person->document, "identity"), identity) == 0) {
			break;
		}
	}
	if (!person) {
		person = calloc(1, sizeof(*person));
		if (!person) {
			return;
		}
		LL_APPEND(command->people, person);
	}
	cJSON_Delete(person->document);
	person->document = cJSON_Duplicate(document, true);
}

static int compare(const struct person *a, const struct person *b)
{
	return strcmp(hf_json_text(a->document, "identity"), hf_json_text(b->document, "identity"));
}

static void print_text(const cJSON *document, const char *name, int width)
{
	const char *text = hf_json_text(document, name);

	hf_write_safe(stdout, hf_slice_of(text), " ");
	printf("%*s", width > (int)strlen(text) ? width - (int)strlen(text) : 0, "");
}

static void print_line(const cJSON *document)
{
	uint64_t devices = 0, since_ms = 0;
	char time_text[32] = "-";
	struct tm local;

	hf_json_u64(document, "devices", &devices);
	if (hf_json_u64(document, "since", &since_ms)) {
		time_t seconds = (time_t)(since_ms / 1000);
		if (localtime_r(&seconds, &local)) {
			strftime(time_text, sizeof(time_text), "%Y-%m-%d %H:%M:%S", &local);
		}
	}
	print_text(document, "state", 9);
	print_text(document, "role", 10);
	printf("%7" PRIu64 "  %-19s  ", devices, time_text);
	print_text(document, "identity", 0);
	if (*hf_json_text(document, "reason")) {
		fputs("  (", stdout);
		print_text(document, "reason", 0);
		fputs(")", stdout);
	}
	if (*hf_json_text(document, "status")) {
		fputs("  ", stdout);
		print_text(document, "status", 0);
	}
	fputc('\n', stdout);
}

static void print_all(struct command *command)
{
	const struct person *person;

	LL_SORT(command->people, compare);
	if (!command->json && command->people) {
		printf("%-9s%-10s%7s  %-19s  %s\n", "STATE", "ROLE", "DEVICES", "SINCE", "WHO");
	}
	LL_FOREACH(command->people, person)
	{
		if (command->json) {
			char *printed = cJSON_PrintUnformatted(person->document);
			printf("%s\n", printed ? printed : "{}");
			cJSON_free(printed);
		} else {
			print_line(person->document);
		}
	}
}

static void free_all(struct command *command)
{
	struct person *person, *next;

	LL_FOREACH_SAFE(command->people, person, next)
	{
		cJSON_Delete(person->document);
		free(person);
	}
}

static enum hf_exit list(struct command *command)
{
	const struct hf_request request = {
		.options = &command->client_options,
		.purpose = "presence",
		.session = command->session,
		.rest = HF_LOOK_REST,
		.payload = HF_LOOK_PAYLOAD,
		.look = "presence/+",
		.found = on_found,
		.context = command,
	};
	enum hf_exit status = hf_request(&request);

	if (status == HF_EXIT_OK) {
		print_all(command);
	}
	free_all(command);
	return status;
}

/* ---- one's own words */

static enum hf_exit say(struct command *command)
{
	struct hf_buffer payload = {0};
	char identity[3 * HF_TOPIC_MAX], rest[sizeof(identity) + 16];
	enum hf_exit status = HF_EXIT_FAILED;

	if (hf_percent_encode(hf_slice_of(command->client_options.user), identity, sizeof(identity)) == 0) {
		hf_complain("the user name is too long for a topic");
		return HF_EXIT_FAILED;
	}
	snprintf(rest, sizeof(rest), "presence/%s", identity);
	if (!hf_cbor_put_map(&payload, 1) || !hf_cbor_pair_text(&payload, "status", hf_slice_of(command->status))) {
		hf_complain("out of memory");
	} else {
		const struct hf_request request = {
			.options = &command->client_options,
			.purpose = "presence",
			.session = command->session,
			.rest = rest,
			.payload = hf_buffer_slice(&payload),
			.silent = true,
		};
		status = hf_request(&request);
	}
	hf_buffer_free(&payload);
	return status;
}

int hf_command_presence(int argc, char **argv)
{
	struct command command = {.session = NULL};

	if (argp_parse(&argp, argc, argv, 0, NULL, &command)) {
		return HF_EXIT_USAGE;
	}
	enum hf_exit status = command.status ? say(&command) : list(&command);
	hf_client_options_free(&command.client_options);
	return (int)status;
}
