/* SPDX-License-Identifier: BSD-3-Clause */
/* holdfast audit key export|rotate: the public key for others; a new key for the broker to take up. */
#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit.h"
#include "query/checkpoint.h"
#include "store_option.h"

struct key {
	const char *store_path;
	const char *file; /* of the key; NULL: beside the store */
	bool first;
	const char *act;
};

static bool print_key(const uint8_t public_key[HF_PUBLIC_KEY_SIZE])
{
	struct hf_buffer pem = {0};
	bool made = hf_public_key_export(public_key, &pem);

	if (made) {
		fwrite(pem.data, 1, pem.len, stdout);
	} else {
		hf_complain("out of memory");
	}
	hf_buffer_free(&pem);
	return made;
}

static enum hf_exit export(const struct key *key)
{
	struct hf_store *store = hf_store_open_to_read(key->store_path);
	uint8_t public_key[HF_PUBLIC_KEY_SIZE];

	if (!store) {
		return HF_EXIT_FAILED;
	}
	enum hf_reason reason = hf_checkpoint_key(store, key->first, public_key);
	if (reason != HF_OK) {
		hf_complain("no key to be found: %s", hf_store_error(store));
	}
	hf_store_close(store);
	return reason == HF_OK && print_key(public_key) ? hf_output_end() : HF_EXIT_FAILED;
}

static enum hf_exit rotate(const struct key *key)
{
	char path[PATH_MAX], next[PATH_MAX + 8];
	uint8_t public_key[HF_PUBLIC_KEY_SIZE];
	struct stat status;

	int len = snprintf(path, sizeof(path), key->file ? "%s" : "%s.key", key->file ? key->file : key->store_path);
	if (len < 0 || (size_t)len >= sizeof(path)) {
		hf_complain("the path of the key is too long");
		return HF_EXIT_FAILED;
	}
	snprintf(next, sizeof(next), "%s.next", path);
	if (hf_key_make(next, public_key) != HF_OK) {
		hf_complain("cannot make %s: %s", next,
			errno == EEXIST ? "there is one that the broker has not taken up yet" : strerror(errno));
		return HF_EXIT_FAILED;
	}
	/* As root, for the user that the broker runs as. */
	if (stat(path, &status) == 0 && geteuid() == 0 && chown(next, status.st_uid, status.st_gid) != 0) {
		hf_complain("%s stays root's: %s", next, strerror(errno));
	}
	if (!print_key(public_key)) {
		return HF_EXIT_FAILED;
	}
	hf_complain("%s is made; it must belong to the user that the broker runs as. The broker takes it up when it is "
				"started, or gets "
				"SIGHUP.%s",
		next, access(path, F_OK) == 0 ? "" : " The old key is not there: nobody will vouch for the new one.");
	return hf_output_end();
}

static const struct argp_option options[] = {
	{.name = "file",
		.key = 'f',
		.arg = "FILE",
		.doc = "rotate: the key, as plugin_opt_audit_key names it (default: the store's name and .key)"},
	{.name = "first", .key = '1', .doc = "export: the key that the store was begun with, for verify --public-key"},
	{.name = NULL, .key = 'h', .flags = OPTION_HIDDEN, .doc = ""},
	{0},
};

static error_t parse(int option, char *arg, struct argp_state *state)
{
	struct key *key = state->input;

	switch (option) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &key->store_path;
		return 0;
	case 'f':
		key->file = arg;
		return 0;
	case '1':
		key->first = true;
		return 0;
	case 'h':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		return 0;
	case ARGP_KEY_ARG:
		if (key->act || (strcmp(arg, "export") != 0 && strcmp(arg, "rotate") != 0)) {
			argp_error(state, "a key can be exported or rotated, one of the two");
		}
		key->act = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "a key can be exported or rotated, one of the two");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.children = (const struct argp_child[]){{.argp = &hf_store_argp}, {0}},
	.args_doc = "export|rotate",
	.doc = "export: print the public key that the newest seal is signed with (PEM).\n"
		   "rotate: make a new key beside the old one, and print its public key."
		   "\vAt its next start, or at SIGHUP, the broker lets the old key sign the new one, writes that down, and "
		   "goes on "
		   "with the new one.\n\n"
		   "Where the old key is lost: stop the broker, rotate, remove what is left of the old key's file, start. The "
		   "audit "
		   "then says that the new key was not vouched for.\n\n"
		   "Exit status: 0 done, 1 failed, 2 wrong usage.",
};

int hf_audit_command_key(int argc, char **argv)
{
	struct key key = {.file = NULL};

	if (argp_parse(&argp, argc, argv, 0, NULL, &key)) {
		return HF_EXIT_USAGE;
	}
	return (int)(strcmp(key.act, "export") == 0 ? export(&key) : rotate(&key));
}
