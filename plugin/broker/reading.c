/* SPDX-License-Identifier: BSD-3-Clause */
#include "broker/plugin.h"

#include <string.h>

/*
 * The broker's own fan-out, or a retained message. It never carries an entry: hf_may_receive says no to those, also
 * for clients that are away, whose queue stays empty (but for wake-ups). One exception: a client that comes back is
 * checked for what the broker has in flight for it (database.c, db__client_messages_check_acl), and a no would delete
 * that. Then the new connection is not in the broker's table of clients yet, and the old one has left it.
 */
static int acl_read(struct hf_plugin *plugin, const struct mosquitto_evt_acl_check *event)
{
	const char *id = mosquitto_client_id(event->client);
	const char *identity = mosquitto_client_username(event->client);

	if (!hf_under_root(plugin, event->topic)) {
		hf_packet_sent(plugin->hub, id);
		return MOSQ_ERR_PLUGIN_IGNORE;
	}
	if (hf_connection_of(plugin->hub, id) == event->client) {
		if (hf_may_receive(plugin->hub, id, identity, event->topic, hf_slice_from(event->payload, event->payloadlen),
				event->retain) != HF_OK) {
			return MOSQ_ERR_ACL_DENIED;
		}
		hf_packet_sent(plugin->hub, id);
		return MOSQ_ERR_SUCCESS;
	}
	if (mosquitto_client(id) != event->client) {
		plugin->resuming = event->client;
		return hf_may_keep(plugin->hub, identity, event->topic) == HF_OK ? MOSQ_ERR_SUCCESS : MOSQ_ERR_ACL_DENIED;
	}
	return hf_may_wait(plugin->hub, identity, event->topic) == HF_OK ? MOSQ_ERR_SUCCESS : MOSQ_ERR_ACL_DENIED;
}

/* Between the check above and CONNECT, what a client had in flight is sent to it again. And port.c may want to know at
 * which QoS a message is sent. The broker frees what it is given here when the packet is made. */
int hf_on_message_out(int event, void *data, void *userdata)
{
	struct mosquitto_evt_message *message = data;
	struct hf_plugin *plugin = userdata;

	(void)event;
	if (plugin->watching) {
		plugin->seen_qos = message->qos;
	}
	if (message->client == plugin->resuming && hf_under_root(plugin, message->topic)) {
		hf_resent(plugin->hub, mosquitto_client_id(message->client), mosquitto_client_address(message->client),
			message->topic, hf_properties_offset(message->properties));
	}
	if (message->properties && mosquitto_client_protocol_version(message->client) == 5) {
		message->properties = hf_properties_unpack(message->properties);
	}
	return MOSQ_ERR_SUCCESS;
}

static int acl_subscribe(struct hf_plugin *plugin, const struct mosquitto_evt_acl_check *event)
{
	const char *id = mosquitto_client_id(event->client);
	enum hf_reason reason = hf_may_subscribe(plugin->hub, id, event->topic);

	if (reason == HF_OK) {
		return MOSQ_ERR_SUCCESS;
	}
	if (reason == HF_TOPIC_OUTSIDE) {
		return hf_acl_control(event->topic);
	}
	hf_log_limited(plugin, MOSQ_LOG_WARNING, "refused the subscription of %s to %s: %s", id, event->topic,
		hf_reason_sentence(reason));
	return MOSQ_ERR_ACL_DENIED;
}

/* Everybody may let go of what we gave them; a filter with one of our prefixes means nothing to other plugins. */
static int acl_unsubscribe(const struct hf_plugin *plugin, const struct mosquitto_evt_acl_check *event)
{
	struct hf_filter filter;
	enum hf_reason reason = hf_filter_parse(plugin->options.root, event->topic, &filter);
	bool ours = reason != HF_TOPIC_OUTSIDE && (reason != HF_OK || filter.named || filter.verb != HF_VERB_PLAIN);

	return ours ? MOSQ_ERR_SUCCESS : hf_acl_control(event->topic);
}

int hf_on_acl_check(int event, void *data, void *userdata)
{
	const struct mosquitto_evt_acl_check *check = data;
	struct hf_plugin *plugin = userdata;

	(void)event;
	if (!mosquitto_client_id(check->client)) {
		return MOSQ_ERR_ACL_DENIED;
	}
	switch (check->access) {
	case MOSQ_ACL_READ:
		return acl_read(plugin, check);
	case MOSQ_ACL_WRITE:
		return hf_acl_write(plugin, check);
	case MOSQ_ACL_SUBSCRIBE:
		return acl_subscribe(plugin, check);
	case MOSQ_ACL_UNSUBSCRIBE:
		return acl_unsubscribe(plugin, check);
	default:
		return MOSQ_ERR_PLUGIN_IGNORE;
	}
}

/* Let the broker keep this filter. It frees the one that it had (plugin_subscribe.c). */
static int rewrite(char **filter, struct hf_slice kept)
{
	if (hf_slice_is(kept, *filter)) {
		return MOSQ_ERR_SUCCESS;
	}
	char *copy = mosquitto_strndup(kept.data, kept.len);
	if (!copy) {
		return MOSQ_ERR_NOMEM;
	}
	*filter = copy;
	return MOSQ_ERR_SUCCESS;
}

int hf_on_subscribe(int event, void *data, void *userdata)
{
	struct mosquitto_evt_subscribe *subscribe = data;
	struct hf_plugin *plugin = userdata;
	const char *id = mosquitto_client_id(subscribe->client);
	struct hf_slice kept = HF_SLICE_NONE;

	(void)event;
	enum hf_reason reason = hf_subscribe(
		plugin->hub, id, subscribe->data.topic_filter, subscribe->data.options, subscribe->data.identifier, &kept);
	switch (reason) {
	case HF_OK:
		return rewrite(&subscribe->data.topic_filter, kept);
	case HF_TOPIC_OUTSIDE:
		return MOSQ_ERR_SUCCESS;
	default:
		/* An error here ends the connection, the only answer left: the client tries again. */
		hf_log_limited(plugin, MOSQ_LOG_ERR, "the subscription of %s to %s failed: %s", id,
			subscribe->data.topic_filter, hf_reason_sentence(reason));
		return MOSQ_ERR_UNKNOWN;
	}
}

int hf_on_unsubscribe(int event, void *data, void *userdata)
{
	struct mosquitto_evt_unsubscribe *unsubscribe = data;
	struct hf_plugin *plugin = userdata;
	struct hf_slice kept = HF_SLICE_NONE;

	(void)event;
	if (hf_unsubscribe(plugin->hub, mosquitto_client_id(unsubscribe->client), unsubscribe->data.topic_filter, &kept) !=
		HF_OK) {
		return MOSQ_ERR_SUCCESS;
	}
	return rewrite(&unsubscribe->data.topic_filter, kept);
}
