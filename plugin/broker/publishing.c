/* SPDX-License-Identifier: BSD-3-Clause */
#include "broker/plugin.h"

#include <stdlib.h>
#include <string.h>

#include <uthash.h>
#include <utlist.h>

#define REMEMBERED_MAX 1024 /* clients ... */
#define REFUSED_EACH 64     /* ... and refused publishes of each: it may have had that many on their way */

struct hf_refused {
	UT_hash_handle hh;
	unsigned int publishes[REFUSED_EACH]; /* hashes of topic and payload; the oldest is written over */
	unsigned int count;
	char client[];
};

struct hf_resumed {
	struct hf_resumed *prev, *next;
	const struct mosquitto *client;
	bool repeated; /* it was sent again */
	char *topic;
	size_t payload_len;
	char payload[];
};

/* ---- QoS 2 publishes that are sent again
 *
 * MESSAGE_IN shows neither Packet Identifier nor DUP. But while a client comes back, the broker checks each of its
 * stored inbound QoS 2 messages again (ACL WRITE before the client is in the table). Those under the root were stored
 * by us when they first came; the same one from the same connection is the repeat. Unless it has been released: then
 * the same once more is a new one. They are released in their order (MQTT 5, 4.6), so those outside the root are kept
 * count of, too. */

static void resumed_remember(struct hf_plugin *plugin, const struct mosquitto_evt_acl_check *event)
{
	struct hf_resumed *resumed = calloc(1, sizeof(*resumed) + event->payloadlen);
	char *topic = strdup(event->topic);

	if (!mosquitto_client_address(event->client)) { /* of a retained message, with check_retain_source (retain.c) */
		free(resumed);
		free(topic);
		return;
	}
	if (!resumed || !topic) {
		free(resumed);
		free(topic);
		return;
	}
	resumed->client = event->client;
	resumed->topic = topic;
	resumed->payload_len = event->payloadlen;
	if (event->payloadlen > 0) {
		memcpy(resumed->payload, event->payload, event->payloadlen);
	}
	DL_APPEND(plugin->resumed, resumed);
}

static void resumed_free(struct hf_plugin *plugin, struct hf_resumed *resumed)
{
	DL_DELETE(plugin->resumed, resumed);
	free(resumed->topic);
	free(resumed);
}

void hf_resumed_forget(struct hf_plugin *plugin, const struct mosquitto *client)
{
	struct hf_resumed *resumed, *next;

	DL_FOREACH_SAFE(plugin->resumed, resumed, next)
	{
		if (resumed->client == client) {
			resumed_free(plugin, resumed);
		}
	}
}

void hf_resumed_released(struct hf_plugin *plugin, const char *id)
{
	const void *client = plugin->resumed ? hf_connection_of(plugin->hub, id) : NULL;
	struct hf_resumed *resumed, *next;

	DL_FOREACH_SAFE(plugin->resumed, resumed, next)
	{
		if (client && resumed->client == client) {
			resumed_free(plugin, resumed);
			return;
		}
	}
}

/* A client sends its unfinished publishes again before it sends new ones (MQTT 5, 4.4): the first that is none ends it.
 */
static bool is_repeat(struct hf_plugin *plugin, const struct mosquitto_evt_message *event)
{
	struct hf_resumed *resumed;

	if (event->qos != 2 || !plugin->resumed) {
		return false;
	}
	DL_FOREACH(plugin->resumed, resumed)
	{
		if (resumed->client == event->client && !resumed->repeated && resumed->payload_len == event->payloadlen &&
			strcmp(resumed->topic, event->topic) == 0 &&
			(event->payloadlen == 0 || memcmp(resumed->payload, event->payload, event->payloadlen) == 0)) {
			resumed->repeated = true;
			return true;
		}
	}
	hf_resumed_forget(plugin, event->client);
	return false;
}

/* ---- refusals
 *
 * MQTT 5 clients get the refusal in the acknowledgement. MQTT 3.1.1 has no word for it: ACL_DENIED would give a plain
 * PUBACK (handle_publish.c) and the client would believe that its message is stored. So its connection ends. Its
 * library comes back and sends the same again, for ever, unless that is acknowledged and thrown away. */

static unsigned int hash_publish(const struct mosquitto_evt_message *event)
{
	unsigned int topic, payload = 0;

	HASH_VALUE(event->topic, strlen(event->topic), topic);
	if (event->payloadlen > 0) {
		HASH_VALUE(event->payload, event->payloadlen, payload);
	}
	return topic ^ payload * 31u;
}

static void refused_free(struct hf_plugin *plugin, struct hf_refused *refused)
{
	HASH_DEL(plugin->refused, refused);
	free(refused);
}

static struct hf_refused *refused_of(struct hf_plugin *plugin, const char *client)
{
	struct hf_refused *refused;

	HASH_FIND_STR(plugin->refused, client, refused);
	if (refused) {
		return refused;
	}
	if (HASH_COUNT(plugin->refused) >= REMEMBERED_MAX) {
		refused_free(plugin, plugin->refused); /* the oldest */
	}
	refused = calloc(1, sizeof(*refused) + strlen(client) + 1);
	if (refused) {
		memcpy(refused->client, client, strlen(client) + 1);
		HASH_ADD_STR(plugin->refused, client, refused);
	}
	return refused;
}

/* Was this very publish of this client refused lately? If not, remember it. */
static bool refused_before(struct hf_plugin *plugin, const char *client, const struct mosquitto_evt_message *event)
{
	struct hf_refused *refused = refused_of(plugin, client);
	unsigned int publish = hash_publish(event);

	for (unsigned int i = 0; refused && i < refused->count && i < REFUSED_EACH; i++) {
		if (refused->publishes[i] == publish) {
			return true;
		}
	}
	if (refused) {
		refused->publishes[refused->count++ % REFUSED_EACH] = publish;
	}
	return false;
}

static int refuse(struct hf_plugin *plugin, const struct mosquitto_evt_message *event, enum hf_reason reason)
{
	const char *client = mosquitto_client_id(event->client);

	hf_log_limited(plugin, MOSQ_LOG_WARNING, "refused a publish of %s on %s: %s", client, event->topic,
		hf_reason_sentence(reason));
	if (mosquitto_client_protocol_version(event->client) == 5) {
		return hf_reason_is_limit(reason) ? MOSQ_ERR_QUOTA_EXCEEDED : MOSQ_ERR_ACL_DENIED;
	}
	if (event->qos == 0 || refused_before(plugin, client, event)) {
		return MOSQ_ERR_ACL_DENIED;
	}
	return MOSQ_ERR_UNKNOWN;
}

void hf_publishing_end(struct hf_plugin *plugin)
{
	struct hf_resumed *resumed, *next;

	while (plugin->refused) {
		refused_free(plugin, plugin->refused);
	}
	DL_FOREACH_SAFE(plugin->resumed, resumed, next)
	{
		resumed_free(plugin, resumed);
	}
}

/* ---- publishes */

enum hf_verdict hf_publish_of(struct hf_plugin *plugin, struct mosquitto *client, const char *topic,
	struct hf_slice payload, const mosquitto_property *properties, uint8_t qos, enum hf_way way, enum hf_reason *reason)
{
	struct hf_publish_properties picked;

	enum hf_reason unfit = hf_properties_read(plugin, properties, &picked);
	struct hf_publish publish = {
		.unfit = unfit,
		.device = mosquitto_client_id(client),
		.identity = mosquitto_client_username(client),
		.address = mosquitto_client_address(client),
		.topic = topic,
		.payload = payload,
		.properties = picked.stored,
		.response_topic = picked.response_topic,
		.correlation = picked.correlation,
		.conditions = picked.conditions,
		.qos = qos,
		.again = way == HF_WAY_AGAIN,
		.will = way == HF_WAY_WILL,
	};
	return hf_publish(plugin->hub, &publish, reason);
}

/* Decides nothing about publishes: a denial here would be a plain PUBACK for MQTT 3.1.1. It tells the three occasions
 * of this check apart: a PUBLISH, a will, and a returning client's inbound messages. */
int hf_acl_write(struct hf_plugin *plugin, const struct mosquitto_evt_acl_check *event)
{
	const char *id = mosquitto_client_id(event->client);

	bool connected = hf_connection_of(plugin->hub, id) == event->client;
	bool known = connected || mosquitto_client(id) == event->client;
	if (!known && event->qos == 2) {
		resumed_remember(plugin, event);
	}
	bool taken_over = plugin->authenticating && strcmp(plugin->authenticating, id) == 0;
	bool will = known && (!connected || taken_over || hf_will_is(plugin, event));
	int rc = !hf_under_root(plugin, event->topic) ? hf_acl_control(event->topic)
			 : will                               ? hf_will_publish(plugin, event)
												  : MOSQ_ERR_SUCCESS;
	if (will) {
		hf_will_sent(plugin->hub, id);
	}
	if (will || rc != MOSQ_ERR_SUCCESS) {
		return rc;
	}
	if (connected && hf_under_root(plugin, event->topic)) {
		plugin->checked = event->client;
	}
	return MOSQ_ERR_SUCCESS;
}

/* Live only: the broker passes it on, with what the publisher may not say of itself put right. It frees the old list.
 */
static int pass(struct hf_plugin *plugin, struct mosquitto_evt_message *event)
{
	mosquitto_property *properties;

	if (!hf_properties_stamp_live(
			mosquitto_client_username(event->client), hf_buffer_slice(&plugin->properties), &properties)) {
		return MOSQ_ERR_NOMEM;
	}
	event->properties = properties;
	return MOSQ_ERR_SUCCESS;
}

int hf_on_message_in(int event, void *data, void *userdata)
{
	struct mosquitto_evt_message *message = data;
	struct hf_plugin *plugin = userdata;
	enum hf_reason reason = HF_BRIDGE_UNSUPPORTED;

	(void)event;
	if (!hf_under_root(plugin, message->topic)) {
		return MOSQ_ERR_SUCCESS;
	}
	bool checked = plugin->checked == message->client;
	plugin->checked = NULL;
	message->retain = false;
	if (!checked) {
		return refuse(plugin, message, reason);
	}
	switch (hf_publish_of(plugin, message->client, message->topic, hf_slice_from(message->payload, message->payloadlen),
		message->properties, message->qos, is_repeat(plugin, message) ? HF_WAY_AGAIN : HF_WAY_PUBLISH, &reason)) {
	case HF_VERDICT_OUTSIDE:
	case HF_VERDICT_STORED:
		return MOSQ_ERR_SUCCESS;
	case HF_VERDICT_PASS:
		return pass(plugin, message);
	case HF_VERDICT_REFUSED:
		return refuse(plugin, message, reason);
	case HF_VERDICT_FAILED:
		break;
	}
	return MOSQ_ERR_UNKNOWN; /* no acknowledgement in any version of MQTT: the client sends it again */
}
