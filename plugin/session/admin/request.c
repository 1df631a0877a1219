/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A request, taken apart: {"commands": [{"command": ..., "correlationData": ..., ...}]}, answered by {"responses":
 * [{"command": ..., "data": ... or "error": ..., "correlationData": ...}]}, a response for each command, in their
 * order.
 * Mosquitto's own helper for this (mosquitto_control_generic_callback, broker_control.h) answers by a publish that
 * everybody gets who has subscribed to the topic; here the answer goes to the client that asked, and to nobody else.
 */
#include "session/admin/admin.h"
#include "session/audit/notes.h"
#include "session/people/presence.h"
#include "session/publish/publish.h"

#include <stdio.h>

#include <utlist.h>

#define UNKNOWN "Unknown command" /* what Mosquitto's helper says where there is none to name */
#define AROUND 256                /* bytes of a packet beside topic, correlation data and payload */

/* ---- a response */

static cJSON *respond(struct hf_admin *admin, cJSON *responses, const char *name)
{
	cJSON *response = hf_admin_put_object(admin, responses, NULL);

	hf_admin_put_text(admin, response, "command", hf_slice_of(*name ? name : UNKNOWN));
	return response;
}

static void refuse(struct hf_admin *admin, cJSON *response, enum hf_reason reason)
{
	const char *message = admin->message[0] ? admin->message : hf_reason_sentence(reason);

	hf_admin_put_text(admin, response, "error", hf_slice_of(message));
	hf_admin_put_text(admin, response, "reason", hf_slice_of(hf_reason_name(reason)));
}

void hf_admin_respond(struct hf_admin *admin, cJSON *response, enum hf_reason reason, cJSON *data)
{
	if (reason == HF_OK && (!data || admin->no_memory)) {
		admin->message[0] = '\0';
		reason = HF_NO_MEMORY;
	}
	if (reason != HF_OK) {
		refuse(admin, response, reason);
	} else if (cJSON_AddItemToObject(response, "data", data)) {
		data = NULL;
	}
	cJSON_Delete(data);
}

/* ---- one command */

/* It is to be taken down, and may have to be answered later. False: no memory, so it is not answered. */
static bool add_question(const struct hf_admin *admin, const cJSON *command, cJSON *response, struct hf_admin_job *job)
{
	struct hf_question *question = malloc(sizeof(*question));

	if (!question) {
		return false;
	}
	*question = (struct hf_question){
		.inquire = admin->inquire,
		.arguments = admin->arguments,
		.response = response,
		.filter = hf_admin_arguments_text(command, false),
	};
	LL_APPEND(job->questions, question);
	if (!question->filter) {
		question->inquire = NULL;
	}
	return question->filter;
}

static void run(struct hf_admin *admin, const cJSON *command, cJSON *responses, struct hf_admin_job *job)
{
	const cJSON *named = cJSON_GetObjectItemCaseSensitive(command, "command");
	const cJSON *correlation = cJSON_GetObjectItemCaseSensitive(command, "correlationData");
	const char *name = cJSON_IsString(named) ? named->valuestring : "";
	cJSON *response = respond(admin, responses, name), *data = cJSON_CreateObject();
	enum hf_reason reason = HF_NO_MEMORY;

	admin->message[0] = '\0';
	admin->asked = false;
	admin->inquire = NULL;
	admin->no_memory = false;
	if (*name == '\0' || (correlation && !cJSON_IsString(correlation))) {
		snprintf(admin->message, sizeof(admin->message),
			"a command is an object with the string 'command'; 'correlationData', if there, is a string, too");
		reason = HF_ARGUMENT_INVALID;
	} else if (data) {
		reason = hf_admin_command(admin, name, command, data);
	}
	if (cJSON_IsString(correlation)) {
		hf_admin_put_text(admin, response, "correlationData", hf_slice_of(correlation->valuestring));
	}
	if (admin->asked && !add_question(admin, command, response, job)) {
		admin->message[0] = '\0';
		reason = HF_NO_MEMORY;
	}
	if (reason == HF_OK && admin->inquire) {
		cJSON_Delete(data);
		return;
	}
	hf_admin_respond(admin, response, reason, data);
}

/* ---- the payload */

/* Zero bytes, which JSON can write and strings here cannot hold: nobody has a use for them in a command. */
static bool has_zero(struct hf_slice payload)
{
	return memchr(payload.data, '\0', payload.len) || memmem(payload.data, payload.len, "\\u0000", 6);
}

/* The payload as an object with an array of commands; NULL: it is none. */
static cJSON *parse(struct hf_slice payload)
{
	const char *end = payload.data;
	cJSON *tree = payload.len > 0 && !has_zero(payload)
					  ? cJSON_ParseWithLengthOpts(payload.data, payload.len, &end, false)
					  : NULL;

	while (tree && end < payload.data + payload.len && strchr(" \t\r\n", *end)) {
		end++;
	}
	if (tree && end == payload.data + payload.len &&
		cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(tree, "commands"))) {
		return tree;
	}
	cJSON_Delete(tree);
	return NULL;
}

static enum hf_reason check(struct hf_admin *admin, cJSON **tree)
{
	if (!hf_admin_may_ask(admin)) { /* nobody else's JSON is even looked at */
		return admin->who.identity ? HF_NOT_PERMITTED : HF_NOT_AUTHENTICATED;
	}
	if (admin->request->unfit != HF_OK) {
		return admin->request->unfit;
	}
	if (admin->request->payload.len > HF_ADMIN_REQUEST_MAX) {
		return HF_REQUEST_TOO_LARGE;
	}
	*tree = parse(admin->request->payload);
	if (!*tree) {
		return HF_REQUEST_MALFORMED;
	}
	return cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(*tree, "commands")) > HF_ADMIN_COMMANDS_MAX
			   ? HF_REQUEST_TOO_LARGE
			   : HF_OK;
}

static void refuse_all(struct hf_admin *admin, cJSON *responses, enum hf_reason reason)
{
	admin->message[0] = '\0';
	refuse(admin, respond(admin, responses, ""), reason);
	hf_note_refused(admin->hub, &(struct hf_denial){
									.device = admin->device->id,
									.identity = admin->device->identity,
									.address = admin->device->address,
									.session = HF_SLICE_NONE,
									.topic = admin->request->topic,
									.act = "control",
									.reason = hf_reason_name(reason),
								});
}

/* ---- the answer */

static bool fits(const struct hf_device *device, const struct hf_publish *request, size_t len)
{
	uint32_t max = device->facts.max_packet_size;

	return !device->size_known || max == 0 ||
		   len + strlen(request->response_topic) + request->correlation.len + AROUND <= max;
}

/* False where there was no memory for the text, or it is too large for the client. */
static bool can_send(const struct hf_admin *admin, const char *text)
{
	return text && fits(admin->device, admin->request, strlen(text));
}

static bool send_text(struct hf_admin *admin, const char *text)
{
	return hf_answer(admin->hub, admin->device, admin->request, hf_slice_of(text), admin->request->qos);
}

/* Its own words did not go out. */
static void answer_briefly(struct hf_admin *admin)
{
	cJSON *tree = cJSON_CreateObject();

	admin->message[0] = '\0';
	refuse(admin, respond(admin, hf_admin_put_array(admin, tree, "responses"), ""), HF_ANSWER_TOO_LARGE);
	char *text = cJSON_PrintUnformatted(tree);
	if (!can_send(admin, text) || !send_text(admin, text)) {
		hf_say(admin->hub, HF_LOG_WARNING, "an answer on %s did not reach %s", admin->request->response_topic,
			admin->device->id);
	}
	cJSON_free(text);
	cJSON_Delete(tree);
}

static void take_down(struct hf_hub *hub, const char *identity, const char *device, const char *address,
	struct hf_admin_job *job, bool given)
{
	const struct hf_audit who = {
		.identity = hf_slice_of(identity),
		.device = hf_slice_of(device),
		.address = hf_slice_of(address),
	};
	const struct hf_question *question;

	LL_FOREACH(job->questions, question)
	{
		hf_note_asked(hub, &who, question, given);
	}
}

static void deliver(struct hf_admin *admin, struct hf_admin_job *job)
{
	const struct hf_device *device = admin->device;

	hf_admin_job_print(job);
	bool given = can_send(admin, job->text);
	take_down(admin->hub, device->identity, device->id, device->address, job, given);
	if (!given || !send_text(admin, job->text)) {
		answer_briefly(admin);
	}
}

/* Where the answer goes. False: the client has named a topic that will not do. */
static bool choose_topic(const struct hf_hub *hub, struct hf_publish *request)
{
	const char *named = request->response_topic;
	bool taken = !named || strcmp(named, HF_ADMIN_ANSWERS) == 0 || hf_response_topic_fits(hub, named);

	if (!named || !taken) {
		request->response_topic = HF_ADMIN_ANSWERS;
	}
	return taken;
}

static void carry_out(struct hf_admin *admin, cJSON *responses, enum hf_reason reason, struct hf_admin_job *job)
{
	cJSON *command;

	if (reason == HF_OK) {
		reason = check(admin, &job->request);
	}
	if (reason != HF_OK) {
		refuse_all(admin, responses, reason);
		return;
	}
	cJSON_ArrayForEach(command, cJSON_GetObjectItemCaseSensitive(job->request, "commands"))
	{
		run(admin, command, responses, job);
	}
}

/* ---- inquiries */

/* What is needed to answer later. False: no memory. */
static bool pack(const struct hf_admin *admin, struct hf_admin_job *job)
{
	const struct hf_publish *request = admin->request;
	struct hf_buffer rules = {.data = NULL};
	bool ok =
		hf_access_text(admin->who.access, &rules) && hf_access_parse(hf_buffer_slice(&rules), &job->access) == HF_OK;

	hf_buffer_free(&rules);
	job->identity = admin->who.identity ? strdup(admin->who.identity) : NULL;
	job->anonymous = admin->who.anonymous;
	job->device = strdup(admin->device->id);
	job->address = admin->device->address ? strdup(admin->device->address) : NULL;
	job->number = admin->device->number;
	job->response_topic = strdup(request->response_topic);
	job->qos = request->qos;
	return ok && (job->identity || !admin->who.identity) && job->device && job->response_topic &&
		   hf_buffer_append(&job->correlation, request->correlation.data, request->correlation.len);
}

static void inquire(struct hf_admin *admin, struct hf_admin_job *job)
{
	enum hf_reason reason = pack(admin, job) ? hf_inquire(admin->hub, job) : HF_NO_MEMORY;
	struct hf_question *question;

	if (reason == HF_OK) {
		return;
	}
	admin->message[0] = '\0';
	LL_FOREACH(job->questions, question)
	{
		if (question->inquire) {
			hf_admin_respond(admin, question->response, reason, NULL);
		}
	}
	deliver(admin, job);
	hf_admin_job_free(job);
}

/* Connections are told from each other by an address, which the next one may have, too: so not by that. */
static bool is_asker(const struct hf_device *device, const struct hf_admin_job *job)
{
	return device->number == job->number &&
		   (device->identity && job->identity ? strcmp(device->identity, job->identity) == 0
											  : !device->identity && !job->identity);
}

void hf_admin_deliver(struct hf_hub *hub, struct hf_admin_job *job)
{
	struct hf_publish request = {
		.topic = HF_ADMIN_TOPIC,
		.response_topic = job->response_topic,
		.correlation = hf_buffer_slice(&job->correlation),
		.qos = job->qos,
	};
	struct hf_admin admin = {.hub = hub, .request = &request, .device = hf_device_find(hub, job->device)};

	if (admin.device && admin.device->online && is_asker(admin.device, job)) {
		deliver(&admin, job);
	} else {
		take_down(hub, job->identity, job->device, job->address, job, false);
	}
}

/* ---- */

static bool has_inquiries(const struct hf_admin_job *job)
{
	const struct hf_question *question;

	LL_FOREACH(job->questions, question)
	{
		if (question->inquire) {
			return true;
		}
	}
	return false;
}

static void answer_to(struct hf_admin *admin, enum hf_reason reason)
{
	struct hf_admin_job *job = calloc(1, sizeof(*job));

	if (!job) {
		hf_say(admin->hub, HF_LOG_ERROR, "no memory for a request of %s on %s", admin->device->id, HF_ADMIN_TOPIC);
		return;
	}
	job->answer = cJSON_CreateObject();
	carry_out(admin, hf_admin_put_array(admin, job->answer, "responses"), reason, job);
	if (has_inquiries(job)) {
		inquire(admin, job);
		return;
	}
	deliver(admin, job);
	hf_admin_job_free(job);
}

void hf_administer(struct hf_hub *hub, const struct hf_publish *publish)
{
	struct hf_publish request = *publish;
	struct hf_device *device = hf_device_find(hub, publish->device);
	struct hf_admin admin = {
		.hub = hub,
		.request = &request,
		.device = device,
		.who = {.access = hub->access,
			.identity = device ? device->identity : NULL,
			.anonymous = hub->options.anonymous_role},
		.looks = HF_ADMIN_LOOKS,
	};

	if (!device || !device->online || hf_answers_pile_up(hub, device)) {
		hf_say(hub, HF_LOG_WARNING, "a request of %s on %s is not carried out: it reads no answers", publish->device,
			publish->topic);
		return;
	}
	if (hub->losses) {
		hf_losses_due(hub); /* whoever is gone is not shown as if it were there */
	}
	answer_to(&admin, choose_topic(hub, &request) ? HF_OK : HF_RESPONSE_TOPIC);
}
