/* SPDX-License-Identifier: BSD-3-Clause */
#include "rows.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "safe.h"

bool hf_format_parse(const char *name, enum hf_format *out)
{
	static const char *const names[] = {
		[HF_FORMAT_TABLE] = "table", [HF_FORMAT_JSON] = "json", [HF_FORMAT_CSV] = "csv"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) == 0) {
			*out = (enum hf_format)i;
			return true;
		}
	}
	return false;
}

/* ---- JSON */

bool hf_json_print(const cJSON *json, bool pretty)
{
	char *text = !json ? NULL : pretty ? cJSON_Print(json) : cJSON_PrintUnformatted(json);

	if (text) {
		puts(text);
	} else {
		hf_complain("out of memory");
	}
	cJSON_free(text);
	return text;
}

static bool put_json(const struct hf_rows *rows, const struct hf_cell *cells)
{
	cJSON *object = hf_cells_json(rows->names, cells, rows->count);
	bool printed = hf_json_print(object, false);

	cJSON_Delete(object);
	return printed;
}

/* ---- CSV */

/* What a spreadsheet would take for a formula. Names are chosen by those whom the rows are about. */
static bool is_formula(struct hf_slice text)
{
	return text.len > 0 && text.data[0] != '\0' && strchr("=+-@\t\r", text.data[0]);
}

static void put_field(struct hf_slice text)
{
	bool plain = !is_formula(text);

	for (size_t i = 0; plain && i < text.len; i++) {
		plain = strchr("\",\r\n", text.data[i]) == NULL || text.data[i] == '\0';
	}
	if (plain) {
		fwrite(text.data, 1, text.len, stdout);
		return;
	}
	fputs(is_formula(text) ? "\"'" : "\"", stdout);
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == '"') {
			putchar('"');
		}
		putchar(text.data[i]);
	}
	putchar('"');
}

static void put_csv(const struct hf_rows *rows, const struct hf_cell *cells)
{
	char scratch[HF_CELL_SIZE];

	for (size_t i = 0; i < rows->count; i++) {
		fputs(i > 0 ? "," : "", stdout);
		put_field(cells ? hf_cell_string(&cells[i], scratch) : hf_slice_of(rows->names[i]));
	}
	fputs("\r\n", stdout);
}

/* ---- the table */

/* How wide a text is, about: a character for each code point. */
static int width_of(struct hf_slice text)
{
	int width = 0;

	for (size_t i = 0; i < text.len; i++) {
		width += ((unsigned char)text.data[i] & 0xc0) != 0x80;
	}
	return width;
}

static struct hf_slice heading_of(const struct hf_table_column *column, char scratch[HF_CELL_SIZE])
{
	size_t len = strnlen(column->heading, HF_CELL_SIZE);

	for (size_t i = 0; i < len; i++) {
		scratch[i] = (char)toupper((unsigned char)column->heading[i]);
	}
	return hf_slice_from(scratch, len);
}

static void put_table(const struct hf_rows *rows, const struct hf_cell *cells)
{
	char scratch[HF_CELL_SIZE];
	int owed = 0; /* spaces, so that none are at the end of a line */

	for (size_t i = 0; i < rows->table_count; i++) {
		const struct hf_table_column *column = &rows->table[i];
		struct hf_slice text = cells ? hf_cell_string(&cells[column->cell], scratch) : heading_of(column, scratch);
		if (text.len > 0) {
			printf("%*s", owed, "");
			hf_write_safe_line(stdout, text);
			owed = 0;
		}
		int width = width_of(text);
		owed += (width < column->width ? column->width - width : 0) + 2;
	}
	putchar('\n');
}

/* ---- */

static void put_heading(struct hf_rows *rows)
{
	if (rows->format == HF_FORMAT_CSV) {
		put_csv(rows, NULL);
	} else if (rows->format == HF_FORMAT_TABLE) {
		put_table(rows, NULL);
	}
}

bool hf_rows_put(struct hf_rows *rows, const struct hf_cell *cells)
{
	bool put = true;

	if (rows->printed++ == 0) {
		put_heading(rows);
	}
	if (rows->format == HF_FORMAT_JSON) {
		put = put_json(rows, cells);
	} else if (rows->format == HF_FORMAT_CSV) {
		put_csv(rows, cells);
	} else {
		put_table(rows, cells);
	}
	return put && !ferror(stdout);
}

void hf_rows_end(struct hf_rows *rows)
{
	if (rows->printed == 0 && rows->format == HF_FORMAT_CSV) {
		put_heading(rows);
	}
}
