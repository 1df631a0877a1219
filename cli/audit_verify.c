/* SPDX-License-Identifier: BSD-3-Clause */
/* holdfast audit verify: is everything as it was written? */
#include <argp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "checkpoint.h"
#include "codec/json.h"
#include "codec/times.h"
#include "options.h"
#include "rows.h"
#include "store_option.h"

#define CHECKPOINTS_MAX 64
#define KEY_FILE_MAX 65536

struct verify {
	const char *store_path;
	const char *public_key; /* a file; NULL: none given */
	const char *checkpoints[CHECKPOINTS_MAX];
	size_t checkpoint_count;
	uint64_t checkpoints_removed; /* of them: with the blocks that they were made of */
	bool each_signature;
	bool json;

	struct hf_store *store;
	uint8_t first_key[HF_PUBLIC_KEY_SIZE];
	struct hf_verified verified;
};

/* ---- what is known from elsewhere */

static bool read_key(struct verify *verify)
{
	char *text;
	size_t len;

	if (!verify->public_key) {
		return true;
	}
	if (!hf_file_read(verify->public_key, KEY_FILE_MAX, &text, &len)) {
		return false;
	}
	bool taken = hf_public_key_parse(hf_slice_from(text, len), verify->first_key);
	if (!taken) {
		hf_complain("%s has no Ed25519 public key in PEM", verify->public_key);
	}
	free(text);
	return taken;
}

/* Is the seal of this checkpoint still what it was? False: it cannot be told. A difference is in verify->verified.bad.
 */
static bool compare(struct verify *verify, const char *path)
{
	struct hf_checkpoint checkpoint;
	struct hf_seal seal;
	unsigned char value[HF_SEAL_SIZE];
	char *bad = verify->verified.bad;
	size_t size = sizeof(verify->verified.bad);
	bool found, removed = false;

	if (!hf_checkpoint_read(path, &checkpoint)) {
		return false;
	}
	enum hf_reason reason = hf_seal_get(verify->store, checkpoint.seal.number, &seal, value, &found);
	if (reason == HF_OK && !found) {
		reason = hf_audit_removed(verify->store, checkpoint.seal.number, &removed);
	}
	if (reason != HF_OK) {
		hf_complain("%s", hf_store_error(verify->store));
		return false;
	}
	if (removed) {
		verify->checkpoints_removed++;
	} else if (!found) {
		snprintf(bad, size, "seal %" PRIu64 " is missing, which the checkpoint %s knows: the end was cut off, with %s",
			checkpoint.seal.number, path, "all that it covers");
	} else if (memcmp(value, checkpoint.value, sizeof(value)) != 0) {
		snprintf(bad, size, "seal %" PRIu64 " is another than in the checkpoint %s: what it covers was written anew",
			checkpoint.seal.number, path);
	}
	return true;
}

/* ---- the verdict */

static void print_text(const struct verify *verify)
{
	const struct hf_verified *verified = &verify->verified;

	if (verified->bad[0]) {
		printf("BAD: %s\n", verified->bad);
		printf("     %" PRIu64 " entries, %" PRIu64 " records and %" PRIu64 " seals before it are good\n",
			verified->entries, verified->records, verified->seals);
		return;
	}
	printf("good: %" PRIu64 " entries and %" PRIu64 " records, under %" PRIu64 " seals and %" PRIu64 " keys\n",
		verified->entries, verified->records, verified->seals, verified->keys);
	printf("      signatures checked: %" PRIu64 "%s\n", verified->signatures,
		verified->signatures < verified->seals ? ", which speak for all seals" : "");
	if (verified->removed > 0) {
		printf("      %" PRIu64
			   " blocks were removed, as the audit is kept for so long; of what they covered, sessions "
			   "still have %" PRIu64 " entries, for which only their digests speak\n",
			verified->removed, verified->outlived);
	}
	if (verified->left_behind > 0) {
		printf("note: %" PRIu64
			   " records stand where blocks were removed, and nothing speaks for them: a removal that is "
			   "not finished, or somebody put them there\n",
			verified->left_behind);
	}
	if (verified->stripped > 0) {
		printf("      %" PRIu64 " entries have lost their payload, by retention or erasure\n", verified->stripped);
	}
	if (verified->uncovered > 0) {
		printf("      %" PRIu64 " entries were written while the audit was off: nothing speaks for them\n",
			verified->uncovered);
	}
	if (verified->unsealed_entries + verified->unsealed_records > 0) {
		printf("      %" PRIu64 " entries and %" PRIu64 " records are not sealed yet\n", verified->unsealed_entries,
			verified->unsealed_records);
	}
	if (verify->checkpoints_removed > 0) {
		printf("note: %" PRIu64 " checkpoints are of blocks that were removed: there is nothing left to compare\n",
			verify->checkpoints_removed);
	}
	if (verified->unsigned_keys > 0) {
		printf("note: %" PRIu64 " keys were not signed by the one before: a lost key, or somebody who never had it\n",
			verified->unsigned_keys);
	}
}

static bool print_json(const struct verify *verify)
{
	const struct hf_verified *verified = &verify->verified;
	cJSON *object = cJSON_CreateObject();
	bool made = hf_json_add(object, "good", cJSON_CreateBool(!verified->bad[0])) &&
				hf_json_add(object, "entries", hf_json_from_u64(verified->entries)) &&
				hf_json_add(object, "records", hf_json_from_u64(verified->records)) &&
				hf_json_add(object, "seals", hf_json_from_u64(verified->seals)) &&
				hf_json_add(object, "signatures", hf_json_from_u64(verified->signatures)) &&
				hf_json_add(object, "keys", hf_json_from_u64(verified->keys)) &&
				hf_json_add(object, "unsigned_keys", hf_json_from_u64(verified->unsigned_keys)) &&
				hf_json_add(object, "removed", hf_json_from_u64(verified->removed)) &&
				hf_json_add(object, "left_behind", hf_json_from_u64(verified->left_behind)) &&
				hf_json_add(object, "outlived", hf_json_from_u64(verified->outlived)) &&
				hf_json_add(object, "stripped", hf_json_from_u64(verified->stripped)) &&
				hf_json_add(object, "uncovered", hf_json_from_u64(verified->uncovered)) &&
				hf_json_add(object, "checkpoints_removed", hf_json_from_u64(verify->checkpoints_removed)) &&
				hf_json_add(object, "unsealed_entries", hf_json_from_u64(verified->unsealed_entries)) &&
				hf_json_add(object, "unsealed_records", hf_json_from_u64(verified->unsealed_records)) &&
				(!verified->bad[0] || hf_json_add(object, "bad", cJSON_CreateString(verified->bad)));
	bool printed = hf_json_print(made ? object : NULL, false);

	cJSON_Delete(object);
	return printed;
}

static enum hf_exit run(struct verify *verify)
{
	struct hf_verified *verified = &verify->verified;
	const struct hf_verify_options how = {
		.first_key = verify->public_key ? verify->first_key : NULL,
		.each_signature = verify->each_signature,
	};

	enum hf_reason reason = hf_audit_verify(verify->store, &how, verified);
	if (reason != HF_OK) {
		hf_complain("the store cannot be read to its end: %s", hf_store_error(verify->store));
		return HF_EXIT_FAILED;
	}
	for (size_t i = 0; i < verify->checkpoint_count && !verified->bad[0]; i++) {
		if (!compare(verify, verify->checkpoints[i])) {
			return HF_EXIT_FAILED;
		}
	}
	if (verify->json && !print_json(verify)) {
		return HF_EXIT_FAILED;
	} else if (!verify->json) {
		print_text(verify);
	}
	enum hf_exit status = hf_output_end();
	return verified->bad[0] ? HF_EXIT_FAILED : status;
}

/* ---- options */

static const struct argp_option options[] = {
	{.name = "public-key", .key = 'k', .arg = "FILE", .doc = "The public key that the store was begun with (PEM)"},
	{.name = "checkpoint",
		.key = 'c',
		.arg = "FILE",
		.doc = "A checkpoint that was exported earlier; may be given up to 64 times"},
	{.name = "signatures",
		.key = 'S',
		.doc = "Check the signature of each seal, not only of those that speak for all others"},
	{.name = "json", .key = 'j', .doc = "Print a JSON object"},
	{.name = NULL, .key = 'h', .flags = OPTION_HIDDEN, .doc = ""},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct verify *verify = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &verify->store_path;
		break;
	case 'k':
		verify->public_key = arg;
		break;
	case 'c':
		if (verify->checkpoint_count == CHECKPOINTS_MAX) {
			argp_error(state, "at most %d checkpoints", CHECKPOINTS_MAX);
		}
		verify->checkpoints[verify->checkpoint_count++] = arg;
		break;
	case 'S':
		verify->each_signature = true;
		break;
	case 'j':
		verify->json = true;
		break;
	case 'h':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "too many arguments: %s", arg);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.children = (const struct argp_child[]){{.argp = &hf_store_argp}, {0}},
	.doc =
		"Check that nothing was changed, removed or put in another place: each record's link to the one before it, "
		"each "
		"payload's digest, each seal and the signatures that speak for all of them."
		"\vWithout --public-key, the store's own word is taken for the key it was begun with; without --checkpoint, "
		"the end "
		"of what is there is taken for the end of what was written. plugin/AUDIT.md tells what that means.\n\n"
		"Each seal has the digest of the one before it, so the last signature of each key speaks for all of that key: "
		"only these are checked, unless something is bad, or --signatures is given.\n\n"
		"Exit status: 0 all is good, 1 it is not or could not be read, 2 wrong usage.",
};

int hf_audit_command_verify(int argc, char **argv)
{
	struct verify verify = {.json = false};
	enum hf_exit status = HF_EXIT_FAILED;

	if (argp_parse(&argp, argc, argv, 0, NULL, &verify)) {
		return HF_EXIT_USAGE;
	}
	if (read_key(&verify)) {
		verify.store = hf_store_open_to_read(verify.store_path);
		if (verify.store) {
			status = run(&verify);
			hf_store_close(verify.store);
		}
	}
	return (int)status;
}
