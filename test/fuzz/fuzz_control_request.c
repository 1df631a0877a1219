/* SPDX-License-Identifier: BSD-3-Clause */
/* Input: a payload of S/control. A request that decodes is the same one when it is written anew. */
#include "fuzz.h"

#include "codec/control.h"

static bool same(const struct hf_control_request *a, const struct hf_control_request *b)
{
	return a->command == b->command && a->fields == b->fields && a->cold == b->cold && a->reject == b->reject &&
		   a->epoch == b->epoch && hf_slice_equal(a->to, b->to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hf_control_request request, back;
	struct hf_buffer out = {0};

	enum hf_reason reason = hf_control_decode(hf_slice_from(data, size), &request);
	MUST(reason == HF_OK || reason == HF_PAYLOAD_MALFORMED || reason == HF_PAYLOAD_INVALID ||
		 reason == HF_COMMAND_UNKNOWN);
	if (reason != HF_OK)
		return 0;

	MUST(request.command < HF_COMMAND_COUNT && request.to.len <= HF_IDENTITY_MAX);
	MUST(hf_control_encode(&request, &out));
	MUST(hf_control_decode(hf_buffer_slice(&out), &back) == HF_OK && same(&request, &back));
	MUST(out.len <= size); /* the shortest form there is */
	hf_buffer_free(&out);
	return 0;
}
