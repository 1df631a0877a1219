/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec/signal.h"

#include <assert.h>

#include "codec/cbor.h"
#include "codec/token.h"

static const char *const names[HF_SIGNAL_COUNT] = {
#define HF_SIGNAL_NAME(number, name) [HF_SIGNAL_##number] = name,
	HF_SIGNAL_TABLE(HF_SIGNAL_NAME)
#undef HF_SIGNAL_NAME
};

const char *hf_signal_name(enum hf_signal_kind kind)
{
	return names[kind];
}

static enum hf_reason sized_text(struct hf_cbor_reader *reader, size_t max, struct hf_slice *out)
{
	enum hf_reason reason = hf_cbor_text(reader, out);

	return reason == HF_OK && (out->len == 0 || out->len > max) ? HF_PAYLOAD_INVALID : reason;
}

static enum hf_reason get_kind(struct hf_cbor_reader *reader, void *out)
{
	struct hf_slice name;
	enum hf_reason reason = hf_cbor_text(reader, &name);

	for (unsigned int kind = 0; reason == HF_OK && kind < HF_SIGNAL_COUNT; kind++) {
		if (hf_slice_is(name, names[kind])) {
			((struct hf_signal *)out)->kind = (enum hf_signal_kind)kind;
			return HF_OK;
		}
	}
	return reason == HF_OK ? HF_PAYLOAD_INVALID : reason;
}

static enum hf_reason get_response(struct hf_cbor_reader *reader, void *out)
{
	return sized_text(reader, HF_RESPONSE_ID_MAX, &((struct hf_signal *)out)->response);
}

static enum hf_reason get_from(struct hf_cbor_reader *reader, void *out)
{
	struct hf_slice *from = &((struct hf_signal *)out)->from;
	enum hf_reason reason = sized_text(reader, HF_SIGNAL_FROM_MAX, from);

	return reason == HF_OK && memchr(from->data, '\0', from->len) ? HF_PAYLOAD_INVALID : reason;
}

static enum hf_reason get_text(struct hf_cbor_reader *reader, void *out)
{
	return sized_text(reader, SIZE_MAX, &((struct hf_signal *)out)->text);
}

static enum hf_reason get_data(struct hf_cbor_reader *reader, void *out)
{
	return hf_cbor_skip(reader, &((struct hf_signal *)out)->data);
}

enum hf_reason hf_signal_decode(struct hf_slice payload, struct hf_signal *out)
{
	static const struct hf_cbor_field fields[] = {
		{"signal", get_kind, true},
		{"response", get_response, false},
		{"from", get_from, false},
		{"text", get_text, false},
		{"data", get_data, false},
	};

	*out = (struct hf_signal){
		.response = HF_SLICE_NONE,
		.from = HF_SLICE_NONE,
		.text = HF_SLICE_NONE,
		.data = HF_SLICE_NONE,
	};
	enum hf_reason reason = hf_cbor_fields(payload, fields, sizeof(fields) / sizeof(fields[0]), out);
	bool mute = out->text.len == 0 && out->data.len == 0;
	return reason == HF_OK && out->kind == HF_SIGNAL_STEER && mute ? HF_PAYLOAD_INVALID : reason;
}

bool hf_signal_encode(const struct hf_signal *signal, struct hf_buffer *out)
{
	bool data = signal->data.len > 0, from = signal->from.len > 0, text = signal->text.len > 0,
		 response = signal->response.len > 0;

	assert(signal->kind != HF_SIGNAL_STEER || text || data);
	/* Shorter keys first, then by bytes. */
	return hf_cbor_put_map(out, 1u + data + from + text + response) &&
		   (!data || (hf_cbor_put_text(out, hf_slice_of("data")) &&
						 hf_buffer_append(out, signal->data.data, signal->data.len))) &&
		   (!from || hf_cbor_pair_text(out, "from", signal->from)) &&
		   (!text || hf_cbor_pair_text(out, "text", signal->text)) &&
		   hf_cbor_pair_text(out, "signal", hf_slice_of(names[signal->kind])) &&
		   (!response || hf_cbor_pair_text(out, "response", signal->response));
}
