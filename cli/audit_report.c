/* SPDX-License-Identifier: BSD-3-Clause */
/* holdfast audit report: how much of what there was. */
#include <argp.h>
#include <stdio.h>

#include "audit.h"
#include "audit_rows.h"
#include "options.h"
#include "query/rows.h"

static const struct hf_table_column table[] = {
	{HF_COUNTED_BY, "by", 8},
	{HF_COUNTED_SESSION, "session", 12},
	{HF_COUNTED_IDENTITY, "identity", 12},
	{HF_COUNTED_ACT, "act", 9},
	{HF_COUNTED_REASON, "reason", 14},
	{HF_COUNTED_PUBLISHED, "published", 9},
	{HF_COUNTED_BYTES, "bytes", 9},
	{HF_COUNTED_SENT, "sent", 9},
	{HF_COUNTED_ACKNOWLEDGED, "acknowledged", 12},
	{HF_COUNTED_RESENT, "resent", 6},
	{HF_COUNTED_REJECTED, "rejected", 8},
	{HF_COUNTED_ANSWERED, "answered", 8},
	{HF_COUNTED_TOO_LARGE, "too-large", 9},
	{HF_COUNTED_GONE, "gone", 4},
	{HF_COUNTED_CONNECTED, "connected", 9},
	{HF_COUNTED_REFUSED, "refused", 7},
	{HF_COUNTED_ASKED, "asked", 5},
};

static bool put(struct hf_rows *rows, const struct hf_count *count)
{
	struct hf_cell cells[HF_COUNT_FIELD_COUNT];

	hf_count_cells(count, cells);
	return hf_rows_put(rows, cells);
}

static enum hf_exit print(struct hf_store *store, const struct hf_audit_options *audit)
{
	struct hf_rows rows = {
		.format = audit->format,
		.names = hf_count_names,
		.count = HF_COUNT_FIELD_COUNT,
		.table = table,
		.table_count = sizeof(table) / sizeof(table[0]),
	};
	struct hf_report report;
	bool printed = true;
	enum hf_reason reason = hf_report_make(store, &audit->query, &report);

	if (reason != HF_OK) {
		hf_audit_complain(store, &audit->query, reason);
	}
	for (const struct hf_count *count = report.counts; reason == HF_OK && printed && count; count = count->hh.next) {
		printed = put(&rows, count);
	}
	hf_report_free(&report);
	enum hf_exit status = hf_output_end();
	return reason == HF_OK && (printed || ferror(stdout)) ? status : HF_EXIT_FAILED;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct hf_audit_options *audit = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = audit;
		return 0;
	case 'S':
		audit->query.session = hf_slice_of(hf_session_argument(state, arg));
		return 0;
	case 'i':
		audit->query.identity = hf_name_argument(state, "identity", arg);
		return 0;
	case 'h':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "too many arguments: %s", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{.name = "session", .key = 'S', .arg = "SESSION", .doc = "Of this session"},
	{.name = "identity", .key = 'i', .arg = "IDENTITY", .doc = "Of this identity"},
	{.name = NULL, .key = 'h', .flags = OPTION_HIDDEN, .doc = ""},
	{0},
};

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.children = (const struct argp_child[]){{.argp = &hf_audit_argp}, {0}},
	.doc =
		"Count what was published, sent, acknowledged, refused and asked: in all, by session, by identity, by reason."
		"\vWhat is sent is counted for each device: an entry that went to two of them counts twice, and once more "
		"under "
		"'resent' when it was sent again.\n\n"
		"Exit status: 0 done, 1 failed, 2 wrong usage.",
};

int hf_audit_command_report(int argc, char **argv)
{
	struct hf_audit_options audit;
	enum hf_exit status = HF_EXIT_FAILED;

	if (argp_parse(&argp, argc, argv, 0, NULL, &audit)) {
		return HF_EXIT_USAGE;
	}
	struct hf_store *store = hf_audit_store_open(&audit);
	if (store) {
		status = print(store, &audit);
		hf_store_close(store);
	}
	return (int)status;
}
