/* SPDX-License-Identifier: BSD-3-Clause */
/* holdfast ask: a question, and the answer to it. */
#include <argp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "codec/ask.h"
#include "codec/cbor.h"
#include "codec/json.h"
#include "codec/utf8.h"
#include "request.h"
#include "safe.h"

enum {
	KEY_ID = 0x200,
	KEY_TO,
	KEY_ROLE,
	KEY_EXPIRES,
	KEY_NO_WAIT,
};

struct list {
	const char *items[HF_ASK_CHOICES_MAX];
	size_t count;
};

struct command {
	struct hf_client_options client_options;
	const char *session;
	const char *question;
	struct list choices, to, roles;
	uint64_t expires_s; /* 0: as the broker has it */
	char id[HF_ASK_ID_MAX + 1];
	bool no_wait;
	bool json;
	bool expired;
};

static const struct argp_option options[] = {
	{.name = "choice",
		.key = 'c',
		.arg = "TEXT",
		.doc = "An answer to choose from; may be given again. Without, the answer is text"},
	{.name = "to",
		.key = KEY_TO,
		.arg = "IDENTITY",
		.doc = "Who may answer; may be given again (default: any user or operator)"},
	{.name = "role", .key = KEY_ROLE, .arg = "ROLE", .doc = "Who may answer: user or operator; may be given again"},
	{.name = "expires",
		.key = KEY_EXPIRES,
		.arg = "SECONDS",
		.doc = "How long it may be answered (default: the broker's ask_expiry)"},
	{.name = "id",
		.key = KEY_ID,
		.arg = "ID",
		.doc = "Id of the question (default: random). The same question with the same id is not asked again, and its "
			   "answer is found"},
	{.name = "no-wait", .key = KEY_NO_WAIT, .doc = "Do not wait for the answer; print the id"},
	{.name = "json", .key = 'j', .doc = "Print the answer as a JSON object"},
	{0},
};

static const struct argp_child children[] = {
	{.argp = &hf_client_argp},
	{0},
};

static void add(
	struct argp_state *state, struct list *list, size_t max, size_t text_max, const char *name, const char *text)
{
	if (list->count == max) {
		argp_error(state, "--%s can be given %zu times", name, max);
	} else if (*text == '\0' || strlen(text) > text_max || !hf_utf8_valid(hf_slice_of(text))) {
		argp_error(state, "--%s takes 1 to %zu bytes of UTF-8", name, text_max);
	} else {
		list->items[list->count++] = text;
	}
}

static void check(struct argp_state *state, const struct command *command)
{
	if (!command->session) {
		argp_error(state, "which session?");
	} else if (!command->question) {
		argp_error(state, "what is the question?");
	}
	if (command->no_wait && command->json) {
		argp_error(state, "--no-wait and --json exclude each other");
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct command *command = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &command->client_options;
		break;
	case 'c':
		add(state, &command->choices, HF_ASK_CHOICES_MAX, HF_ASK_CHOICE_MAX, "choice", arg);
		break;
	case KEY_TO:
		add(state, &command->to, HF_ASK_TO_MAX, HF_ASK_IDENTITY_MAX, "to", arg);
		break;
	case KEY_ROLE:
		if (strcmp(arg, "user") != 0 && strcmp(arg, "operator") != 0) {
			argp_error(state, "--role takes user or operator, not '%s'", arg);
		}
		add(state, &command->roles, HF_ASK_ROLES_MAX, HF_ASK_IDENTITY_MAX, "role", arg);
		break;
	case KEY_EXPIRES:
		command->expires_s = hf_number_argument(state, "expires", arg, 1, HF_ASK_EXPIRES_MAX_MS / 1000);
		break;
	case KEY_ID:
		if (*arg == '\0' || strlen(arg) > HF_ASK_ID_MAX || !hf_utf8_valid(hf_slice_of(arg))) {
			argp_error(state, "--id takes 1 to %d bytes of UTF-8", HF_ASK_ID_MAX);
		}
		snprintf(command->id, sizeof(command->id), "%s", arg);
		break;
	case KEY_NO_WAIT:
		command->no_wait = true;
		break;
	case 'j':
		command->json = true;
		break;
	case ARGP_KEY_ARG:
		if (state->arg_num == 0) {
			command->session = hf_session_argument(state, arg);
		} else if (state->arg_num == 1 && *arg != '\0' && hf_utf8_valid(hf_slice_of(arg))) {
			command->question = arg;
		} else {
			argp_error(state, state->arg_num == 1 ? "the question is some UTF-8" : "too many arguments: %s", arg);
		}
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
	.args_doc = "SESSION QUESTION",
	.doc = "Ask people in a session, as an agent does, wait for the first valid answer and print it."
		   "\vWhat is printed is the choice, or the text where there was none to choose. Ctrl-C ends the waiting; the "
		   "question "
		   "stays open, and the same command with its --id waits on.\n\n"
		   "Exit status: 0 answered (with --no-wait: asked), 1 refused, failed, expired or ended, 2 wrong usage.",
	.children = children,
};

/* ---- what the broker says */

static bool on_accepted(void *context, const cJSON *answer)
{
	struct command *command = context;
	uint64_t offset = 0;

	hf_json_u64(answer, "offset", &offset);
	if (command->no_wait) {
		printf("%s\n", command->id);
	} else if (!command->client_options.quiet) {
		hf_complain("question %s, entry %" PRIu64 "%s; waiting for an answer", command->id, offset,
			cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "duplicate")) ? ", was asked before" : "");
	}
	return !command->no_wait;
}

static void print_answer(const struct command *command, const struct hf_followed *entry)
{
	const char *choice = hf_json_text(entry->document, "choice"), *text = hf_json_text(entry->document, "text");

	if (command->json) {
		cJSON *object = cJSON_Duplicate(entry->document, true);
		cJSON_AddItemToObject(object, "from", hf_json_from_text(entry->from));
		cJSON_AddItemToObject(object, "offset", hf_json_from_u64(entry->offset));
		char *printed = cJSON_PrintUnformatted(object);
		printf("%s\n", printed ? printed : "{}");
		cJSON_free(printed);
		cJSON_Delete(object);
		return;
	}
	if (isatty(STDOUT_FILENO)) {
		hf_write_safe(stdout, hf_slice_of(*choice ? choice : text), "");
		fputc('\n', stdout);
	} else {
		printf("%s\n", *choice ? choice : text);
	}
	if (!command->client_options.quiet) {
		hf_complain("%.*s has answered, entry %" PRIu64 "%s%s", (int)entry->from.len, entry->from.data, entry->offset,
			*choice && *text ? ": " : "", *choice ? text : "");
	}
}

static bool on_followed(void *context, const struct hf_followed *entry)
{
	struct command *command = context;

	if (strcmp(hf_json_text(entry->document, "id"), command->id) != 0) {
		return true;
	}
	if (entry->topic.kind == HF_KIND_ANSWER) {
		print_answer(command, entry);
		return false;
	}
	if (strcmp(hf_json_text(entry->document, "notice"), "ask-expired") == 0) {
		hf_complain("nobody has answered in time");
		command->expired = true;
		return false;
	}
	return true;
}

/* ---- the question */

static bool put_list(struct hf_buffer *out, const struct list *list)
{
	bool ok = list->count == 0 || hf_cbor_put_array(out, list->count);

	for (size_t i = 0; ok && i < list->count; i++) {
		ok = hf_cbor_put_text(out, hf_slice_of(list->items[i]));
	}
	return ok;
}

static bool encode(const struct command *command, struct hf_buffer *payload)
{
	struct hf_buffer choices = {0}, to = {0}, roles = {0};
	bool ok = put_list(&choices, &command->choices) && put_list(&to, &command->to) && put_list(&roles, &command->roles);

	if (ok) {
		const struct hf_ask ask = {
			.id = hf_slice_of(command->id),
			.question = hf_slice_of(command->question),
			.choices = hf_buffer_slice(&choices),
			.to = hf_buffer_slice(&to),
			.roles = hf_buffer_slice(&roles),
			.expires_in_ms = command->expires_s * 1000,
			.data = HF_SLICE_NONE,
		};
		ok = hf_ask_encode(&ask, payload);
	}
	hf_buffer_free(&choices);
	hf_buffer_free(&to);
	hf_buffer_free(&roles);
	return ok;
}

static bool make_id(struct command *command)
{
	uint64_t number;

	if (command->id[0]) {
		return true;
	}
	if (getrandom(&number, sizeof(number), 0) != sizeof(number)) {
		hf_complain("the system gives no random numbers; choose an --id yourself");
		return false;
	}
	snprintf(command->id, sizeof(command->id), "%016" PRIx64, number);
	return true;
}

static enum hf_exit run(struct command *command)
{
	struct hf_buffer payload = {0};
	enum hf_exit status = HF_EXIT_FAILED;

	if (!encode(command, &payload)) {
		hf_complain("out of memory");
	} else {
		const struct hf_request request = {
			.options = &command->client_options,
			.purpose = "ask",
			.session = command->session,
			.rest = "ask",
			.payload = hf_buffer_slice(&payload),
			.accepted = on_accepted,
			.follow = HF_KIND_BIT(HF_KIND_ANSWER) | HF_KIND_BIT(HF_KIND_NOTICE),
			.followed = on_followed,
			.context = command,
		};
		status = hf_request(&request);
	}
	hf_buffer_free(&payload);
	return command->expired ? HF_EXIT_FAILED : status;
}

int hf_command_ask(int argc, char **argv)
{
	struct command command = {.session = NULL};

	if (argp_parse(&argp, argc, argv, 0, NULL, &command)) {
		return HF_EXIT_USAGE;
	}
	enum hf_exit status = make_id(&command) ? run(&command) : HF_EXIT_FAILED;
	hf_client_options_free(&command.client_options);
	return (int)status;
}
