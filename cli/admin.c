/* SPDX-License-Identifier: BSD-3-Clause */
/* holdfast admin: one command to a running broker, over $CONTROL/holdfast/v1 (plugin/CONTROL.md). */
#include <argp.h>
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "codec/utf8.h"
#include "command.h"
#include "connection.h"
#include "options.h"
#include "stop.h"

#define TOPIC "$CONTROL/holdfast/v1"
#define ANSWER_WAIT_MS 60000 /* a question to the audit may take that long */

struct run {
	struct hf_client_options options;
	struct hf_client *client;
	mosquitto_property *properties;
	cJSON *command;
	char key[HF_UNIQUE_NAME_SIZE]; /* the Response Topic: nobody else has it */
	bool all;
	bool published; /* on this connection */
	int64_t due_ms;
	bool done;
	bool failed; /* and the user knows why */
};

/* ---- what is answered */

static void print_line(const cJSON *item, bool pretty)
{
	char *text = pretty ? cJSON_Print(item) : cJSON_PrintUnformatted(item);

	if (text) {
		puts(text);
	}
	cJSON_free(text);
}

/* All pages: the rows, a line each. Otherwise the page as it is. False: there is another page, and it was asked for. */
static bool take_data(struct run *run, const cJSON *data)
{
	const cJSON *next = cJSON_GetObjectItemCaseSensitive(data, "next"), *item, *row;
	bool has_list = false;

	if (!run->all) {
		print_line(data, true);
		return true;
	}
	cJSON_ArrayForEach(item, data)
	{
		const cJSON *list = cJSON_IsArray(item) ? item : NULL;
		has_list = has_list || list;
		cJSON_ArrayForEach(row, list)
		{
			print_line(row, false);
		}
	}
	if (!has_list) {
		print_line(data, false);
	}
	if (!cJSON_IsString(next) || ferror(stdout)) {
		return true;
	}
	cJSON_DeleteItemFromObjectCaseSensitive(run->command, "after");
	if (!cJSON_AddStringToObject(run->command, "after", next->valuestring)) {
		hf_complain("out of memory");
		run->failed = true;
	}
	return false;
}

static void take_answer(struct run *run, const cJSON *answer)
{
	const cJSON *response = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(answer, "responses"), 0);
	const cJSON *data = cJSON_GetObjectItemCaseSensitive(response, "data");
	const cJSON *error = cJSON_GetObjectItemCaseSensitive(response ? response : answer, "error");
	const cJSON *reason = cJSON_GetObjectItemCaseSensitive(response, "reason");

	if (cJSON_IsObject(data)) {
		run->done = take_data(run, data);
		run->published = false;
		return;
	}
	if (response && cJSON_IsString(error)) {
		hf_complain("refused: %s (%s)", error->valuestring, cJSON_IsString(reason) ? reason->valuestring : "");
	} else {
		hf_complain("Holdfast does not answer: does the broker at %s:%d load the plugin?", run->options.host,
			run->options.port);
	}
	run->failed = true;
}

static void on_message(void *context, const struct mosquitto_message *message, const mosquitto_property *properties)
{
	struct run *run = context;

	(void)properties;
	/* A broker without Holdfast says so on the other topic. */
	if (run->done || !run->published ||
		(strcmp(message->topic, run->key) != 0 && strcmp(message->topic, TOPIC "/response") != 0)) {
		return;
	}
	cJSON *answer = cJSON_ParseWithLength(message->payload, (size_t)message->payloadlen);
	take_answer(run, answer);
	cJSON_Delete(answer);
}

static void on_up(void *context)
{
	((struct run *)context)->published = false;
}

static const struct hf_client_handlers handlers = {.up = on_up, .message = on_message};

/* ---- the run */

static void publish(struct run *run)
{
	cJSON *request = cJSON_CreateObject(), *commands = cJSON_AddArrayToObject(request, "commands");
	bool added = commands && cJSON_AddItemReferenceToArray(commands, run->command);
	char *text = added ? cJSON_PrintUnformatted(request) : NULL;
	int mid;

	if (!text) {
		hf_complain("out of memory");
		run->failed = true;
	} else {
		enum hf_sent sent = hf_client_publish(run->client, TOPIC, text, strlen(text), run->properties, &mid);
		run->published = sent == HF_SENT;
		run->failed = sent == HF_SENT_NEVER;
		run->due_ms = hf_monotonic_ms() + ANSWER_WAIT_MS;
	}
	cJSON_free(text);
	cJSON_Delete(request);
}

static bool step(struct run *run)
{
	if (!run->published && hf_client_is_up(run->client)) {
		publish(run);
	}
	if (!run->failed && !hf_client_turn(run->client, NULL, 0, -1)) {
		run->failed = true;
	}
	if (run->published && !run->done && !run->failed && hf_monotonic_ms() >= run->due_ms) {
		hf_complain("no answer within %d seconds", ANSWER_WAIT_MS / 1000);
		run->failed = true;
	}
	return !run->failed && !run->done && !hf_stop_requested();
}

static bool prepare(struct run *run)
{
	const struct hf_client_setup setup = {
		.options = &run->options, .handlers = &handlers, .context = run, .purpose = "admin"};

	if (!hf_unique_name(run->key)) {
		return false;
	}
	if (mosquitto_property_add_string(&run->properties, MQTT_PROP_RESPONSE_TOPIC, run->key)) {
		hf_complain("out of memory");
		return false;
	}
	if (!hf_stop_install()) {
		return false;
	}
	run->client = hf_client_new(&setup);
	return run->client != NULL;
}

/* ---- arguments */

/* NAME=VALUE. What is no text: these. */
static cJSON *value_of(struct argp_state *state, const char *name, const char *text)
{
	static const char *const numbers[] = {"limit", "offset", "age", "bytes", "count"};
	static const char *const flags[] = {"online", "first", "acknowledged"};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (strcmp(name, numbers[i]) == 0) {
			return cJSON_CreateNumber((double)hf_number_argument(state, name, text, 0, UINT64_C(1) << 53));
		}
	}
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (strcmp(name, flags[i]) == 0) {
			if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) {
				argp_error(state, "%s is true or false, not '%s'", name, text);
			}
			return cJSON_CreateBool(*text == 't');
		}
	}
	if (!hf_utf8_valid(hf_slice_of(text))) {
		argp_error(state, "%s is not UTF-8", name);
	}
	return cJSON_CreateString(text);
}

static void take_argument(struct argp_state *state, struct run *run, char *argument)
{
	char *value = strchr(argument, '=');
	bool added;

	if (state->arg_num == 0) {
		added = cJSON_AddStringToObject(run->command, "command", argument);
	} else {
		if (!value || value == argument) {
			argp_error(state, "an argument is NAME=VALUE, such as session=trip, not '%s'", argument);
		}
		*value = '\0';
		added = cJSON_AddItemToObject(run->command, argument, value_of(state, argument, value + 1));
	}
	if (!added) {
		argp_error(state, "out of memory");
	}
}

static const struct argp_option options[] = {
	{.name = "all", .key = 'a', .doc = "All pages of a list, its rows as JSON, one a line"},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct run *run = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &run->options;
		return 0;
	case 'a':
		run->all = true;
		return 0;
	case ARGP_KEY_ARG:
		take_argument(state, run, arg);
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which command? listSessions, getSession, listDevices, query, ...");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.children = (const struct argp_child[]){{.argp = &hf_client_argp}, {0}},
	.args_doc = "COMMAND [NAME=VALUE...]",
	.doc = "Give a running broker one command, as an administrator or auditor, and print what it says as JSON."
		   "\vThe commands and their arguments are those of $CONTROL/holdfast/v1; plugin/CONTROL.md has them all, such "
		   "as:\n\n"
		   "  listSessions match='hr-*' state=open\n"
		   "  getSession session=trip\n"
		   "  listDevices session=trip online=true\n"
		   "  query session=trip kind=published from=2026-01\n"
		   "  transcript session=trip\n"
		   "  getCheckpoint\n"
		   "  closeSession session=trip\n"
		   "  disconnectIdentity identity=alice\n\n"
		   "Exit status: 0 done, 1 refused or failed, 2 wrong usage.",
};

int hf_command_admin(int argc, char **argv)
{
	struct run run = {.command = cJSON_CreateObject()};

	if (!run.command) {
		hf_complain("out of memory");
		return HF_EXIT_FAILED;
	}
	if (argp_parse(&argp, argc, argv, 0, NULL, &run)) {
		return HF_EXIT_USAGE;
	}
	bool prepared = prepare(&run);
	while (prepared && step(&run)) {
	}
	hf_client_free(run.client);
	mosquitto_property_free_all(&run.properties);
	hf_client_options_free(&run.options);
	cJSON_Delete(run.command);
	enum hf_exit status = hf_output_end();
	return (int)(run.done && !run.failed ? status : HF_EXIT_FAILED);
}
