/* SPDX-License-Identifier: BSD-3-Clause */
#include "store_option.h"

#include <stdlib.h>

#include "command.h"
#include "query/query.h"

#define STORE "/var/lib/mosquitto/holdfast"

static const struct argp_option options[] = {
	{.name = "store", .key = 's', .arg = "FOLDER", .doc = "The store (default: $HOLDFAST_STORE, else " STORE ")"},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	const char **path = state->input;
	const char *given = getenv("HOLDFAST_STORE");

	switch (key) {
	case ARGP_KEY_INIT:
		*path = given && *given ? given : STORE;
		return 0;
	case 's':
		*path = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp hf_store_argp = {.options = options, .parser = parse};

struct hf_store *hf_store_open_to_read(const char *path)
{
	const struct hf_store_options store_options = {.path = path, .read_only = true};
	struct hf_store *store;
	char message[512];

	hf_query_give_way();
	if (hf_store_open(&store_options, NULL, NULL, &store, message, sizeof(message)) == HF_OK) {
		return store;
	}
	hf_complain("%s", message);
	hf_complain("--store names the folder that the option plugin_opt_store names in mosquitto.conf");
	return NULL;
}
