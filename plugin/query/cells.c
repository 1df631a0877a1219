/* SPDX-License-Identifier: BSD-3-Clause */
#include "query/cells.h"

#include <inttypes.h>
#include <stdio.h>

#include "codec/json.h"
#include "codec/times.h"

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

struct hf_slice hf_cell_string(const struct hf_cell *cell, char scratch[HF_CELL_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	size_t len;

	switch (cell->type) {
	case HF_CELL_TEXT:
		return cell->text;
	case HF_CELL_HEX:
		len = cell->text.len < HF_CELL_HEX_MAX ? cell->text.len : HF_CELL_HEX_MAX;
		for (size_t i = 0; i < len; i++) {
			unsigned char byte = (unsigned char)cell->text.data[i];
			scratch[2 * i] = digits[byte >> 4];
			scratch[2 * i + 1] = digits[byte & 15];
		}
		return hf_slice_from(scratch, 2 * len);
	case HF_CELL_NUMBER:
		snprintf(scratch, HF_CELL_SIZE, "%" PRIu64, cell->number);
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

static cJSON *json_of(const struct hf_cell *cell)
{
	char scratch[HF_CELL_SIZE];
	struct hf_slice text = hf_cell_string(cell, scratch);

	if (cell->type == HF_CELL_NUMBER) {
		return hf_json_from_u64(cell->number);
	}
	if (cell->type == HF_CELL_TRUE) {
		return cJSON_CreateTrue();
	}
	cJSON *json = hf_json_from_text(text);
	return json ? json : hf_json_from_bytes(text); /* client ids need not be UTF-8 in MQTT 3.1 */
}

cJSON *hf_cells_json(const char *const *names, const struct hf_cell *cells, size_t count)
{
	cJSON *object = cJSON_CreateObject();
	bool made = object;

	for (size_t i = 0; made && i < count; i++) {
		if (cells[i].type == HF_CELL_NONE) {
			continue;
		}
		cJSON *value = json_of(&cells[i]);
		made = value && cJSON_AddItemToObjectCS(object, names[i], value);
		if (!made) {
			cJSON_Delete(value);
		}
	}
	if (!made) {
		cJSON_Delete(object);
		return NULL;
	}
	return object;
}
