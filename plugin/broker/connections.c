/* SPDX-License-Identifier: BSD-3-Clause */
#include "broker/plugin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Who a client is, others decide. But a client id that belongs to somebody else's durable device is refused, whatever
 * the password: and as if it had been wrong, for whoever has none shall not learn of it. Mosquitto does not ask where
 * the user name comes from a certificate, nor with extended authentication (handle_connect.c).
 *
 * A take-over sends the will of the old connection between this event and the DISCONNECT of that connection:
 * remembering who logs in tells such a will from a publish. */
int hf_on_basic_auth(int event, void *data, void *userdata)
{
	const struct mosquitto_evt_basic_auth *auth = data;
	struct hf_plugin *plugin = userdata;
	const char *id = mosquitto_client_id(auth->client), *owner;

	(void)event;
	/* A client that is in the table already is only checked again, on reload (security_default.c). */
	if (!id || mosquitto_client(id) == auth->client) {
		return MOSQ_ERR_PLUGIN_IGNORE;
	}
	if (!hf_may_connect(plugin->hub, id, auth->username, &owner)) {
		hf_log_limited(plugin, MOSQ_LOG_WARNING,
			"refused a login as '%s' with the client id '%s': that is a durable device of '%s' "
			"(plugin_opt_device_identity)",
			auth->username ? auth->username : "", id, owner ? owner : "");
		hf_refused(plugin->hub, id, auth->username, mosquitto_client_address(auth->client), "client-id-taken");
		return MOSQ_ERR_AUTH;
	}
	free(plugin->authenticating);
	plugin->authenticating = strdup(id);
	plugin->newcomer = auth->client;
	return MOSQ_ERR_PLUGIN_IGNORE;
}

static void authenticated(struct hf_plugin *plugin)
{
	free(plugin->authenticating);
	plugin->authenticating = NULL;
	plugin->newcomer = plugin->resuming = NULL;
}

static const char *protocol_of(const struct mosquitto *client)
{
	static const char *const names[][2] = {
		{"MQTT 3.1", "MQTT 3.1, WebSocket"}, {"MQTT 3.1.1", "MQTT 3.1.1, WebSocket"}, {"MQTT 5", "MQTT 5, WebSocket"}};
	int version = mosquitto_client_protocol_version(client);
	bool web = mosquitto_client_protocol(client) == mp_websockets;

	return version >= 3 && version <= 5 ? names[version - 3][web] : "";
}

/* What the broker says of a login that it refused. */
static const char *refusal_of(int reason, char number[16])
{
	switch (reason) {
	case MOSQ_ERR_AUTH:
	case MOSQ_ERR_ACL_DENIED:
	case MQTT_RC_NOT_AUTHORIZED:
	case MQTT_RC_BAD_USERNAME_OR_PASSWORD:
		return "not-authorized";
	default:
		snprintf(number, 16, "code-%d", reason);
		return number;
	}
}

int hf_on_connect(int event, void *data, void *userdata)
{
	const struct mosquitto_evt_connect *connect = data;
	struct hf_plugin *plugin = userdata;
	const char *id = mosquitto_client_id(connect->client);

	(void)event;
	authenticated(plugin);
	plugin->will_delay_s = 0;
	if (id) {
		struct hf_connection connection = {
			.device = id,
			.identity = mosquitto_client_username(connect->client),
			.address = mosquitto_client_address(connect->client),
			.protocol = protocol_of(connect->client),
			.port = (unsigned int)mosquitto_client_port(connect->client),
			.token = connect->client,
			.clean = mosquitto_client_clean_session(connect->client),
			.unsubscribed = mosquitto_client_sub_count(connect->client) == 0,
			.unlimited = mosquitto_client_protocol_version(connect->client) < 5,
		};
		if (hf_connected(plugin->hub, &connection) != HF_OK) {
			hf_log_limited(plugin, MOSQ_LOG_ERR, "no memory for client %s: it reads nothing", id);
		}
	}
	return MOSQ_ERR_SUCCESS;
}

/* The reasons are those of do_disconnect's callers. A DISCONNECT with reason code 0x04 looks like a goodbye here: that
 * it is none, its will tells. */
static enum hf_why why_of(int reason)
{
	switch (reason) {
	case MOSQ_ERR_SUCCESS:
		return HF_WHY_GOODBYE;
	case MOSQ_ERR_KEEPALIVE:
		return HF_WHY_KEEPALIVE;
	case MOSQ_ERR_SESSION_TAKEN_OVER:
		return HF_WHY_TAKEN_OVER;
	case MOSQ_ERR_ADMINISTRATIVE_ACTION:
		return HF_WHY_KICKED;
	default:
		return HF_WHY_CONNECTION_LOST;
	}
}

static void gone(struct hf_plugin *plugin, const struct mosquitto *client, int reason)
{
	const char *id = mosquitto_client_id(client);
	char number[16];

	if (id && plugin->newcomer == client) { /* it asked to come in, and never did */
		hf_refused(plugin->hub, id, mosquitto_client_username(client), mosquitto_client_address(client),
			refusal_of(reason, number));
	}
	authenticated(plugin);
	hf_resumed_forget(plugin, client);
	hf_will_forget(plugin, client);
	if (plugin->checked == client) {
		plugin->checked = NULL;
	}
	if (id) {
		hf_disconnected(plugin->hub, id, client, why_of(reason));
	}
}

int hf_on_disconnect(int event, void *data, void *userdata)
{
	const struct mosquitto_evt_disconnect *disconnect = data;

	(void)event;
	gone(userdata, disconnect->client, disconnect->reason);
	return MOSQ_ERR_SUCCESS;
}

int hf_on_client_offline(int event, void *data, void *userdata)
{
	const struct mosquitto_evt_client_offline *offline = data;

	(void)event;
	gone(userdata, offline->client, offline->reason);
	return MOSQ_ERR_SUCCESS;
}
