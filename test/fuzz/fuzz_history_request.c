/* SPDX-License-Identifier: BSD-3-Clause */
/* Input: a payload of S/history. A request that decodes is the same one when it is written anew. */
#include "fuzz.h"

#include <inttypes.h>

#include "codec/cbor.h"
#include "codec/document.h"

static void write_position(const struct hf_position *position, char *out, size_t size)
{
	*out = '\0'; /* no position: of a kind that there is not */
	switch (position->kind) {
	case HF_POSITION_EARLIEST:
		snprintf(out, size, "earliest");
		return;
	case HF_POSITION_LATEST:
		snprintf(out, size, "latest");
		return;
	case HF_POSITION_OFFSET:
		MUST(position->value >= 1);
		snprintf(out, size, "%" PRIu64, position->value);
		return;
	case HF_POSITION_LAST:
		MUST(position->value >= 1);
		snprintf(out, size, "-%" PRIu64, position->value);
		return;
	case HF_POSITION_TIME:
		snprintf(out, size, "@%" PRIu64, position->value);
		return;
	}
}

static void check_same(const struct hf_history_request *request, struct hf_buffer *written)
{
	struct hf_history_request back;

	MUST(hf_history_request_decode(hf_buffer_slice(written), &back) == HF_OK);
	MUST(
		back.from.kind == request->from.kind && back.from.value == request->from.value && back.limit == request->limit);
	MUST(
		back.backwards == request->backwards && back.kinds == request->kinds && hf_slice_equal(back.key, request->key));
}

/* All but the position, for which there is room. */
static void write_rest(const struct hf_history_request *request, struct hf_buffer *out)
{
	size_t pairs = 1u + (request->limit > 0) + request->backwards + (request->topic.len > 0);

	MUST(hf_cbor_put_map(out, pairs));
	MUST(request->limit == 0 || hf_cbor_pair_uint(out, "limit", request->limit));
	MUST(!request->backwards || hf_cbor_pair_text(out, "order", hf_slice_of("backwards")));
	MUST(request->topic.len == 0 || hf_cbor_pair_text(out, "topic", request->topic));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hf_history_request request;
	char text[32];

	enum hf_reason reason = hf_history_request_decode(hf_slice_from(data, size), &request);
	MUST(reason == HF_OK || reason == HF_PAYLOAD_MALFORMED || reason == HF_PAYLOAD_INVALID ||
		 reason == HF_POSITION_INVALID || reason == HF_LIMIT_INVALID || reason == HF_TOPIC_NOT_LOGGED);
	if (reason != HF_OK)
		return 0;

	MUST(request.from.value <= INT64_MAX && request.kinds != 0 && (request.kinds & ~HF_KINDS_LOGGED) == 0);
	write_position(&request.from, text, sizeof(text));
	struct hf_buffer out = {0};
	write_rest(&request, &out);
	MUST(hf_cbor_pair_text(&out, "from", hf_slice_of(text)));
	check_same(&request, &out);
	if (request.from.kind == HF_POSITION_OFFSET) {
		hf_buffer_clear(&out);
		write_rest(&request, &out);
		MUST(hf_cbor_pair_uint(&out, "from", request.from.value));
		check_same(&request, &out);
	}
	hf_buffer_free(&out);
	return 0;
}
