/* SPDX-License-Identifier: BSD-3-Clause */
/* holdfast audit receipts: who got one entry, and who did not, and why. */
#include <argp.h>
#include <inttypes.h>
#include <stdio.h>

#include "audit.h"
#include "audit_rows.h"
#include "codec/times.h"
#include "options.h"
#include "query/rows.h"
#include "safe.h"

struct receipts {
	struct hf_audit_options audit;
	const char *session;
	uint64_t offset;
};

static const struct hf_table_column table[] = {
	{HF_READER_IDENTITY, "identity", 12},
	{HF_READER_DEVICE, "device", 14},
	{HF_READER_STATE, "state", 14},
	{HF_READER_SENT, "sent", 24},
	{HF_READER_ACKNOWLEDGED, "acknowledged", 24},
	{HF_READER_TIMES, "times", 5},
	{HF_READER_WHY, "why", 1},
};

static bool put(struct hf_rows *rows, const struct hf_entry_reader *reader)
{
	struct hf_cell cells[HF_READER_FIELD_COUNT];

	hf_reader_cells(reader, cells);
	return hf_rows_put(rows, cells);
}

/* What they are receipts of. */
static void print_entry(const struct hf_entry *entry)
{
	char time[HF_TIME_SIZE];

	printf("offset %" PRIu64 " of %.*s, %.*s, published by ", entry->offset, (int)entry->session.len,
		entry->session.data, (int)entry->topic.len, entry->topic.data);
	hf_write_safe_line(stdout, entry->identity.len > 0 ? entry->identity : hf_slice_of("nobody"));
	printf(" (%s) at %s\n\n", hf_role_name(entry->role), hf_time_print(entry->time_ms, time));
}

static enum hf_exit print(struct hf_store *store, const struct receipts *receipts)
{
	struct hf_rows rows = {
		.format = receipts->audit.format,
		.names = hf_reader_names,
		.count = HF_READER_FIELD_COUNT,
		.table = table,
		.table_count = sizeof(table) / sizeof(table[0]),
	};
	struct hf_entry_readers readers;
	bool found, printed = true;
	enum hf_reason reason = hf_entry_readers(store, hf_slice_of(receipts->session), receipts->offset, &readers, &found);

	if (reason != HF_OK) {
		hf_audit_complain(store, &receipts->audit.query, reason);
	} else if (!found) {
		hf_complain("session %s has had no offset %" PRIu64, receipts->session, receipts->offset);
	} else {
		if (rows.format == HF_FORMAT_TABLE) {
			print_entry(&readers.entry.entry);
		}
		for (size_t i = 0; i < readers.count && printed; i++) {
			printed = put(&rows, &readers.array[i]);
		}
		hf_rows_end(&rows);
		if (rows.format == HF_FORMAT_TABLE && readers.count == 0) {
			puts("nobody was sent it, and nobody was subscribed to it");
		}
	}
	hf_entry_readers_free(&readers);
	enum hf_exit status = hf_output_end();
	return reason == HF_OK && found && printed ? status : HF_EXIT_FAILED;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct receipts *receipts = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &receipts->audit;
		return 0;
	case 'h':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num == 0) {
			receipts->session = hf_session_argument(state, arg);
		} else if (state->arg_num == 1) {
			receipts->offset = hf_number_argument(state, "OFFSET", arg, 1, INT64_MAX);
		} else {
			argp_error(state, "too many arguments: %s", arg);
		}
		return 0;
	case ARGP_KEY_END:
		if (receipts->offset == 0) {
			argp_error(state, "which entry? Name a session and an offset");
		}
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = (const struct argp_option[]){{.name = NULL, .key = 'h', .flags = OPTION_HIDDEN, .doc = ""}, {0}},
	.parser = parse,
	.children = (const struct argp_child[]){{.argp = &hf_audit_format_argp}, {0}},
	.args_doc = "SESSION OFFSET",
	.doc =
		"Who got this entry: every device that was sent it, and every one that was subscribed to it and was not, with "
		"the reason."
		"\vAcknowledged is what the device's MQTT library took, not what a person has read.\n\n"
		"Exit status: 0 done, 1 failed or no such entry, 2 wrong usage.",
};

int hf_audit_command_receipts(int argc, char **argv)
{
	struct receipts receipts = {.session = NULL};
	enum hf_exit status = HF_EXIT_FAILED;

	if (argp_parse(&argp, argc, argv, 0, NULL, &receipts)) {
		return HF_EXIT_USAGE;
	}
	struct hf_store *store = hf_audit_store_open(&receipts.audit);
	if (store) {
		status = print(store, &receipts);
		hf_store_close(store);
	}
	return (int)status;
}
