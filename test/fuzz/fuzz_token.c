/* SPDX-License-Identifier: BSD-3-Clause */
/* Input: a payload of S/tokens. What decodes keeps its promises, and decodes to the same when encoded again. */
#include "fuzz.h"

#include "codec/cbor.h"
#include "codec/token.h"
#include "codec/utf8.h"

static bool same(const struct hf_token_batch *a, const struct hf_token_batch *b)
{
	return hf_slice_equal(a->id, b->id) && a->seq == b->seq && hf_slice_equal(a->text, b->text) &&
		   hf_slice_equal(a->kind, b->kind) && hf_slice_equal(a->data, b->data) && a->end == b->end &&
		   hf_token_is_joined(a) == hf_token_is_joined(b) && a->last == b->last;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hf_slice payload = hf_slice_from(data, size);
	struct hf_token_batch batch, back;

	enum hf_reason reason = hf_token_decode(payload, &batch);
	MUST(reason == HF_OK || reason == HF_PAYLOAD_MALFORMED || reason == HF_PAYLOAD_INVALID);
	if (reason != HF_OK)
		return 0;

	MUST(lies_in(batch.id, payload) && lies_in(batch.text, payload) && lies_in(batch.kind, payload) &&
		 lies_in(batch.data, payload));
	MUST(batch.id.len >= 1 && batch.id.len <= HF_RESPONSE_ID_MAX && batch.kind.len <= HF_TOKEN_KIND_MAX);
	MUST(hf_utf8_valid(batch.id) && hf_utf8_valid(batch.text) && hf_utf8_valid(batch.kind));
	MUST(batch.seq <= HF_TOKEN_SEQ_MAX && batch.end <= HF_END_ERROR);
	MUST(batch.last == 0 || (batch.last > batch.seq && batch.last <= HF_TOKEN_SEQ_MAX && batch.data.len == 0));
	if (batch.data.len > 0) {
		struct hf_cbor_reader reader = hf_cbor_reader_of(batch.data);
		struct hf_slice item;
		MUST(hf_cbor_skip(&reader, &item) == HF_OK && hf_cbor_at_end(&reader));
	}

	struct hf_buffer once = {0}, twice = {0};
	MUST(hf_token_encode(&batch, &once));
	MUST(hf_token_decode(hf_buffer_slice(&once), &back) == HF_OK);
	MUST(same(&batch, &back));
	MUST(hf_token_encode(&back, &twice));
	MUST(hf_slice_equal(hf_buffer_slice(&once), hf_buffer_slice(&twice)));
	/* It is the shortest form of all. */
	MUST(once.len <= size);
	/* One byte less is never a batch. */
	MUST(hf_token_decode(hf_slice_from(data, size - 1), &back) == HF_PAYLOAD_MALFORMED);
	hf_buffer_free(&once);
	hf_buffer_free(&twice);
	return 0;
}
