/* SPDX-License-Identifier: BSD-3-Clause */
/* Mosquitto's persistence events. Their return codes are ignored; its header calls the interface unstable. */
#include "broker/plugin.h"

/* enum mosquitto_msg_state of Mosquitto (lib/mosquitto_internal.h), as far as it tells how a message ended. */
enum {
	STATE_WAIT_FOR_PUBACK = 3,
	STATE_WAIT_FOR_PUBREC = 5,
	STATE_WAIT_FOR_PUBCOMP = 9,
};

int hf_on_persist_client(int event, void *data, void *userdata)
{
	const struct mosquitto_client *client = &((const struct mosquitto_evt_persist_client *)data)->data;
	struct hf_plugin *plugin = userdata;
	struct hf_durable durable = {
		.device = client->clientid,
		.identity = client->username,
		.will_delay_time = client->will_delay_time,
		.session_expiry_time = client->session_expiry_time,
		.will_delay_interval = client->will_delay_interval,
		.session_expiry_interval = client->session_expiry_interval,
		.max_packet_size = client->max_packet_size,
		.listener_port = client->listener_port,
		.max_qos = client->max_qos,
		.retain_available = client->retain_available,
	};

	plugin->will_delay_s = event == MOSQ_EVT_PERSIST_CLIENT_UPDATE ? client->will_delay_interval : 0;
	/* UPDATE also comes for sessions that end with their connection (will_delay.c): nothing to keep of those. */
	if (client->session_expiry_interval > 0 && hf_durable_set(plugin->hub, &durable) != HF_OK) {
		hf_log_limited(plugin, MOSQ_LOG_ERR, "the durable client %s could not be stored", client->clientid);
	}
	return MOSQ_ERR_SUCCESS;
}

int hf_on_persist_client_delete(int event, void *data, void *userdata)
{
	const struct mosquitto_evt_persist_client *client = data;
	struct hf_plugin *plugin = userdata;

	(void)event;
	hf_durable_end(plugin->hub, client->data.clientid);
	return MOSQ_ERR_SUCCESS;
}

int hf_on_persist_subscription_add(int event, void *data, void *userdata)
{
	const struct mosquitto_subscription *subscription =
		&((const struct mosquitto_evt_persist_subscription *)data)->data;
	struct hf_plugin *plugin = userdata;

	(void)event;
	if (hf_subscription_keep(plugin->hub, subscription->clientid, subscription->topic_filter, subscription->options,
			subscription->identifier) != HF_OK) {
		hf_log_limited(plugin, MOSQ_LOG_ERR, "the subscription of %s to %s could not be stored", subscription->clientid,
			subscription->topic_filter);
	}
	return MOSQ_ERR_SUCCESS;
}

int hf_on_persist_client_msg_delete(int event, void *data, void *userdata)
{
	const struct mosquitto_client_msg *message = &((const struct mosquitto_evt_persist_client_msg *)data)->data;
	struct hf_plugin *plugin = userdata;
	enum hf_outcome outcome = HF_OUTCOME_UNSENT;

	(void)event;
	if (message->direction == mosq_bmd_in) {
		hf_resumed_released(plugin, message->clientid);
	}
	if (message->direction != mosq_bmd_out || message->qos == 0 || message->store_id < HF_STORE_ID_SINGLE ||
		plugin->taking_back) {
		return MOSQ_ERR_SUCCESS;
	}
	/* Our messages have no expiry, so a message in state 3 or 9 can only have left by its acknowledgement. */
	bool lowered =
		message->state == STATE_WAIT_FOR_PUBREC && message->qos == 1; /* from QoS 2, by the listener's max_qos */
	if (message->state == STATE_WAIT_FOR_PUBACK || message->state == STATE_WAIT_FOR_PUBCOMP || lowered) {
		outcome = HF_OUTCOME_ACKNOWLEDGED;
	} else if (message->state == STATE_WAIT_FOR_PUBREC) {
		outcome = HF_OUTCOME_REJECTED;
	}
	hf_delivered(plugin->hub, message->clientid, message->store_id, outcome);
	return MOSQ_ERR_SUCCESS;
}

/* Comes for whatever was added with mosquitto_persist_base_msg_add (plugin_public.c), also where only clients had it
 * whose session the broker does not keep: so it tells of their acknowledgements, too. */
int hf_on_persist_base_msg_delete(int event, void *data, void *userdata)
{
	uint64_t store_id = ((const struct mosquitto_evt_persist_base_msg *)data)->data.store_id;
	struct hf_plugin *plugin = userdata;

	(void)event;
	if (store_id >= HF_STORE_ID_SINGLE && store_id < HF_STORE_ID_OTHER && !plugin->taking_back) {
		hf_released(plugin->hub, store_id);
	}
	return MOSQ_ERR_SUCCESS;
}

static bool restore_client(void *context, const struct hf_durable *durable)
{
	struct mosquitto_client client = {
		.clientid = mosquitto_strdup(durable->device),
		.username = durable->identity ? mosquitto_strdup(durable->identity) : NULL,
		.will_delay_time = (time_t)durable->will_delay_time,
		.session_expiry_time = (time_t)durable->session_expiry_time,
		.will_delay_interval = durable->will_delay_interval,
		.session_expiry_interval = durable->session_expiry_interval,
		.max_packet_size = durable->max_packet_size,
		.listener_port = durable->listener_port,
		.max_qos = durable->max_qos,
		.retain_available = durable->retain_available,
	};

	(void)context;
	return mosquitto_persist_client_add(&client) == MOSQ_ERR_SUCCESS; /* owns, and frees, the strings either way */
}

static bool restore_subscription(
	void *context, const char *device, const char *filter, uint8_t options, uint32_t identifier)
{
	struct mosquitto_subscription subscription = {
		.clientid = (char *)device,
		.topic_filter = (char *)filter,
		.options = options,
		.identifier = identifier,
	};

	(void)context;
	int rc = mosquitto_subscription_add(&subscription);
	return rc == MOSQ_ERR_SUCCESS || rc == MOSQ_ERR_SUB_EXISTS;
}

int hf_on_persist_restore(int event, void *data, void *userdata)
{
	struct hf_plugin *plugin = userdata;
	struct hf_restore restore = {.context = plugin, .client = restore_client, .subscription = restore_subscription};

	(void)event;
	(void)data;
	hf_hub_restore(plugin->hub, &restore);
	return MOSQ_ERR_SUCCESS;
}
