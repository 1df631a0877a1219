/* SPDX-License-Identifier: BSD-3-Clause */
/* holdfast audit checkpoint export; and reading one back. */
#include <argp.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "checkpoint.h"
#include "codec/json.h"
#include "codec/times.h"
#include "rows.h"
#include "store_option.h"

#define VERSION 2
#define FILE_MAX 65536

/* ---- as a file */

/* A whole number, as far as a double holds it; 0 when it is none. */
static uint64_t number_of(const cJSON *object, const char *name)
{
	double number = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(object, name));

	return number >= 1 && number < 9007199254740992.0 ? (uint64_t)number : 0;
}

static bool take(const cJSON *object, struct hf_checkpoint *out)
{
	uint64_t number = number_of(object, "seal");
	size_t len = 0;
	const char *hex = hf_json_text(object, "value");

	if (number_of(object, "checkpoint") != HF_CHECKPOINT_VERSION || number == 0 ||
		OPENSSL_hexstr2buf_ex(out->value, sizeof(out->value), &len, hex, '\0') != 1 || len != sizeof(out->value) ||
		!hf_seal_decode(hf_slice_from(out->value, sizeof(out->value)), &out->seal)) {
		return false;
	}
	out->seal.number = number;
	return hf_public_key_parse(hf_slice_of(hf_json_text(object, "public_key")), out->public_key) &&
		   hf_seal_verify(hf_slice_from(out->value, sizeof(out->value)), number, out->public_key);
}

bool hf_checkpoint_read(const char *path, struct hf_checkpoint *out)
{
	char *text;
	size_t len;

	if (!hf_file_read(path, FILE_MAX, &text, &len)) {
		return false;
	}
	cJSON *object = cJSON_ParseWithLength(text, len);
	bool taken = object && take(object, out);
	if (!taken) {
		hf_complain("%s is no checkpoint, or was changed: its signature does not fit", path);
	}
	cJSON_Delete(object);
	free(text);
	return taken;
}

static bool print(const struct hf_checkpoint *checkpoint)
{
	cJSON *object = cJSON_CreateObject();
	bool made = object && hf_checkpoint_json(checkpoint, object);
	bool printed = hf_json_print(made ? object : NULL, true);

	cJSON_Delete(object);
	return printed;
}

/* ---- the command */

static enum hf_exit export_newest(const char *path)
{
	struct hf_store *store = hf_store_open_to_read(path);
	struct hf_checkpoint checkpoint;
	bool found = false;

	if (!store) {
		return HF_EXIT_FAILED;
	}
	enum hf_reason reason = hf_checkpoint_newest(store, &checkpoint, &found);
	if (reason != HF_OK) {
		hf_complain("%s", hf_store_error(store));
	} else if (!found) {
		hf_complain("the store %s has no seal yet: the broker makes the first a few seconds after its start, where its "
					"audit is on",
			path);
	}
	hf_store_close(store);
	if (reason != HF_OK || !found || !print(&checkpoint)) {
		return HF_EXIT_FAILED;
	}
	return hf_output_end();
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = state->input;
		return 0;
	case 'h':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num > 0 || strcmp(arg, "export") != 0) {
			argp_error(state, "a checkpoint can be exported: holdfast audit checkpoint export");
		}
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "a checkpoint can be exported: holdfast audit checkpoint export");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = (const struct argp_option[]){{.name = NULL, .key = 'h', .flags = OPTION_HIDDEN, .doc = ""}, {0}},
	.parser = parse,
	.children = (const struct argp_child[]){{.argp = &hf_store_argp}, {0}},
	.args_doc = "export",
	.doc = "Print the newest seal as a JSON object, to be kept where nobody who can write to the store can change it.\v"
		   "'holdfast audit verify --checkpoint FILE' then tells whether anything that it covers was changed since, or "
		   "cut "
		   "off.\n\n"
		   "Exit status: 0 done, 1 failed, 2 wrong usage.",
};

int hf_audit_command_checkpoint(int argc, char **argv)
{
	const char *store;

	if (argp_parse(&argp, argc, argv, 0, NULL, &store)) {
		return HF_EXIT_USAGE;
	}
	return (int)export_newest(store);
}
