/* SPDX-License-Identifier: BSD-3-Clause */
/* holdfast audit [COMMAND]: who was sent what, when, and whether it arrived. Reads the store, beside a running broker
 * or without one; writes nothing to it. */
#include "audit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct hf_subcommand commands[] = {
	{"receipts", (char[]){"holdfast audit receipts"}, hf_audit_command_receipts},
	{"seen-by", (char[]){"holdfast audit seen-by"}, hf_audit_command_seen},
	{"report", (char[]){"holdfast audit report"}, hf_audit_command_report},
	{"transcript", (char[]){"holdfast audit transcript"}, hf_audit_command_transcript},
	{"verify", (char[]){"holdfast audit verify"}, hf_audit_command_verify},
	{"checkpoint", (char[]){"holdfast audit checkpoint"}, hf_audit_command_checkpoint},
	{"key", (char[]){"holdfast audit key"}, hf_audit_command_key},
	{"usage", (char[]){"holdfast audit usage"}, hf_audit_command_usage},
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

int hf_command_audit(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < COMMAND_COUNT; i++) {
		if (strcmp(argv[1], commands[i].name) == 0) {
			argv[1] = commands[i].full_name;
			return commands[i].run(argc - 1, argv + 1);
		}
	}
	return hf_audit_command_list(argc, argv);
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
