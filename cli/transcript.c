/* SPDX-License-Identifier: BSD-3-Clause */
#include "transcript.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/token.h"

/* ---- words */

char *hf_turn_title(const struct hf_turn *turn)
{
	char *title = NULL;
	int len;

	if (turn->response.len == 0) {
		return strndup(turn->topic.data, turn->topic.len);
	}
	len = asprintf(&title, "response %.*s%s%.*s%s", (int)turn->response.len, turn->response.data,
		turn->response_kind.len > 0 ? ", " : "", (int)turn->response_kind.len, turn->response_kind.data,
		turn->continued ? ", continued" : "");
	return len < 0 ? NULL : title;
}

char *hf_turn_ending(const struct hf_turn *turn)
{
	char *ending = NULL;

	if (turn->closed.len > 0) {
		return asprintf(&ending, "closed by Holdfast: %.*s", (int)turn->closed.len, turn->closed.data) < 0 ? NULL
																										   : ending;
	}
	return strdup(turn->end && strcmp(turn->end, hf_end_name(HF_END_COMPLETE)) != 0 ? turn->end : "");
}

/* ---- as one JSON object, a turn a line */

bool hf_transcript_json(const struct hf_transcript *transcript)
{
	size_t receipts = SIZE_MAX;

	printf("{\"session\":\"%.*s\",\"payloads\":true,\"entries\":%" PRIu64 ",\"turns\":[", (int)transcript->session.len,
		transcript->session.data, transcript->entries); /* ids are of harmless characters */
	for (size_t i = 0; i < transcript->count && !ferror(stdout); i++) {
		cJSON *object = hf_turn_json(transcript, &transcript->turns[i], &receipts);
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
