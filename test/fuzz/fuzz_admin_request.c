/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Input: a payload of $CONTROL/holdfast/v1, from an administrator and from an auditor who may read one of the sessions,
 * to a hub with two sessions and four devices. Whatever it is, each gets one answer, in JSON, with a response that has
 * data or an error for each command; what was said is not in that of the administrator.
 */
#include "fuzz.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "session/hub.h"

static struct hf_hub *hub;
static char directory[] = "/tmp/holdfast-fuzz-XXXXXX";
static unsigned int answers;
static int64_t now = 1700000000000;

/* ---- a broker */

/* The first turn of a transcript. */
static const cJSON *turn_of(const cJSON *response)
{
	const cJSON *data = cJSON_GetObjectItemCaseSensitive(response, "data");

	return cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(data, "turns"), 0);
}

static bool is_of_holdfast(const cJSON *turn)
{
	const char *role = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(turn, "role"));

	return role && strcmp(role, "broker") == 0;
}

static void check(struct hf_slice payload, bool reads)
{
	cJSON *tree = cJSON_ParseWithLength(payload.data, payload.len);
	const cJSON *responses = cJSON_GetObjectItemCaseSensitive(tree, "responses"), *response;

	MUST(cJSON_IsArray(responses));
	cJSON_ArrayForEach(response, responses)
	{
		const cJSON *error = cJSON_GetObjectItemCaseSensitive(response, "error");
		MUST(cJSON_IsString(cJSON_GetObjectItemCaseSensitive(response, "command")));
		MUST(cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(response, "data")) != cJSON_IsString(error));
		MUST(
			reads || !cJSON_GetObjectItemCaseSensitive(turn_of(response), "text") || is_of_holdfast(turn_of(response)));
	}
	cJSON_Delete(tree);
}

static enum hf_handover hand(void *context, const char *device, const struct hf_message *message, uint64_t *handle)
{
	(void)context;
	*handle = ++answers;
	if (message->full_topic && (strcmp(device, "ada-1") == 0 || strcmp(device, "hal-1") == 0)) {
		check(message->payload, *device == 'h');
	}
	return HF_HANDED;
}

static bool holds(void *context, const char *device, uint64_t handle)
{
	(void)context;
	(void)device;
	(void)handle;
	return false;
}

static void on_device(void *context, const char *device)
{
	(void)context;
	(void)device;
}

static void on_recall(void *context, const char *device, uint16_t packet_id)
{
	(void)context;
	(void)device;
	(void)packet_id;
}

static void on_document(void *context, struct hf_slice session, struct hf_slice topic, struct hf_slice payload)
{
	(void)context;
	(void)session;
	(void)topic;
	(void)payload;
}

static void on_entry(void *context, const struct hf_entry *entry)
{
	(void)context;
	(void)entry;
}

static void on_unretain(void *context, struct hf_slice session, struct hf_slice topic)
{
	(void)context;
	(void)session;
	(void)topic;
}

static void on_wake(void *context, unsigned int in_ms)
{
	(void)context;
	(void)in_ms;
}

static int64_t time_ms(void *context)
{
	(void)context;
	return now;
}

static void on_log(void *context, enum hf_log_level level, const char *text)
{
	(void)context;
	(void)level;
	(void)text;
}

/* ---- */

static void publish(const char *topic)
{
	const struct hf_publish input = {.device = "ann-1",
		.identity = "ann",
		.topic = topic,
		.payload = hf_slice_of("hello"),
		.properties = HF_SLICE_NONE,
		.correlation = HF_SLICE_NONE,
		.conditions = HF_CONDITIONS_NONE,
		.qos = 1};
	enum hf_reason reason;

	MUST(hf_publish(hub, &input, &reason) == HF_VERDICT_STORED);
}

static void connect_as(const char *device, const char *identity)
{
	MUST(hf_connected(hub, &(struct hf_connection){.device = device, .identity = identity, .token = device}) == HF_OK);
}

static void open_hub(void)
{
	const struct hf_broker broker = {
		.hand = hand,
		.holds = holds,
		.recall = on_recall,
		.kick = on_device,
		.flush = on_device,
		.retain = on_document,
		.retain_entry = on_entry,
		.announce = on_document,
		.unretain = on_unretain,
		.wake = on_wake,
		.now_ms = time_ms,
		.monotonic_ms = time_ms,
		.log = on_log,
	};
	struct hf_options options;
	char message[512];
	FILE *roles;

	MUST(mkdtemp(directory));
	hf_options_defaults(&options);
	snprintf(options.store, sizeof(options.store), "%s/store", directory);
	snprintf(options.roles, sizeof(options.roles), "%s/roles", directory);
	roles = fopen(options.roles, "w");
	MUST(roles && fputs("ada admin *\nann user *\nhal auditor a\n", roles) >= 0 && fclose(roles) == 0);
	MUST(hf_hub_open(&options, &broker, &hub, message, sizeof(message)) == HF_OK);
	connect_as("ada-1", "ada");
	connect_as("hal-1", "hal");
	connect_as("ann-1", "ann");
	connect_as("ann-2", "ann");
	publish("sessions/a/input");
	publish("sessions/b/input");
}

static void ask(const char *device, const char *identity, struct hf_slice payload)
{
	unsigned int before = answers;
	const struct hf_publish request = {.device = device,
		.identity = identity,
		.topic = HF_ADMIN_TOPIC,
		.payload = payload,
		.correlation = HF_SLICE_NONE,
		.qos = 1};

	hf_administer(hub, &request);
	for (int i = 0; answers == before && i < 100000; i++) { /* another thread answers questions to the audit */
		usleep(100);
		now += 2;
		hf_hub_tick(hub);
	}
	MUST(answers > before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!hub) {
		open_hub();
	}
	ask("ada-1", "ada", hf_slice_from(data, size));
	ask("hal-1", "hal", hf_slice_from(data, size));
	return 0;
}
