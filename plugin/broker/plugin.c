/* SPDX-License-Identifier: BSD-3-Clause */
#define HF_PLUGIN_NAME "holdfast"

#include "broker/plugin.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef HF_VERSION
#define HF_VERSION "development"
#endif

/* The header names neither function's prototype for all compilers' taste; these are the ones Mosquitto calls. */
mosq_plugin_EXPORT int mosquitto_plugin_version(int supported_version_count, const int *supported_versions);

int mosquitto_plugin_version(int supported_version_count, const int *supported_versions)
{
	for (int i = 0; i < supported_version_count; i++) {
		if (supported_versions[i] == MOSQ_PLUGIN_VERSION) {
			return MOSQ_PLUGIN_VERSION;
		}
	}
	return -1;
}

bool hf_under_root(const struct hf_plugin *plugin, const char *topic)
{
	const char *rest = topic + plugin->root_len;

	return strncmp(topic, plugin->options.root, plugin->root_len) == 0 && (*rest == '/' || *rest == '\0');
}

static int on_tick(int event, void *data, void *userdata)
{
	struct hf_plugin *plugin = userdata;

	(void)event;
	(void)data; /* next_ms stays 0: the tick comes with every turn of the loop; port.c sets a timer for when it must */
	bool woken = hf_port_woken(plugin);
	hf_hub_tick(plugin->hub);
	if (woken) {
		hf_hub_rewake(plugin->hub);
	}
	return MOSQ_ERR_SUCCESS;
}

static int on_reload(int event, void *data, void *userdata)
{
	struct hf_plugin *plugin = userdata;
	char message[1024];

	(void)event;
	(void)data; /* carries no options in 2.1 (plugin_reload.c) */
	if (hf_hub_reload(plugin->hub, message, sizeof(message)) == HF_OK) {
		mosquitto_log_printf(MOSQ_LOG_INFO, "holdfast: read the roles again");
	} else {
		mosquitto_log_printf(MOSQ_LOG_ERR, "holdfast: the roles stay as they were: %s", message);
	}
	return MOSQ_ERR_SUCCESS;
}

static const struct {
	int event;
	MOSQ_FUNC_generic_callback callback;
	const char *name;
} callbacks[] = {
	{MOSQ_EVT_BASIC_AUTH, hf_on_basic_auth, "BASIC_AUTH"},
	{MOSQ_EVT_ACL_CHECK, hf_on_acl_check, "ACL_CHECK"},
	{MOSQ_EVT_CONNECT, hf_on_connect, "CONNECT"},
	{MOSQ_EVT_DISCONNECT, hf_on_disconnect, "DISCONNECT"},
	{MOSQ_EVT_CLIENT_OFFLINE, hf_on_client_offline, "CLIENT_OFFLINE"},
	{MOSQ_EVT_MESSAGE_IN, hf_on_message_in, "MESSAGE_IN"},
	{MOSQ_EVT_MESSAGE_OUT, hf_on_message_out, "MESSAGE_OUT"},
	{MOSQ_EVT_SUBSCRIBE, hf_on_subscribe, "SUBSCRIBE"},
	{MOSQ_EVT_UNSUBSCRIBE, hf_on_unsubscribe, "UNSUBSCRIBE"},
	{MOSQ_EVT_TICK, on_tick, "TICK"},
	{MOSQ_EVT_RELOAD, on_reload, "RELOAD"},
	{MOSQ_EVT_PERSIST_RESTORE, hf_on_persist_restore, "PERSIST_RESTORE"},
	{MOSQ_EVT_PERSIST_CLIENT_ADD, hf_on_persist_client, "PERSIST_CLIENT_ADD"},
	{MOSQ_EVT_PERSIST_CLIENT_UPDATE, hf_on_persist_client, "PERSIST_CLIENT_UPDATE"},
	{MOSQ_EVT_PERSIST_CLIENT_DELETE, hf_on_persist_client_delete, "PERSIST_CLIENT_DELETE"},
	{MOSQ_EVT_PERSIST_SUBSCRIPTION_ADD, hf_on_persist_subscription_add, "PERSIST_SUBSCRIPTION_ADD"},
	{MOSQ_EVT_PERSIST_BASE_MSG_DELETE, hf_on_persist_base_msg_delete, "PERSIST_BASE_MSG_DELETE"},
	{MOSQ_EVT_PERSIST_CLIENT_MSG_DELETE, hf_on_persist_client_msg_delete, "PERSIST_CLIENT_MSG_DELETE"},
	{MOSQ_EVT_PERSIST_WILL_ADD, hf_on_persist_will_add, "PERSIST_WILL_ADD"},
};

static bool register_callbacks(struct hf_plugin *plugin)
{
	for (size_t i = 0; i < sizeof(callbacks) / sizeof(callbacks[0]); i++) {
		int rc = mosquitto_callback_register(plugin->id, callbacks[i].event, callbacks[i].callback, NULL, plugin);
		if (rc != MOSQ_ERR_SUCCESS) {
			mosquitto_log_printf(MOSQ_LOG_ERR,
				"holdfast: the broker does not let it see the event %s (%d). It needs Mosquitto 2.1, 'persistence "
				"false', and to be "
				"loaded with global_plugin.",
				callbacks[i].name, rc);
			return false;
		}
	}
	int rc = mosquitto_callback_register(plugin->id, MOSQ_EVT_CONTROL, hf_on_control, HF_ADMIN_TOPIC, plugin);
	if (rc != MOSQ_ERR_SUCCESS) {
		mosquitto_log_printf(
			MOSQ_LOG_ERR, "holdfast: it cannot have the topic %s (%d): is it loaded twice?", HF_ADMIN_TOPIC, rc);
	}
	return rc == MOSQ_ERR_SUCCESS;
}

static int find_other_plugin(struct dl_phdr_info *info, size_t size, void *context)
{
	const char **other = context;
	void *library, *init;

	(void)size;
	if (!info->dlpi_name || !*info->dlpi_name) {
		return 0;
	}
	library = dlopen(info->dlpi_name, RTLD_LAZY | RTLD_NOLOAD);
	if (!library) {
		return 0;
	}
	init = dlsym(library, "mosquitto_plugin_init");
	dlclose(library);
	if (init && init != (void *)mosquitto_plugin_init) {
		*other = info->dlpi_name;
		return 1;
	}
	return 0;
}

/* Where another plugin says "not mine, so no" (dynamic security does) and one behind it says "not mine", Mosquitto
 * reads the last answer, as a yes (plugin_acl_check.c). In front, our "not mine" can turn nobody's no around. */
static bool loaded_first(void)
{
	const char *other = NULL;

	dl_iterate_phdr(find_other_plugin, &other);
	if (other) {
		mosquitto_log_printf(MOSQ_LOG_ERR,
			"holdfast: it must be the first plugin, or access rules of others could be turned around: move its "
			"global_plugin line above the one "
			"for %s",
			other);
	}
	return !other;
}

static bool read_options(struct hf_plugin *plugin, const struct mosquitto_opt *options, int count)
{
	const char *location = mosquitto_persistence_location();
	char message[1024];

	hf_options_defaults(&plugin->options);
	for (int i = 0; i < count; i++) {
		if (!hf_options_set(&plugin->options, options[i].key, options[i].value, message, sizeof(message))) {
			mosquitto_log_printf(MOSQ_LOG_ERR, "holdfast: %s", message);
			return false;
		}
	}
	if (!plugin->options.store[0] && location) {
		snprintf(plugin->options.store, sizeof(plugin->options.store), "%s%sholdfast", location,
			location[0] && location[strlen(location) - 1] == '/' ? "" : "/");
	}
	if (!plugin->options.store[0]) {
		mosquitto_log_printf(
			MOSQ_LOG_ERR, "holdfast: set plugin_opt_store to the folder for its store (or persistence_location)");
		return false;
	}
	plugin->root_len = strlen(plugin->options.root);
	return true;
}

static bool open_hub(struct hf_plugin *plugin)
{
	struct hf_broker broker;
	char message[1024] = "out of memory";

	hf_port(plugin, &broker);
	enum hf_reason reason = hf_hub_open(&plugin->options, &broker, &plugin->hub, message, sizeof(message));
	if (reason == HF_OK) {
		return true;
	}
	mosquitto_log_printf(
		MOSQ_LOG_ERR, "holdfast: %s%s", reason == HF_ROLES_INVALID ? "" : "plugin_opt_store: ", message);
	return false;
}

int mosquitto_plugin_init(
	mosquitto_plugin_id_t *identifier, void **userdata, struct mosquitto_opt *options, int option_count)
{
	struct hf_plugin *plugin = calloc(1, sizeof(*plugin));

	*userdata = plugin; /* cleanup is called after a failed init too */
	if (!plugin) {
		return MOSQ_ERR_NOMEM;
	}
	plugin->id = identifier;
	mosquitto_plugin_set_info(identifier, HF_PLUGIN_NAME, HF_VERSION);
	if (!loaded_first() || !read_options(plugin, options, option_count) || !hf_port_timer(plugin) ||
		!open_hub(plugin) || !register_callbacks(plugin)) {
		return MOSQ_ERR_INVAL;
	}
	mosquitto_log_printf(MOSQ_LOG_INFO, "holdfast %s: sessions under %s/, store in %s", HF_VERSION,
		plugin->options.root, plugin->options.store);
	return MOSQ_ERR_SUCCESS;
}

int mosquitto_plugin_cleanup(void *userdata, struct mosquitto_opt *options, int option_count)
{
	struct hf_plugin *plugin = userdata;

	(void)options;
	(void)option_count;
	if (!plugin) {
		return MOSQ_ERR_SUCCESS;
	}
	hf_hub_close(plugin->hub);
	hf_port_timer_end(plugin);
	hf_publishing_end(plugin);
	hf_wills_end(plugin);
	hf_buffer_free(&plugin->properties);
	hf_buffer_free(&plugin->packed);
	hf_buffer_free(&plugin->topic);
	free(plugin->authenticating);
	free(plugin);
	return MOSQ_ERR_SUCCESS;
}
