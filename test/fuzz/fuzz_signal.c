/* SPDX-License-Identifier: BSD-3-Clause */
/* Input: a payload of S/signal. What decodes keeps its promises, and decodes to the same when encoded again. */
#include "fuzz.h"

#include "codec/signal.h"
#include "codec/token.h"
#include "codec/utf8.h"

static bool same(const struct hf_signal *a, const struct hf_signal *b)
{
	return a->kind == b->kind && hf_slice_equal(a->response, b->response) && hf_slice_equal(a->from, b->from) &&
		   hf_slice_equal(a->text, b->text) && hf_slice_equal(a->data, b->data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hf_slice payload = hf_slice_from(data, size);
	struct hf_signal signal, back;

	enum hf_reason reason = hf_signal_decode(payload, &signal);
	MUST(reason == HF_OK || reason == HF_PAYLOAD_MALFORMED || reason == HF_PAYLOAD_INVALID);
	if (reason != HF_OK)
		return 0;

	MUST((unsigned int)signal.kind < HF_SIGNAL_COUNT);
	MUST(lies_in(signal.response, payload) && lies_in(signal.from, payload));
	MUST(lies_in(signal.text, payload) && lies_in(signal.data, payload));
	MUST(signal.response.len <= HF_RESPONSE_ID_MAX && signal.from.len <= HF_SIGNAL_FROM_MAX);
	MUST(hf_utf8_valid(signal.response) && hf_utf8_valid(signal.from) && hf_utf8_valid(signal.text));
	/* Such names are parts of keys: plugin/session/kinds/held.c. */
	MUST(signal.from.len == 0 || !memchr(signal.from.data, '\0', signal.from.len));
	MUST(signal.kind != HF_SIGNAL_STEER || signal.text.len > 0 || signal.data.len > 0);

	struct hf_buffer once = {0}, twice = {0};
	MUST(hf_signal_encode(&signal, &once));
	MUST(hf_signal_decode(hf_buffer_slice(&once), &back) == HF_OK);
	MUST(same(&signal, &back));
	MUST(hf_signal_encode(&back, &twice));
	MUST(hf_slice_equal(hf_buffer_slice(&once), hf_buffer_slice(&twice)));
	MUST(once.len <= size);
	/* One byte less is never a signal. */
	MUST(hf_signal_decode(hf_slice_from(data, size - 1), &back) == HF_PAYLOAD_MALFORMED);
	hf_buffer_free(&once);
	hf_buffer_free(&twice);
	return 0;
}
