/* SPDX-License-Identifier: BSD-3-Clause */
/* A transcript as one JSON object. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "codec/json.h"
#include "codec/times.h"
#include "transcript.h"

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

static bool add_receipts(cJSON *object, const struct hf_transcript *transcript, const struct hf_turn *turn)
{
	cJSON *array = cJSON_AddArrayToObject(object, "receipts");
	bool added = array;

	for (size_t i = 0; added && i < turn->receipt_count; i++) {
		added = add_receipt(array, transcript, turn, turn->receipts[i]);
	}
	return added;
}

static cJSON *turn_object(const struct hf_transcript *transcript, const struct hf_turn *turn)
{
	cJSON *object = cJSON_CreateObject();
	bool made = object && hf_json_add(object, "offset", hf_json_from_u64(turn->first)) &&
				hf_json_add(object, "last", hf_json_from_u64(turn->last)) &&
				hf_json_add(object, "entries", hf_json_from_u64(turn->count)) &&
				add_time(object, "time", turn->time_ms) && add_time(object, "until", turn->until_ms) &&
				hf_json_add(object, "kind", cJSON_CreateString(hf_kind_name(turn->kind))) &&
				add_text(object, "topic", turn->topic) && add_text(object, "from", turn->from) &&
				hf_json_add(object, "role", cJSON_CreateString(hf_role_name(turn->role))) &&
				add_text(object, "device", turn->device) && add_text(object, "response", turn->response) &&
				add_text(object, "response_kind", turn->response_kind) &&
				(!turn->continued || hf_json_add(object, "continued", cJSON_CreateTrue())) &&
				(!turn->end || hf_json_add(object, "end", cJSON_CreateString(turn->end))) &&
				add_text(object, "closed", turn->closed) &&
				(turn->answers == 0 || hf_json_add(object, "answers", hf_json_from_u64(turn->answers))) &&
				add_text(object, "type", turn->type) && add_text(object, "text", hf_buffer_slice(&turn->text)) &&
				(!turn->binary || hf_json_add(object, "binary", cJSON_CreateTrue())) &&
				(!turn->removed || hf_json_add(object, "removed", cJSON_CreateTrue())) && add_digests(object, turn) &&
				add_receipts(object, transcript, turn);

	if (!made) {
		cJSON_Delete(object);
		return NULL;
	}
	return object;
}

bool hf_transcript_json(const struct hf_transcript *transcript)
{
	printf("{\"session\":\"%.*s\",\"entries\":%" PRIu64 ",\"turns\":[", (int)transcript->session.len,
		transcript->session.data, transcript->entries); /* ids are of harmless characters */
	for (size_t i = 0; i < transcript->count && !ferror(stdout); i++) {
		cJSON *object = turn_object(transcript, &transcript->turns[i]);
		char *text = object ? cJSON_PrintUnformatted(object) : NULL;
		cJSON_Delete(object);
		if (!text) {
			return false;
		}
		printf("%s\n%s", i > 0 ? "," : "", text);
		cJSON_free(text);
	}
	puts("\n]}");
	return true;
}
