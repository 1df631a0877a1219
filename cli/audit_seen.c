/* SPDX-License-Identifier: BSD-3-Clause */
/* holdfast audit seen-by: all that an identity was sent, entry by entry. */
#include <argp.h>
#include <stdio.h>
#include <string.h>

#include "audit.h"
#include "audit_rows.h"
#include "options.h"
#include "query/rows.h"

static const struct hf_table_column table[] = {
	{HF_SEEN_TIME, "time", 24},
	{HF_SEEN_SESSION, "session", 12},
	{HF_SEEN_OFFSET, "offset", 6},
	{HF_SEEN_DEVICE, "device", 14},
	{HF_SEEN_STATE, "state", 14},
	{HF_SEEN_RESENT, "resent", 6},
	{HF_SEEN_ACKNOWLEDGED, "acknowledged", 24},
	{HF_SEEN_FROM, "from", 12},
	{HF_SEEN_TOPIC, "topic", 8},
	{HF_SEEN_BYTES, "bytes", 5},
};

struct command {
	struct hf_audit_options audit;
	bool acknowledged;
};

static bool put(struct hf_rows *rows, const struct hf_seen_row *row)
{
	struct hf_cell cells[HF_SEEN_FIELD_COUNT];

	hf_seen_cells(row, cells);
	return hf_rows_put(rows, cells);
}

static enum hf_exit print(struct hf_store *store, const struct command *command)
{
	struct hf_rows rows = {
		.format = command->audit.format,
		.names = hf_seen_names,
		.count = HF_SEEN_FIELD_COUNT,
		.table = table,
		.table_count = sizeof(table) / sizeof(table[0]),
	};
	struct hf_seen *seen;
	struct hf_seen_row row;
	bool found = true, go_on = true;
	enum hf_reason reason = hf_seen_open(store, &command->audit.query, command->acknowledged, HF_SLICE_NONE, &seen);

	while (reason == HF_OK && found && go_on) {
		reason = hf_seen_next(seen, &row, &found);
		if (reason == HF_OK && found) {
			go_on = put(&rows, &row);
		}
	}
	hf_seen_close(seen);
	hf_rows_end(&rows);
	enum hf_exit status = hf_output_end();
	if (reason != HF_OK) {
		hf_audit_complain(store, &command->audit.query, reason);
		return HF_EXIT_FAILED;
	}
	return go_on || ferror(stdout) ? status : HF_EXIT_FAILED;
}

/* ---- options */

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct command *command = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &command->audit;
		return 0;
	case 'S':
		command->audit.query.session = hf_slice_of(hf_session_argument(state, arg));
		return 0;
	case 'a':
		command->acknowledged = true;
		return 0;
	case 'h':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num > 0 || *arg == '\0') {
			argp_error(state, state->arg_num > 0 ? "too many arguments: %s" : "an identity is not empty%s", arg);
		}
		command->audit.query.identity = hf_slice_of(arg);
		return 0;
	case ARGP_KEY_END:
		if (command->audit.query.identity.len == 0) {
			argp_error(state, "by whom? Name an identity");
		}
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{.name = "session", .key = 'S', .arg = "SESSION", .doc = "Of this session only"},
	{.name = "acknowledged", .key = 'a', .doc = "Only what was acknowledged"},
	{.name = NULL, .key = 'h', .flags = OPTION_HIDDEN, .doc = ""},
	{0},
};

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.children = (const struct argp_child[]){{.argp = &hf_audit_argp}, {0}},
	.args_doc = "IDENTITY",
	.doc =
		"All that the devices of an identity were sent, entry by entry, in the order it was sent, and what became of "
		"it."
		"\vWhat was sent once more after a connection had broken has a row for each time. 'holdfast audit --identity "
		"IDENTITY' tells what it did.\n\n"
		"Exit status: 0 done, 1 failed, 2 wrong usage.",
};

int hf_audit_command_seen(int argc, char **argv)
{
	struct command command = {.acknowledged = false};
	enum hf_exit status = HF_EXIT_FAILED;

	if (argp_parse(&argp, argc, argv, 0, NULL, &command)) {
		return HF_EXIT_USAGE;
	}
	struct hf_store *store = hf_audit_store_open(&command.audit);
	if (store) {
		status = print(store, &command);
		hf_store_close(store);
	}
	return (int)status;
}
