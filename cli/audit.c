/* SPDX-License-Identifier: BSD-3-Clause */
/* holdfast audit [COMMAND]: who was sent what, when, and whether it arrived. Reads the store, beside a running broker
 * or without one; writes nothing to it. */
#include "audit.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct hf_subcommand commands[] = {
	{"verify", (char[]){"holdfast audit verify"}, hf_audit_command_verify},
	{"checkpoint", (char[]){"holdfast audit checkpoint"}, hf_audit_command_checkpoint},
	{"key", (char[]){"holdfast audit key"}, hf_audit_command_key},
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'h':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "there is no command '%s'", arg);
		return EINVAL;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which command? There are verify, checkpoint and key");
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = (const struct argp_option[]){{.name = NULL, .key = 'h', .flags = OPTION_HIDDEN, .doc = ""}, {0}},
	.parser = parse,
	.args_doc = "COMMAND [ARGUMENT...]",
	.doc = "Who was sent what, when, and whether it arrived.\v"
		   "Commands:\n\n"
		   "  verify         check that nothing was changed, removed or put in another place\n"
		   "  checkpoint     export a proof of what is there now, to be kept elsewhere\n"
		   "  key            export the public key; change the key that seals the audit\n\n"
		   "'holdfast audit COMMAND --help' tells more about one, holdfast(1) about all.",
};

int hf_command_audit(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < COMMAND_COUNT; i++) {
		if (strcmp(argv[1], commands[i].name) == 0) {
			argv[1] = commands[i].full_name;
			return commands[i].run(argc - 1, argv + 1);
		}
	}
	if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, NULL)) {
		return HF_EXIT_USAGE;
	}
	return HF_EXIT_OK;
}

bool hf_file_read(const char *path, size_t max, char **data, size_t *len)
{
	FILE *file = fopen(path, "rb");

	*data = malloc(max + 1);
	*len = 0;
	if (file && *data) {
		errno = 0;
		*len = fread(*data, 1, max + 1, file);
	}
	bool read = file && *data && !ferror(file) && *len <= max;
	if (!read) {
		hf_complain("cannot read %s: %s", path, *len > max ? "it is too large" : strerror(errno ? errno : ENOMEM));
		free(*data);
		*data = NULL;
	}
	if (file) {
		fclose(file);
	}
	return read;
}

enum hf_exit hf_output_end(void)
{
	if ((fflush(stdout) || ferror(stdout)) && errno != EPIPE) {
		hf_complain("cannot write to standard output: %s", strerror(errno));
		return HF_EXIT_FAILED;
	}
	return HF_EXIT_OK;
}
