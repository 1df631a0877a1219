/* SPDX-License-Identifier: BSD-3-Clause */
/* Input: a payload of S/answer. What decodes keeps its promises, and decodes to the same when encoded again. */
#include "fuzz.h"

#include "codec/ask.h"
#include "codec/utf8.h"

static bool same(const struct hf_answer *a, const struct hf_answer *b)
{
	return hf_slice_equal(a->id, b->id) && hf_slice_equal(a->choice, b->choice) && hf_slice_equal(a->text, b->text) &&
		   hf_slice_equal(a->data, b->data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hf_slice payload = hf_slice_from(data, size);
	struct hf_answer answer, back;

	enum hf_reason reason = hf_answer_decode(payload, &answer);
	MUST(reason == HF_OK || reason == HF_PAYLOAD_MALFORMED || reason == HF_PAYLOAD_INVALID);
	if (reason != HF_OK)
		return 0;

	MUST(lies_in(answer.id, payload) && lies_in(answer.choice, payload) && lies_in(answer.text, payload) &&
		 lies_in(answer.data, payload));
	MUST(answer.id.len >= 1 && answer.id.len <= HF_ASK_ID_MAX && answer.choice.len <= HF_ASK_CHOICE_MAX);
	MUST(answer.choice.len > 0 || answer.text.len > 0);
	MUST(hf_utf8_valid(answer.id) && hf_utf8_valid(answer.choice) && hf_utf8_valid(answer.text));

	struct hf_buffer once = {0}, twice = {0};
	MUST(hf_answer_encode(&answer, &once));
	MUST(hf_answer_decode(hf_buffer_slice(&once), &back) == HF_OK);
	MUST(same(&answer, &back));
	MUST(hf_answer_encode(&back, &twice));
	MUST(hf_slice_equal(hf_buffer_slice(&once), hf_buffer_slice(&twice)));
	MUST(once.len <= size);
	MUST(hf_answer_decode(hf_slice_from(data, size - 1), &back) == HF_PAYLOAD_MALFORMED);
	hf_buffer_free(&once);
	hf_buffer_free(&twice);
	return 0;
}
