/* SPDX-License-Identifier: BSD-3-Clause */
#include "audit_rows.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "audit.h"
#include "codec/digest.h"
#include "codec/times.h"
#include "command.h"
#include "options.h"
#include "store_option.h"

/* ---- columns */

#define COLUMNS(X)                                                                                                     \
	X(TIME, "time", 24, false)                                                                                         \
	X(KIND, "kind", 12, false)                                                                                         \
	X(SESSION, "session", 12, false)                                                                                   \
	X(OFFSET, "offset", 6, false)                                                                                      \
	X(IDENTITY, "identity", 12, false)                                                                                 \
	X(DEVICE, "device", 14, false)                                                                                     \
	X(WHAT, "what", 1, true)                                                                                           \
	X(STATE, "state", 0, false)                                                                                        \
	X(RESENT, "resent", 0, false)                                                                                      \
	X(ACKNOWLEDGED, "acknowledged", 0, false)                                                                          \
	X(ROLE, "role", 0, false)                                                                                          \
	X(ADDRESS, "address", 0, false)                                                                                    \
	X(TOPIC, "topic", 0, false)                                                                                        \
	X(ACT, "act", 0, false)                                                                                            \
	X(REASON, "reason", 0, false)                                                                                      \
	X(DETAIL, "detail", 0, false)                                                                                      \
	X(BY, "by", 0, false)                                                                                              \
	X(PROTOCOL, "protocol", 0, false)                                                                                  \
	X(PORT, "port", 0, false)                                                                                          \
	X(FIRST, "first", 0, false)                                                                                        \
	X(LAST, "last", 0, false)                                                                                          \
	X(TIMES, "count", 0, false)                                                                                        \
	X(QOS, "qos", 0, false)                                                                                            \
	X(BYTES, "bytes", 0, false)                                                                                        \
	X(SHA256, "sha256", 0, false)                                                                                      \
	X(REMOVED, "removed", 0, false)                                                                                    \
	X(ID, "id", 0, false)                                                                                              \
	X(TEXT, "text", 0, false)                                                                                          \
	X(KEY, "key", 0, false)                                                                                            \
	X(SIGNATURE, "signature", 0, false)

enum column {
#define COLUMN_NUMBER(number, name, width, table_only) COLUMN_##number,
	COLUMNS(COLUMN_NUMBER)
#undef COLUMN_NUMBER
		COLUMN_COUNT
};

static const struct hf_column columns[COLUMN_COUNT] = {
#define COLUMN(number, name, width, table_only) {name, width, table_only},
	COLUMNS(COLUMN)
#undef COLUMN
};

/* ---- words for the table */

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

static void describe_record(struct words *words, const struct hf_audit *record)
{
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

/* ---- cells */

static void fill_entry(struct hf_cell *cells, const struct hf_entry *entry)
{
	cells[COLUMN_KIND] = hf_cell_text(hf_slice_of("published"));
	cells[COLUMN_SESSION] = hf_cell_text(entry->session);
	cells[COLUMN_OFFSET] = hf_cell_number(entry->offset);
	cells[COLUMN_IDENTITY] = hf_cell_text(entry->identity);
	cells[COLUMN_DEVICE] = hf_cell_text(entry->device);
	cells[COLUMN_ROLE] = hf_cell_text(hf_slice_of(hf_role_name(entry->role)));
	cells[COLUMN_ADDRESS] = hf_cell_text(entry->address);
	cells[COLUMN_TOPIC] = hf_cell_text(entry->topic);
	cells[COLUMN_QOS] = hf_cell_number(entry->qos);
	cells[COLUMN_BYTES] = hf_cell_number(entry->payload_size);
	cells[COLUMN_SHA256] = hf_cell_hex(entry->digest);
	cells[COLUMN_REMOVED] = hf_cell_flag(entry->stripped);
	cells[COLUMN_ID] = hf_cell_text(entry->id);
}

static void fill_who(struct hf_cell *cells, const struct hf_audit *record)
{
	cells[COLUMN_SESSION] = hf_cell_text(record->session);
	cells[COLUMN_IDENTITY] = hf_cell_text(record->identity);
	cells[COLUMN_DEVICE] = hf_cell_text(record->device);
	cells[COLUMN_ADDRESS] = hf_cell_text(record->address);
}

static void fill_record(struct hf_cell *cells, const struct hf_audit *record)
{
	const char *name = hf_audit_kind_name(record->kind);

	fill_who(cells, record);
	cells[COLUMN_KIND] = hf_cell_text(hf_slice_of(*name ? name : "unknown"));
	cells[COLUMN_TOPIC] = hf_cell_text(record->topic);
	cells[COLUMN_ACT] = hf_cell_text(record->act);
	cells[COLUMN_REASON] = hf_cell_text(record->reason);
	cells[COLUMN_DETAIL] = hf_cell_text(record->detail);
	cells[COLUMN_BY] = hf_cell_text(record->by);
	cells[COLUMN_PROTOCOL] = hf_cell_text(record->protocol);
	cells[COLUMN_PORT] = hf_cell_count(record->port);
	cells[COLUMN_FIRST] = hf_cell_count(record->first);
	cells[COLUMN_LAST] = hf_cell_count(record->last);
	cells[COLUMN_TIMES] = hf_cell_count(record->count);
	cells[COLUMN_TEXT] = hf_cell_text(record->text);
	cells[COLUMN_KEY] = hf_cell_hex(record->key);
	cells[COLUMN_SIGNATURE] = hf_cell_hex(record->signature);
}

static void fill_receipt(struct hf_cell *cells, const struct hf_audit *record, const struct hf_device_receipt *receipt)
{
	fill_who(cells, record);
	cells[COLUMN_KIND] = hf_cell_text(hf_slice_of(hf_audit_kind_name(HF_AUDIT_DELIVERED)));
	cells[COLUMN_OFFSET] = hf_cell_number(receipt->first);
	cells[COLUMN_STATE] = hf_cell_text(hf_slice_of(hf_receipt_state_name(receipt->state)));
	cells[COLUMN_RESENT] = hf_cell_flag(receipt->again);
	if (receipt->count > 1) {
		cells[COLUMN_FIRST] = hf_cell_number(receipt->first);
		cells[COLUMN_LAST] = hf_cell_number(receipt->first + receipt->count - 1);
	}
	if (receipt->state == HF_RECEIPT_ACKNOWLEDGED) {
		cells[COLUMN_ACKNOWLEDGED] = hf_cell_time(receipt->sent_ms + receipt->took_ms);
	} else if (receipt->state == HF_RECEIPT_LATER) {
		cells[COLUMN_ACKNOWLEDGED] = hf_cell_time(receipt->sent_ms);
	}
}

static bool put_item(struct hf_rows *rows, const struct hf_item *item)
{
	struct hf_cell cells[COLUMN_COUNT] = {{.type = HF_CELL_NONE}};
	struct words words = {.len = 0};

	switch (item->type) {
	case HF_ITEM_ENTRY:
		fill_entry(cells, &item->entry);
		describe_entry(&words, &item->entry);
		break;
	case HF_ITEM_RECORD:
		fill_record(cells, &item->record);
		describe_record(&words, &item->record);
		break;
	case HF_ITEM_RECEIPT:
		fill_receipt(cells, &item->record, &item->receipt);
		describe_receipt(&words, &item->receipt);
		break;
	}
	cells[COLUMN_TIME] = hf_cell_time(item->time_ms);
	cells[COLUMN_WHAT] = hf_cell_text(hf_slice_from(words.text, words.len));
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
	struct hf_rows rows = {.format = options->format, .columns = columns, .count = COLUMN_COUNT};
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
