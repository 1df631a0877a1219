/* SPDX-License-Identifier: BSD-3-Clause */
#include "rows.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cbor_json.h"
#include "codec/times.h"
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

/* ---- cells */

struct hf_cell hf_cell_text(struct hf_slice text)
{
	return (struct hf_cell){.type = text.len > 0 ? HF_CELL_TEXT : HF_CELL_NONE, .text = text};
}

struct hf_cell hf_cell_hex(struct hf_slice bytes)
{
	return (struct hf_cell){.type = bytes.len > 0 ? HF_CELL_HEX : HF_CELL_NONE, .text = bytes};
}

struct hf_cell hf_cell_number(uint64_t number)
{
	return (struct hf_cell){.type = HF_CELL_NUMBER, .number = number};
}

struct hf_cell hf_cell_count(uint64_t number)
{
	return (struct hf_cell){.type = number > 0 ? HF_CELL_NUMBER : HF_CELL_NONE, .number = number};
}

struct hf_cell hf_cell_time(int64_t time_ms)
{
	return (struct hf_cell){.type = HF_CELL_TIME, .time_ms = time_ms};
}

struct hf_cell hf_cell_flag(bool flag)
{
	return (struct hf_cell){.type = flag ? HF_CELL_TRUE : HF_CELL_NONE};
}

#define HEX_MAX 64 /* bytes: keys, signatures, digests */
#define TEXT_SIZE (2 * HEX_MAX + 1)

/* Its text, which may be written to `scratch`. */
static struct hf_slice text_of(const struct hf_cell *cell, char scratch[TEXT_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	size_t len;

	switch (cell->type) {
	case HF_CELL_TEXT:
		return cell->text;
	case HF_CELL_HEX:
		len = cell->text.len < HEX_MAX ? cell->text.len : HEX_MAX;
		for (size_t i = 0; i < len; i++) {
			unsigned char byte = (unsigned char)cell->text.data[i];
			scratch[2 * i] = digits[byte >> 4];
			scratch[2 * i + 1] = digits[byte & 15];
		}
		return hf_slice_from(scratch, 2 * len);
	case HF_CELL_NUMBER:
		snprintf(scratch, TEXT_SIZE, "%" PRIu64, cell->number);
		return hf_slice_of(scratch);
	case HF_CELL_TIME:
		return hf_slice_of(hf_time_print(cell->time_ms, scratch));
	case HF_CELL_TRUE:
		return hf_slice_of("true");
	case HF_CELL_NONE:
		break;
	}
	return HF_SLICE_NONE;
}

/* ---- JSON */

static cJSON *json_of(const struct hf_cell *cell)
{
	char scratch[TEXT_SIZE];
	struct hf_slice text = text_of(cell, scratch);

	if (cell->type == HF_CELL_NUMBER) {
		return hf_json_from_u64(cell->number);
	}
	if (cell->type == HF_CELL_TRUE) {
		return cJSON_CreateTrue();
	}
	cJSON *json = hf_json_from_text(text);
	return json ? json : hf_json_from_bytes(text); /* client ids need not be UTF-8 in MQTT 3.1 */
}

static bool put_json(const struct hf_rows *rows, const struct hf_cell *cells)
{
	cJSON *object = cJSON_CreateObject();
	bool made = object;

	for (size_t i = 0; made && i < rows->count; i++) {
		if (cells[i].type == HF_CELL_NONE || rows->columns[i].table_only) {
			continue;
		}
		cJSON *value = json_of(&cells[i]);
		made = value && cJSON_AddItemToObjectCS(object, rows->columns[i].name, value);
		if (!made) {
			cJSON_Delete(value);
		}
	}
	bool printed = hf_json_print(made ? object : NULL, false);

	cJSON_Delete(object);
	return printed;
}

/* ---- CSV */

static void put_field(struct hf_slice text)
{
	bool plain = true;

	for (size_t i = 0; plain && i < text.len; i++) {
		plain = strchr("\",\r\n", text.data[i]) == NULL || text.data[i] == '\0';
	}
	if (plain) {
		fwrite(text.data, 1, text.len, stdout);
		return;
	}
	putchar('"');
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
	char scratch[TEXT_SIZE];
	const char *between = "";

	for (size_t i = 0; i < rows->count; i++) {
		if (!rows->columns[i].table_only) {
			fputs(between, stdout);
			put_field(cells ? text_of(&cells[i], scratch) : hf_slice_of(rows->columns[i].name));
			between = ",";
		}
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

void hf_rows_put_text(struct hf_slice text)
{
	size_t start = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == '\n' || text.data[i] == '\t') {
			hf_write_safe(stdout, hf_slice_from(text.data + start, i - start), "");
			fputs(text.data[i] == '\n' ? "\u240a" : "\u2409", stdout);
			start = i + 1;
		}
	}
	hf_write_safe(stdout, hf_slice_from(text.data + start, text.len - start), "");
}

static void put_table(const struct hf_rows *rows, const struct hf_cell *cells)
{
	char scratch[TEXT_SIZE], heading[32];
	int owed = 0; /* spaces, so that none are at the end of a line */

	for (size_t i = 0; i < rows->count; i++) {
		struct hf_slice text;
		if (rows->columns[i].width == 0) {
			continue;
		}
		if (cells) {
			text = text_of(&cells[i], scratch);
		} else {
			size_t len = strlen(rows->columns[i].name);
			for (size_t j = 0; j < len && j < sizeof(heading); j++) {
				heading[j] = (char)toupper((unsigned char)rows->columns[i].name[j]);
			}
			text = hf_slice_from(heading, len < sizeof(heading) ? len : sizeof(heading));
		}
		if (text.len > 0) {
			printf("%*s", owed, "");
			hf_rows_put_text(text);
			owed = 0;
		}
		int width = width_of(text);
		owed += (width < rows->columns[i].width ? rows->columns[i].width - width : 0) + 2;
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
