/* SPDX-License-Identifier: BSD-3-Clause */
#include "request.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/json.h"
#include "connection.h"
#include "stop.h"

#define ANSWER_WAIT_MS 1000 /* behind the acknowledgement; Holdfast answers in front of it */

struct run {
	const struct hf_request *request;
	struct hf_client *client;
	mosquitto_property *properties; /* of the publish: key, Response Topic */
	char *topic;
	char key[HF_UNIQUE_NAME_SIZE]; /* of the publish, and its Response Topic: nobody else has it */
	bool looking;                  /* subscribed on this connection, and not answered yet */
	bool published;                /* on this connection */
	int mid;
	bool acknowledged; /* on this connection, with this reason, and then */
	int reason;
	int64_t answer_due_ms;
	uint64_t offset; /* where following begins; 0: at the earliest entry */
	bool answered;
	bool done;
	bool failed; /* and the user knows why */
};

/* ---- answers */

static void tell_refusal(const cJSON *answer)
{
	const char *by = hf_json_text(answer, "by");
	uint64_t offset, expected;
	char more[64] = "";

	if (hf_json_u64(answer, "offset", &offset)) {
		snprintf(more, sizeof(more), ", entry %" PRIu64, offset);
	}
	if (hf_json_u64(answer, "expected", &expected)) {
		snprintf(more + strlen(more), sizeof(more) - strlen(more), ", expected %" PRIu64, expected);
	}
	hf_complain("refused: %s (%s)%s%s%s", hf_json_text(answer, "message"), hf_json_text(answer, "reason"),
		*by ? ": " : "", by, more);
}

/* To all of the session, whatever is wanted of it: so what comes is in order, over whatever filters. */
static bool subscribe(struct run *run)
{
	const struct hf_request *request = run->request;
	char position[32] = "earliest", *filter;

	if (run->offset > 0) {
		snprintf(position, sizeof(position), "%" PRIu64, run->offset);
	}
	if (asprintf(&filter, "$from/%s/%s/%s/#", position, request->options->root, request->session) < 0) {
		hf_complain("out of memory");
		run->failed = true;
		return false;
	}
	hf_client_subscribe(run->client, &filter, 1);
	free(filter);
	return true;
}

static void on_answer(struct run *run, struct hf_slice payload)
{
	cJSON *answer = hf_json_from_cbor(payload);

	if (run->answered || !answer) {
		cJSON_Delete(answer);
		return;
	}
	run->answered = true;
	if (*hf_json_text(answer, "reason")) {
		tell_refusal(answer);
		run->failed = true;
	} else {
		hf_json_u64(answer, "offset", &run->offset);
		run->done = !run->request->accepted || !run->request->accepted(run->request->context, answer) ||
					run->request->follow == 0 || !subscribe(run);
	}
	cJSON_Delete(answer);
}

/* ---- what the connection calls */

static void on_up(void *context)
{
	struct run *run = context;

	run->published = run->acknowledged = run->looking = false;
	if (run->answered) {
		subscribe(run);
	} else if (run->request->look) {
		char *filter;
		if (asprintf(&filter, "%s/%s/%s", run->request->options->root, run->request->session, run->request->look) < 0) {
			hf_complain("out of memory");
			run->failed = true;
			return;
		}
		hf_client_subscribe(run->client, &filter, 1);
		free(filter);
	}
}

static void on_acknowledged(void *context, int mid, int reason)
{
	struct run *run = context;

	if (run->published && mid == run->mid) {
		run->acknowledged = true;
		run->reason = reason;
		run->answer_due_ms = hf_monotonic_ms() + ANSWER_WAIT_MS;
		run->done = run->done || (run->request->silent && reason < 0x80);
		hf_client_progress(run->client);
	}
}

static void on_subscribed(void *context, const int *reasons, size_t count)
{
	struct run *run = context;

	for (size_t i = 0; i < count; i++) {
		if (reasons[i] >= 0x80 && !run->failed) {
			hf_complain(
				"the broker does not let this user read what comes of it: %s", mosquitto_reason_string(reasons[i]));
			run->failed = true;
		}
	}
	run->looking = !run->answered;
}

static void on_entry(
	struct run *run, struct hf_followed *entry, struct hf_slice payload, const mosquitto_property *property)
{
	for (; property; property = mosquitto_property_next(property)) {
		const char *name = mosquitto_property_string_name(property), *value = mosquitto_property_string_value(property);
		if (mosquitto_property_identifier(property) != MQTT_PROP_USER_PROPERTY || !name || !value) {
			continue;
		}
		if (strcmp(name, "offset") == 0) {
			entry->offset = strtoull(value, NULL, 10);
		} else if (strcmp(name, "from") == 0) {
			entry->from = hf_slice_of(value);
		}
	}
	if (entry->offset == 0 || entry->offset < run->offset) {
		return; /* of before the connection broke */
	}
	run->offset = entry->offset + 1;
	cJSON *document = hf_json_from_cbor(payload);
	entry->document = document;
	if (!run->request->followed(run->request->context, entry)) {
		run->done = true;
	}
	cJSON_Delete(document);
}

static void on_message(void *context, const struct mosquitto_message *message, const mosquitto_property *properties)
{
	struct run *run = context;
	struct hf_slice payload =
		hf_slice_from(message->payloadlen > 0 ? message->payload : "", (size_t)message->payloadlen);
	struct hf_followed entry = {.from = HF_SLICE_NONE};

	if (strcmp(message->topic, run->key) == 0) {
		on_answer(run, payload);
	} else if (hf_topic_parse(run->request->options->root, message->topic, &entry.topic) != HF_OK) {
		return;
	} else if (run->looking && !hf_kind_is_logged(entry.topic.kind)) {
		cJSON *document = hf_json_from_cbor(payload);
		run->request->found(run->request->context, &entry.topic, document);
		cJSON_Delete(document);
	} else if (run->answered && !run->done && (run->request->follow & HF_KIND_BIT(entry.topic.kind))) {
		on_entry(run, &entry, payload, properties);
	}
}

static const struct hf_client_handlers handlers = {
	.up = on_up,
	.acknowledged = on_acknowledged,
	.subscribed = on_subscribed,
	.message = on_message,
};

/* ---- the run */

static void publish(struct run *run)
{
	const struct hf_request *request = run->request;
	enum hf_sent sent = hf_client_publish(
		run->client, run->topic, request->payload.data, request->payload.len, run->properties, &run->mid);

	run->published = sent == HF_SENT;
	run->failed = run->failed || sent == HF_SENT_NEVER;
}

/* Acknowledged, and not a word from Holdfast. */
static void tell_silence(struct run *run)
{
	const struct hf_client_options *options = run->request->options;

	if (run->reason >= 0x80) {
		hf_complain("the broker refused it on %s: %s. It gave no reason; its log has it.", run->topic,
			mosquitto_reason_string(run->reason));
	} else {
		hf_complain(
			"the broker took it, but Holdfast says nothing to it: does the broker at %s:%d load the plugin, with the "
			"root %s?",
			options->host, options->port, options->root);
	}
	run->failed = true;
}

static bool step(struct run *run)
{
	if (!run->answered && !run->published && hf_client_is_up(run->client) && (!run->request->look || run->looking)) {
		publish(run);
	}
	if (!run->answered && run->acknowledged && hf_monotonic_ms() >= run->answer_due_ms) {
		tell_silence(run);
	}
	if (run->failed || run->done) {
		return false;
	}
	if (!hf_client_turn(run->client, NULL, 0, run->acknowledged && !run->answered ? 100 : -1)) {
		run->failed = true;
	}
	return !run->failed && !run->done && !hf_stop_requested();
}

static bool prepare(struct run *run)
{
	const struct hf_request *request = run->request;
	const struct hf_client_setup setup = {
		.options = request->options,
		.handlers = &handlers,
		.context = run,
		.purpose = request->purpose,
	};

	if (!hf_unique_name(run->key)) {
		return false;
	}
	if (asprintf(&run->topic, "%s/%s/%s", request->options->root, request->session, request->rest) < 0) {
		run->topic = NULL;
	}
	if (!run->topic || mosquitto_property_add_string_pair(&run->properties, MQTT_PROP_USER_PROPERTY, "id", run->key) ||
		mosquitto_property_add_string(&run->properties, MQTT_PROP_RESPONSE_TOPIC, run->key)) {
		hf_complain("out of memory");
		return false;
	}
	if (!hf_stop_install()) {
		return false;
	}
	run->client = hf_client_new(&setup);
	return run->client != NULL;
}

enum hf_exit hf_request(const struct hf_request *request)
{
	struct run run = {.request = request};
	bool prepared = prepare(&run);

	while (prepared && step(&run)) {
	}
	hf_client_free(run.client);
	mosquitto_property_free_all(&run.properties);
	free(run.topic);
	return run.done && !run.failed ? HF_EXIT_OK : HF_EXIT_FAILED;
}
