/* SPDX-License-Identifier: BSD-3-Clause */
/* The sub-commands of `holdfast audit`, one file each, and what they share. */
#ifndef HF_CLI_AUDIT_H
#define HF_CLI_AUDIT_H

#include "command.h"
#include "store/audit.h"

/* Each as hf_command_...: argv[0] is its whole name, such as "holdfast audit verify". */
int hf_audit_command_list(int argc, char **argv); /* of no name: the queries */
int hf_audit_command_receipts(int argc, char **argv);
int hf_audit_command_seen(int argc, char **argv);
int hf_audit_command_report(int argc, char **argv);
int hf_audit_command_transcript(int argc, char **argv);
int hf_audit_command_verify(int argc, char **argv);
int hf_audit_command_checkpoint(int argc, char **argv);
int hf_audit_command_key(int argc, char **argv);
int hf_audit_command_usage(int argc, char **argv);

/* A whole file, at most `max` bytes; the caller frees *data. False: standard error says why not. */
bool hf_file_read(const char *path, size_t max, char **data, size_t *len);

/* Flush standard output. The exit status: HF_EXIT_OK also when its reader has gone. */
enum hf_exit hf_output_end(void);

#endif
