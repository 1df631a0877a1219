/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Wills. The broker shows them to plugins as an ACL WRITE and nowhere else (context.c, context__send_will); a PUBLISH
 * begins with an ACL WRITE, too. Where the client is gone already there is no doubt. But on a take-over, and when the
 * broker stops, its will goes out before we hear that it is gone. Then the address of the topic tells: the broker holds
 * that one copy of it for as long as the client has its will, and shows it to us when the client connects.
 */
#include "broker/plugin.h"

#include <stdlib.h>

#include <uthash.h>

struct hf_will {
	UT_hash_handle hh;
	const struct mosquitto *client;
	const char *topic; /* never followed */
};

/*
 * At CONNECT, but not for a client that resumes its session (plugin_persist.c, plugin_persist__handle_client_add). And
 * right behind each PERSIST_CLIENT_UPDATE of a client that still has its will: one that is gone, and whose will waits
 * for its delay, or one that is being taken over, whose will would have waited.
 */
int hf_on_persist_will_add(int event, void *data, void *userdata)
{
	const struct mosquitto_evt_persist_will_msg *message = data;
	struct hf_plugin *plugin = userdata;
	const struct mosquitto *client = mosquitto_client(message->data.clientid);
	struct hf_will *will;

	(void)event;
	if (plugin->will_delay_s > 0) {
		hf_will_waits(plugin->hub, message->data.clientid, plugin->will_delay_s);
		plugin->will_delay_s = 0;
	}
	if (!client || hf_connection_of(plugin->hub, message->data.clientid) != client) {
		return MOSQ_ERR_SUCCESS;
	}
	HASH_FIND_PTR(plugin->wills, &client, will);
	if (!will) {
		will = calloc(1, sizeof(*will));
		if (!will) {
			return MOSQ_ERR_NOMEM;
		}
		will->client = client;
		HASH_ADD_PTR(plugin->wills, client, will);
	}
	will->topic = message->data.topic;
	return MOSQ_ERR_SUCCESS;
}

static void forget(struct hf_plugin *plugin, struct hf_will *will)
{
	HASH_DEL(plugin->wills, will);
	free(will);
}

void hf_will_forget(struct hf_plugin *plugin, const struct mosquitto *client)
{
	struct hf_will *will;

	HASH_FIND_PTR(plugin->wills, &client, will);
	if (will) {
		forget(plugin, will);
	}
}

void hf_wills_end(struct hf_plugin *plugin)
{
	while (plugin->wills) {
		forget(plugin, plugin->wills);
	}
}

bool hf_will_is(const struct hf_plugin *plugin, const struct mosquitto_evt_acl_check *event)
{
	const struct mosquitto *client = event->client;
	const struct hf_will *will;

	HASH_FIND_PTR(plugin->wills, &client, will);
	return will && will->topic == event->topic;
}

/* A live-only one goes out as a publish of ours: the broker would retain it, and pass on what it says of itself. */
static void pass(struct hf_plugin *plugin, const struct mosquitto_evt_acl_check *event)
{
	mosquitto_property *properties;

	if (!hf_properties_stamp_live(
			mosquitto_client_username(event->client), hf_buffer_slice(&plugin->properties), &properties)) {
		return;
	}
	if (mosquitto_broker_publish_copy(NULL, event->topic, (int)event->payloadlen, event->payload ? event->payload : "",
			event->qos, false, properties) != MOSQ_ERR_SUCCESS) {
		mosquitto_property_free_all(&properties);
	}
}

/* One on a logged topic becomes an entry now, in its place in the log. It is denied to the broker in any case, which
 * would send it round the log. */
int hf_will_publish(struct hf_plugin *plugin, const struct mosquitto_evt_acl_check *event)
{
	enum hf_reason reason;
	struct hf_slice payload = hf_slice_from(event->payload, event->payloadlen);
	enum hf_verdict verdict = hf_publish_of(
		plugin, event->client, event->topic, payload, event->properties, event->qos, HF_WAY_WILL, &reason);

	if (verdict == HF_VERDICT_REFUSED || verdict == HF_VERDICT_FAILED) {
		hf_log_limited(plugin, MOSQ_LOG_WARNING, "the will of %s on %s was not published: %s",
			mosquitto_client_id(event->client), event->topic, hf_reason_sentence(reason));
	} else if (verdict == HF_VERDICT_PASS) {
		pass(plugin, event);
	}
	return MOSQ_ERR_ACL_DENIED;
}
