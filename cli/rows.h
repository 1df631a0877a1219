/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows for people and programs: a table, JSON lines, or CSV (RFC 4180). In CSV a text that a spreadsheet would take for
 * a formula has an apostrophe in front. */
#ifndef HF_CLI_ROWS_H
#define HF_CLI_ROWS_H

#include "query/cells.h"

enum hf_format { HF_FORMAT_TABLE, HF_FORMAT_JSON, HF_FORMAT_CSV };

/* "table", "json", "csv". False: none of them. */
bool hf_format_parse(const char *name, enum hf_format *out);

/* A column of the table. */
struct hf_table_column {
	size_t cell;
	const char *heading; /* printed in capitals */
	int width;           /* at least */
};

struct hf_rows {
	enum hf_format format;
	const char *const *names; /* of the cells, in JSON and CSV */
	size_t count;             /* of them; what stands behind is for the table alone */
	const struct hf_table_column *table;
	size_t table_count;
	uint64_t printed; /* rows */
};

/* Print one row on standard output; before the first the heading. False: no memory (it is said), or standard output
 * takes no more. */
bool hf_rows_put(struct hf_rows *rows, const struct hf_cell *cells);

/* Print the heading where no row did: of an empty CSV file. */
void hf_rows_end(struct hf_rows *rows);

/* Print a document to standard output, a line of its own or (pretty) several. False: no memory, as where `json` is
 * NULL; that was said. */
bool hf_json_print(const cJSON *json, bool pretty);

#endif
