/* SPDX-License-Identifier: BSD-3-Clause */
/* holdfast audit seen-by: all that an identity was sent, entry by entry. */
#include <argp.h>
#include <stdio.h>
#include <string.h>

#include "audit.h"
#include "audit_rows.h"
#include "options.h"

enum column {
	TIME,
	SESSION,
	OFFSET,
	DEVICE,
	STATE,
	RESENT,
	ACKNOWLEDGED,
	FROM,
	TOPIC,
	BYTES,
	SHA256,
	REMOVED,
	COLUMN_COUNT
};

static const char *const names[COLUMN_COUNT] = {
	[TIME] = "time",
	[SESSION] = "session",
	[OFFSET] = "offset",
	[DEVICE] = "device",
	[STATE] = "state",
	[RESENT] = "resent",
	[ACKNOWLEDGED] = "acknowledged",
	[FROM] = "from",
	[TOPIC] = "topic",
	[BYTES] = "bytes",
	[SHA256] = "sha256",
	[REMOVED] = "removed",
};

static const struct hf_table_column table[] = {
	{TIME, "time", 24},
	{SESSION, "session", 12},
	{OFFSET, "offset", 6},
	{DEVICE, "device", 14},
	{STATE, "state", 14},
	{RESENT, "resent", 6},
	{ACKNOWLEDGED, "acknowledged", 24},
	{FROM, "from", 12},
	{TOPIC, "topic", 8},
	{BYTES, "bytes", 5},
};

struct seen {
	struct hf_audit_options audit;
	struct hf_store *store;
	struct hf_rows rows;
	/* where entries are looked up */
	struct hf_log *log; /* NULL: none, or of a session that has gone */
	struct hf_records *records;
};

/* The entry, if it is left. */
static enum hf_reason look_up(
	struct seen *seen, struct hf_slice session, uint64_t offset, struct hf_entry *entry, bool *found)
{
	uint64_t lsn;
	enum hf_reason reason = HF_OK;

	*found = false;
	if (!seen->log || !hf_slice_equal(hf_log_session(seen->log), session)) {
		if (seen->log) {
			hf_log_release(seen->log);
			seen->log = NULL;
		}
		reason = hf_log_acquire(seen->store, session, false, &seen->log);
		if (reason != HF_OK) {
			seen->log = NULL;
			return reason == HF_SESSION_UNKNOWN ? HF_OK : reason;
		}
	}
	if (offset < hf_log_tail(seen->log) || offset > hf_log_head(seen->log)) {
		return HF_OK;
	}
	reason = hf_log_lsn_of(seen->log, offset, &lsn);
	if (reason == HF_OK) {
		reason = hf_records_at(seen->records, lsn, entry);
	}
	*found = reason == HF_OK;
	return reason;
}

static enum hf_reason put(struct seen *seen, const struct hf_item *item, uint64_t offset, bool *put)
{
	const struct hf_device_receipt *receipt = &item->receipt;
	struct hf_entry entry;
	bool found;
	struct hf_cell cells[COLUMN_COUNT] = {
		[TIME] = hf_cell_time(item->time_ms),
		[SESSION] = hf_cell_text(item->record.session),
		[OFFSET] = hf_cell_number(offset),
		[DEVICE] = hf_cell_text(item->record.device),
		[STATE] = hf_cell_text(hf_slice_of(hf_receipt_state_name(receipt->state))),
		[RESENT] = hf_cell_flag(receipt->again),
	};
	enum hf_reason reason = look_up(seen, item->record.session, offset, &entry, &found);

	if (receipt->state == HF_RECEIPT_ACKNOWLEDGED || receipt->state == HF_RECEIPT_LATER) {
		cells[ACKNOWLEDGED] = hf_cell_time(receipt->sent_ms + receipt->took_ms);
	}
	if (found) {
		cells[FROM] = hf_cell_text(entry.identity);
		cells[TOPIC] = hf_cell_text(entry.topic);
		cells[BYTES] = hf_cell_number(entry.payload_size);
		cells[SHA256] = hf_cell_hex(entry.digest);
	}
	cells[REMOVED] = hf_cell_flag(!found || entry.stripped);
	if (reason == HF_OK) {
		*put = hf_rows_put(&seen->rows, cells);
	}
	return reason;
}

static enum hf_exit print(struct seen *seen)
{
	struct hf_cursor *cursor;
	struct hf_item item;
	bool found = true, go_on = true;
	enum hf_reason reason = hf_query_open(seen->store, &seen->audit.query, HF_SLICE_NONE, &cursor);

	if (reason == HF_OK) {
		reason = hf_records_open(seen->store, &seen->records);
	}
	while (reason == HF_OK && found && go_on) {
		reason = hf_query_next(cursor, &item, &found);
		for (uint64_t i = 0; reason == HF_OK && found && go_on && i < item.receipt.count; i++) {
			reason = put(seen, &item, item.receipt.first + i, &go_on);
		}
	}
	hf_query_close(cursor);
	hf_records_close(seen->records);
	if (seen->log) {
		hf_log_release(seen->log);
	}
	hf_rows_end(&seen->rows);
	enum hf_exit status = hf_output_end();
	if (reason != HF_OK) {
		hf_audit_complain(seen->store, &seen->audit.query, reason);
		return HF_EXIT_FAILED;
	}
	return go_on || ferror(stdout) ? status : HF_EXIT_FAILED;
}

/* ---- options */

/* The states of what was put on its way. */
static uint32_t was_sent(void)
{
	static const char *const kinds[] = {
		"sent", "unacknowledged", "acknowledged", "acknowledged-later", "rejected", "answered"};
	struct hf_query query = hf_query_any();

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		(void)hf_query_add_kind(&query, hf_slice_of(kinds[i]));
	}
	return query.receipt_states;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct seen *seen = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &seen->audit;
		return 0;
	case 'S':
		seen->audit.query.session = hf_slice_of(hf_session_argument(state, arg));
		return 0;
	case 'a':
		seen->audit.query.receipt_states = UINT32_C(1) << HF_RECEIPT_ACKNOWLEDGED | UINT32_C(1) << HF_RECEIPT_LATER;
		return 0;
	case 'h':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num > 0 || *arg == '\0') {
			argp_error(state, state->arg_num > 0 ? "too many arguments: %s" : "an identity is not empty%s", arg);
		}
		seen->audit.query.identity = hf_slice_of(arg);
		return 0;
	case ARGP_KEY_END:
		if (seen->audit.query.identity.len == 0) {
			argp_error(state, "by whom? Name an identity");
		}
		if (seen->audit.query.receipt_states == 0) {
			seen->audit.query.receipt_states = was_sent();
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
	struct seen seen = {.log = NULL};
	enum hf_exit status = HF_EXIT_FAILED;

	if (argp_parse(&argp, argc, argv, 0, NULL, &seen)) {
		return HF_EXIT_USAGE;
	}
	seen.rows = (struct hf_rows){
		.format = seen.audit.format,
		.names = names,
		.count = COLUMN_COUNT,
		.table = table,
		.table_count = sizeof(table) / sizeof(table[0]),
	};
	seen.store = hf_audit_store_open(&seen.audit);
	if (seen.store) {
		status = print(&seen);
		hf_store_close(seen.store);
	}
	return (int)status;
}
