/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows of answers, as cells: made once (rows.h), shown as a JSON object, a line of CSV, or a line of a table. */
#ifndef HF_QUERY_CELLS_H
#define HF_QUERY_CELLS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/slice.h"

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
	struct hf_slice text; /* borrowed */
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

/* What it says, as text; it may be written to `scratch`. */
#define HF_CELL_HEX_MAX 64 /* bytes that are shown: keys, signatures, digests */
#define HF_CELL_SIZE (2 * HF_CELL_HEX_MAX + 1)
struct hf_slice hf_cell_string(const struct hf_cell *cell, char scratch[HF_CELL_SIZE]);

/* A row as a JSON object, which the caller owns: its cells under their names (which must live as long), in their order;
 * text that is not UTF-8 in base64. NULL: no memory. */
cJSON *hf_cells_json(const char *const *names, const struct hf_cell *cells, size_t count);

#endif
