/* SPDX-License-Identifier: BSD-3-Clause */
/* Turns of a transcript as JSON, by schemas/transcript.cddl. */
#include <stdio.h>

#include "codec/json.h"
#include "codec/times.h"
#include "query/transcript.h"

static bool add_text(cJSON *object, const char *name, struct hf_slice text)
{
	if (text.len == 0) {
		return true;
	}
	cJSON *value = hf_json_from_text(text);
	return hf_json_add(object, name, value ? value : hf_json_from_bytes(text));
}

static bool add_time(cJSON *object, const char *name, int64_t time_ms)
{
	char time[HF_TIME_SIZE];

	return hf_json_add(object, name, cJSON_CreateString(hf_time_print(time_ms, time)));
}

static bool add_digests(cJSON *object, const struct hf_turn *turn)
{
	cJSON *array = turn->digests.len > 0 ? cJSON_AddArrayToObject(object, "sha256") : NULL;
	char hex[2 * HF_DIGEST_SIZE + 1];

	for (size_t i = 0; i + HF_DIGEST_SIZE <= turn->digests.len; i += HF_DIGEST_SIZE) {
		for (size_t j = 0; j < HF_DIGEST_SIZE; j++) {
			snprintf(hex + 2 * j, 3, "%02x", turn->digests.data[i + j]);
		}
		cJSON *digest = cJSON_CreateString(hex);
		if (!array || !digest || !cJSON_AddItemToArray(array, digest)) {
			cJSON_Delete(digest);
			return false;
		}
	}
	return true;
}

static bool add_receipt(cJSON *array, const struct hf_transcript *transcript, const struct hf_turn *turn,
	const struct hf_turn_receipts *receipts)
{
	const struct hf_turn_device *device = transcript->numbered[receipts->key.device];
	struct hf_turn_fate fate = hf_turn_fate(turn, receipts);
	cJSON *object = cJSON_CreateObject();
	bool made =
		object && add_text(object, "identity", device->identity) && add_text(object, "device", device->device) &&
		hf_json_add(object, "state", cJSON_CreateString(fate.state)) &&
		hf_json_add(object, "entries", hf_json_from_u64(fate.count)) && add_time(object, "sent", receipts->first_ms) &&
		(!fate.acknowledged || add_time(object, "acknowledged", receipts->settled_ms)) &&
		(receipts->again == 0 || hf_json_add(object, "resent", cJSON_CreateTrue()));

	if (!made || !cJSON_AddItemToArray(array, object)) {
		cJSON_Delete(object);
		return false;
	}
	return true;
}

static bool add_receipts(
	cJSON *object, const struct hf_transcript *transcript, const struct hf_turn *turn, size_t *left)
{
	cJSON *array = cJSON_AddArrayToObject(object, "receipts");
	size_t count = turn->receipt_count < *left ? turn->receipt_count : *left;
	bool added = array;

	for (size_t i = 0; added && i < count; i++) {
		added = add_receipt(array, transcript, turn, turn->receipts[i]);
	}
	*left -= count;
	return added && (count == turn->receipt_count ||
						hf_json_add(object, "more_receipts", hf_json_from_u64(turn->receipt_count - count)));
}

static bool add_flag(cJSON *object, const char *name, bool flag)
{
	return !flag || hf_json_add(object, name, cJSON_CreateTrue());
}

/* Who, when, and which entries. */
static bool add_place(cJSON *object, const struct hf_turn *turn)
{
	return hf_json_add(object, "offset", hf_json_from_u64(turn->first)) &&
		   hf_json_add(object, "last", hf_json_from_u64(turn->last)) &&
		   hf_json_add(object, "entries", hf_json_from_u64(turn->count)) && add_time(object, "time", turn->time_ms) &&
		   add_time(object, "until", turn->until_ms) &&
		   hf_json_add(object, "kind", cJSON_CreateString(hf_kind_name(turn->kind))) &&
		   add_text(object, "topic", turn->topic) && add_text(object, "from", turn->from) &&
		   hf_json_add(object, "role", cJSON_CreateString(hf_role_name(turn->role))) &&
		   add_text(object, "device", turn->device);
}

/* What it belongs to. */
static bool add_thread(cJSON *object, const struct hf_turn *turn)
{
	return add_text(object, "response", turn->response) && add_text(object, "response_kind", turn->response_kind) &&
		   add_flag(object, "continued", turn->continued) &&
		   (!turn->end || hf_json_add(object, "end", cJSON_CreateString(turn->end))) &&
		   add_text(object, "closed", turn->closed) && add_text(object, "question", turn->question) &&
		   (turn->answers == 0 || hf_json_add(object, "answers", hf_json_from_u64(turn->answers)));
}

static bool add_payload(cJSON *object, const struct hf_turn *turn)
{
	return add_text(object, "type", turn->type) && hf_json_add(object, "bytes", hf_json_from_u64(turn->bytes)) &&
		   add_text(object, "text", hf_buffer_slice(&turn->text)) && add_flag(object, "binary", turn->binary) &&
		   add_flag(object, "removed", turn->removed) && add_flag(object, "withheld", turn->withheld) &&
		   add_flag(object, "large", turn->large) && add_digests(object, turn);
}

cJSON *hf_turn_json(const struct hf_transcript *transcript, const struct hf_turn *turn, size_t *receipts_left)
{
	cJSON *object = cJSON_CreateObject();
	bool made = object && add_place(object, turn) && add_thread(object, turn) && add_payload(object, turn) &&
				add_receipts(object, transcript, turn, receipts_left);

	if (!made) {
		cJSON_Delete(object);
		return NULL;
	}
	return object;
}
