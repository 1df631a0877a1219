/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows for people and programs: a table, JSON lines, or CSV (RFC 4180). */
#ifndef HF_CLI_ROWS_H
#define HF_CLI_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/slice.h"

enum hf_format { HF_FORMAT_TABLE, HF_FORMAT_JSON, HF_FORMAT_CSV };

/* "table", "json", "csv". False: none of them. */
bool hf_format_parse(const char *name, enum hf_format *out);

struct hf_column {
	const char *name; /* in JSON and CSV; the heading of the table has it in capitals */
	int width;        /* in the table, at least; 0: it is not there */
	bool table_only;  /* words for people */
};

enum hf_cell_type {
	HF_CELL_NONE, /* nothing: left out of a JSON object */
	HF_CELL_TEXT,
	HF_CELL_HEX, /* bytes, shown as such */
	HF_CELL_NUMBER,
	HF_CELL_TIME, /* Unix ms */
	HF_CELL_TRUE,
};

struct hf_cell {
	enum hf_cell_type type;
	struct hf_slice text;
	uint64_t number;
	int64_t time_ms;
};

/* Cells; one of an empty text or of 0 is none. */
struct hf_cell hf_cell_text(struct hf_slice text);
struct hf_cell hf_cell_hex(struct hf_slice bytes);
struct hf_cell hf_cell_number(uint64_t number); /* 0 is 0 */
struct hf_cell hf_cell_count(uint64_t number);  /* 0 is none */
struct hf_cell hf_cell_time(int64_t time_ms);
struct hf_cell hf_cell_flag(bool flag);

struct hf_rows {
	enum hf_format format;
	const struct hf_column *columns;
	size_t count;
	uint64_t printed; /* rows */
};

/* Print one row on standard output, as many cells as there are columns; before the first the heading. False: no memory
 * (it is said), or standard output takes no more. */
bool hf_rows_put(struct hf_rows *rows, const struct hf_cell *cells);

/* Text of others on standard output, in one line, harmless to a terminal. */
void hf_rows_put_text(struct hf_slice text);

/* Print the heading where no row did: of an empty CSV file. */
void hf_rows_end(struct hf_rows *rows);

#endif
