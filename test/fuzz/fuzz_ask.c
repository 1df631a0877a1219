/* SPDX-License-Identifier: BSD-3-Clause */
/* Input: a payload of S/ask. What decodes keeps its promises, and decodes to the same when encoded again. */
#include "fuzz.h"

#include "codec/ask.h"
#include "codec/utf8.h"

static bool same(const struct hf_ask *a, const struct hf_ask *b)
{
	return hf_slice_equal(a->id, b->id) && hf_slice_equal(a->question, b->question) &&
		   hf_slice_equal(a->choices, b->choices) && hf_slice_equal(a->to, b->to) &&
		   hf_slice_equal(a->roles, b->roles) && a->expires_in_ms == b->expires_in_ms &&
		   hf_slice_equal(a->data, b->data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hf_slice payload = hf_slice_from(data, size);
	struct hf_ask ask, back;

	enum hf_reason reason = hf_ask_decode(payload, &ask);
	MUST(reason == HF_OK || reason == HF_PAYLOAD_MALFORMED || reason == HF_PAYLOAD_INVALID);
	if (reason != HF_OK)
		return 0;

	MUST(lies_in(ask.id, payload) && lies_in(ask.question, payload) && lies_in(ask.choices, payload));
	MUST(lies_in(ask.to, payload) && lies_in(ask.roles, payload) && lies_in(ask.data, payload));
	MUST(ask.id.len >= 1 && ask.id.len <= HF_ASK_ID_MAX && ask.question.len >= 1);
	MUST(hf_utf8_valid(ask.id) && hf_utf8_valid(ask.question) && ask.expires_in_ms <= HF_ASK_EXPIRES_MAX_MS);
	/* What is kept of it fits where it is kept: plugin/session/kinds/ask_facts.c. */
	MUST(ask.choices.len <= UINT16_MAX && ask.to.len <= UINT16_MAX && ask.roles.len <= UINT16_MAX);
	MUST(!hf_ask_lists(ask.choices, HF_SLICE_NONE) && !hf_ask_lists(ask.to, HF_SLICE_NONE));
	MUST(!hf_ask_lists(ask.roles, hf_slice_of("agent")));
	MUST(ask.roles.len == 0 || hf_ask_lists(ask.roles, hf_slice_of("user")) ||
		 hf_ask_lists(ask.roles, hf_slice_of("operator")));

	struct hf_buffer once = {0}, twice = {0};
	MUST(hf_ask_encode(&ask, &once));
	MUST(hf_ask_decode(hf_buffer_slice(&once), &back) == HF_OK);
	MUST(same(&ask, &back));
	MUST(hf_ask_encode(&back, &twice));
	MUST(hf_slice_equal(hf_buffer_slice(&once), hf_buffer_slice(&twice)));
	MUST(once.len <= size);
	/* One byte less is never a question. */
	MUST(hf_ask_decode(hf_slice_from(data, size - 1), &back) == HF_PAYLOAD_MALFORMED);
	hf_buffer_free(&once);
	hf_buffer_free(&twice);
	return 0;
}
