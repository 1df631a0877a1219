/* SPDX-License-Identifier: BSD-3-Clause */
#include "audit_rows.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "audit.h"
#include "codec/times.h"
#include "command.h"
#include "options.h"
#include "query/rows.h"
#include "store_option.h"

/* ---- the table */

#define WHAT HF_ITEM_FIELD_COUNT /* what it is about, in words: of the table alone */

static const struct hf_table_column table[] = {
	{HF_ITEM_TIME, "time", 24},
	{HF_ITEM_KIND, "kind", 12},
	{HF_ITEM_SESSION, "session", 12},
	{HF_ITEM_OFFSET, "offset", 6},
	{HF_ITEM_IDENTITY, "identity", 12},
	{HF_ITEM_DEVICE, "device", 14},
	{WHAT, "what", 1},
};

struct words {
	char text[1024];
	size_t len;
};

__attribute__((format(printf, 2, 3))) static void say(struct words *words, const char *format, ...)
{
	va_list arguments;
	size_t left = sizeof(words->text) - words->len;

	va_start(arguments, format);
	int len = vsnprintf(words->text + words->len, left, format, arguments);
	va_end(arguments);
	words->len += len < 0 ? 0 : (size_t)len < left ? (size_t)len : left - 1;
}

static void say_slice(struct words *words, const char *before, struct hf_slice text, const char *behind)
{
	if (text.len > 0) {
		say(words, "%s%.*s%s", before, (int)text.len, text.data, behind);
	}
}

static void describe_entry(struct words *words, const struct hf_entry *entry)
{
	say(words, "%.*s, %" PRIu32 " bytes", (int)entry->topic.len, entry->topic.data, entry->payload_size);
	say(words, entry->stripped ? ", removed since" : "");
}

/* Whose count is one of rows. */
static void describe_question(struct words *words, const struct hf_audit *record)
{
	say_slice(words, "", record->act, " ");
	say_slice(words, "", record->detail, " ");
	say(words, "from %.*s: %" PRIu64 " rows", (int)record->address.len, record->address.data, record->count);
	say_slice(words, ", with ", record->text, "");
	say_slice(words, ", ", record->reason, "");
}

static void describe_record(struct words *words, const struct hf_audit *record)
{
	if (record->kind == HF_AUDIT_ASKED) {
		describe_question(words, record);
		return;
	}
	say_slice(words, "", record->act, " ");
	say_slice(words, "", record->reason, " ");
	say_slice(words, "", record->topic, " ");
	say_slice(words, "", record->protocol, " ");
	say_slice(words, "from ", record->address, " ");
	say_slice(words, "(", record->detail, ") ");
	say_slice(words, "by ", record->by, " ");
	if (record->last > 0) {
		say(words, "%" PRIu64 " to %" PRIu64 " ", record->first, record->last);
	}
	if (record->count > 1) {
		say(words, "%" PRIu64 " times ", record->count);
	}
	while (words->len > 0 && words->text[words->len - 1] == ' ') {
		words->len--;
	}
}

static void describe_receipt(struct words *words, const struct hf_device_receipt *receipt)
{
	say(words, "%s%s", receipt->again ? "resent, " : "", hf_receipt_state_name(receipt->state));
	if (hf_receipt_is_settled(receipt->state)) {
		say(words, " after %" PRId64 " ms", receipt->took_ms);
	}
	if (receipt->count > 1) {
		say(words, ", up to offset %" PRIu64, receipt->first + receipt->count - 1);
	}
}

static bool put_item(struct hf_rows *rows, const struct hf_item *item)
{
	struct hf_cell cells[HF_ITEM_FIELD_COUNT + 1];
	struct words words = {.len = 0};

	switch (item->type) {
	case HF_ITEM_ENTRY:
		describe_entry(&words, &item->entry);
		break;
	case HF_ITEM_RECORD:
		describe_record(&words, &item->record);
		break;
	case HF_ITEM_RECEIPT:
		describe_receipt(&words, &item->receipt);
		break;
	}
	hf_item_cells(item, cells);
	cells[WHAT] = hf_cell_text(hf_slice_from(words.text, words.len));
	return hf_rows_put(rows, cells);
}

/* ---- asking */

void hf_audit_complain(struct hf_store *store, const struct hf_query *query, enum hf_reason reason)
{
	const char *fault = reason == HF_QUERY_INVALID ? hf_query_fault(query) : NULL;

	if (fault) {
		hf_complain("%s", fault);
	} else if (*hf_store_error(store)) {
		hf_complain("the store cannot be read: %s", hf_store_error(store));
	} else if (reason == HF_RECORD_CORRUPT) {
		hf_complain("a page of receipts does not decode: 'holdfast audit verify' tells whether it was changed");
	} else {
		hf_complain("%s", hf_reason_sentence(reason));
	}
}

enum hf_exit hf_audit_print(struct hf_store *store, const struct hf_audit_options *options)
{
	struct hf_rows rows = {
		.format = options->format,
		.names = hf_item_names,
		.count = HF_ITEM_FIELD_COUNT,
		.table = table,
		.table_count = sizeof(table) / sizeof(table[0]),
	};
	struct hf_cursor *cursor;
	struct hf_item item;
	bool found = true, put = true;
	enum hf_reason reason = hf_query_open(store, &options->query, HF_SLICE_NONE, &cursor);

	while (reason == HF_OK && found && put) {
		reason = hf_query_next(cursor, &item, &found);
		if (reason == HF_OK && found) {
			put = put_item(&rows, &item);
		}
	}
	hf_query_close(cursor);
	hf_rows_end(&rows);
	enum hf_exit status = hf_output_end();
	if (reason != HF_OK) {
		hf_audit_complain(store, &options->query, reason);
		return HF_EXIT_FAILED;
	}
	return put || ferror(stdout) ? status : HF_EXIT_FAILED;
}

/* ---- the store */

struct hf_store *hf_audit_store_open(const struct hf_audit_options *options)
{
	struct hf_store *store = hf_store_open_to_read(options->store);
	struct hf_audit_reader *reader;
	struct hf_audit record;
	bool found = false;

	if (!store) {
		return NULL;
	}
	enum hf_reason reason = hf_audit_reader_open(store, &reader);
	if (reason == HF_OK) {
		reason = hf_audit_after(reader, 0, &record, &found);
		hf_audit_reader_close(reader);
	}
	if (reason != HF_OK) {
		hf_audit_complain(store, &options->query, reason);
	} else if (!found) {
		hf_complain(
			"the store %s has no audit: the broker that wrote it had the option plugin_opt_audit off", options->store);
	} else {
		return store;
	}
	hf_store_close(store);
	return NULL;
}

/* ---- options */

enum { KEY_FORMAT = 0x100, KEY_FROM, KEY_TO };

static error_t parse_store(int key, char *arg, struct argp_state *state)
{
	struct hf_audit_options *audit = state->input;

	(void)arg;
	if (key != ARGP_KEY_INIT) {
		return ARGP_ERR_UNKNOWN;
	}
	audit->query = hf_query_any();
	audit->format = HF_FORMAT_TABLE;
	state->child_inputs[0] = &audit->store;
	return 0;
}

static const struct argp store_argp = {
	.parser = parse_store,
	.children = (const struct argp_child[]){{.argp = &hf_store_argp}, {0}},
};

static error_t parse_format(int key, char *arg, struct argp_state *state)
{
	struct hf_audit_options *audit = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = audit;
		return 0;
	case KEY_FORMAT:
		if (!hf_format_parse(arg, &audit->format)) {
			argp_error(state, "--format: there are table, json and csv, not '%s'", arg);
		}
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option format_options[] = {
	{.name = "format", .key = KEY_FORMAT, .arg = "FORMAT", .doc = "table, json (an object a line) or csv"},
	{0},
};

const struct argp hf_audit_format_argp = {
	.options = format_options,
	.parser = parse_format,
	.children = (const struct argp_child[]){{.argp = &store_argp}, {0}},
};

static const struct argp_option options[] = {
	{.name = "from", .key = KEY_FROM, .arg = "TIME", .doc = "What happened at this time or later"},
	{.name = "to",
		.key = KEY_TO,
		.arg = "TIME",
		.doc = "What happened until then. Times are ISO 8601, UTC: 2026-01-31T12:00:00.123Z; what is left out at the "
			   "end, such as the time of day, means all of it"},
	{0},
};

static int64_t time_argument(struct argp_state *state, const char *name, const char *text, bool last)
{
	int64_t first_ms = 0, last_ms = 0;

	if (!hf_time_parse(text, &first_ms, &last_ms)) {
		argp_error(state, "--%s: '%s' is not a time such as 2026-01-31, 2026-01-31T12:00 or 2026-01-31T12:00:00.123Z",
			name, text);
	}
	return last ? last_ms : first_ms;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct hf_audit_options *audit = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = audit;
		return 0;
	case KEY_FROM:
		audit->query.from_ms = time_argument(state, "from", arg, false);
		return 0;
	case KEY_TO:
		audit->query.to_ms = time_argument(state, "to", arg, true);
		return 0;
	case ARGP_KEY_END:
		if (audit->query.from_ms > audit->query.to_ms) {
			argp_error(state, "%s", hf_query_fault(&audit->query));
		}
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp hf_audit_argp = {
	.options = options,
	.parser = parse,
	.children = (const struct argp_child[]){{.argp = &hf_audit_format_argp}, {0}},
};

const struct argp hf_audit_time_argp = {
	.options = options,
	.parser = parse,
	.children = (const struct argp_child[]){{.argp = &store_argp}, {0}},
};
