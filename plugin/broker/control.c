/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests on $CONTROL/holdfast/v1. Whatever becomes of one, Mosquitto acknowledges it (control.c of Mosquitto), so
 * that all there is to say is in the answer; an error from here would end the connection. */
#include "broker/plugin.h"

#include <string.h>

/* Who may do what there, the roles decide when a request comes, and all get an answer: so everybody may send one, and
 * wait for it, whatever other plugins say of such topics. Nothing is ever published there for more than one client. */
int hf_acl_control(const char *topic)
{
	return strcmp(topic, HF_ADMIN_TOPIC) == 0 || strcmp(topic, HF_ADMIN_ANSWERS) == 0 ? MOSQ_ERR_SUCCESS
																					  : MOSQ_ERR_PLUGIN_IGNORE;
}

int hf_on_control(int event, void *data, void *userdata)
{
	const struct mosquitto_evt_control *control = data;
	struct hf_plugin *plugin = userdata;
	const char *id = mosquitto_client_id(control->client);
	struct hf_publish_properties picked;

	(void)event;
	if (!id || hf_connection_of(plugin->hub, id) != control->client) { /* a bridge */
		return MOSQ_ERR_SUCCESS;
	}
	enum hf_reason unfit = hf_properties_read(plugin, control->properties, &picked);
	struct hf_publish request = {
		.device = id,
		.identity = mosquitto_client_username(control->client),
		.address = mosquitto_client_address(control->client),
		.topic = control->topic,
		.payload = hf_slice_from(control->payload, control->payloadlen),
		.response_topic = picked.response_topic,
		.correlation = picked.correlation,
		.qos = control->qos,
		.unfit = unfit == HF_NO_MEMORY ? unfit : HF_OK, /* nothing else of them is used */
	};
	hf_administer(plugin->hub, &request);
	return MOSQ_ERR_SUCCESS;
}
