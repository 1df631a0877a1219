/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec/cbor.h"

enum hf_reason hf_cbor_fields(struct hf_slice payload, const struct hf_cbor_field *fields, size_t count, void *out)
{
	struct hf_cbor_reader reader = hf_cbor_reader_of(payload);
	struct hf_cbor_map map;
	uint32_t seen = 0, needed = 0;
	enum hf_reason reason = hf_cbor_map_begin(&reader, &map);

	while (reason == HF_OK) {
		struct hf_slice key;
		bool more;
		size_t i = 0;
		reason = hf_cbor_map_next(&reader, &map, &key, &more);
		if (reason != HF_OK || !more)
			break;
		while (i < count && !hf_slice_is(key, fields[i].key))
			i++;
		if (i == count || (seen & UINT32_C(1) << i))
			return HF_PAYLOAD_INVALID;
		seen |= UINT32_C(1) << i;
		reason = fields[i].decode(&reader, out);
	}
	if (reason != HF_OK)
		return reason;
	if (!hf_cbor_at_end(&reader))
		return HF_PAYLOAD_MALFORMED;
	for (size_t i = 0; i < count; i++)
		needed |= (uint32_t)fields[i].needed << i;
	return (seen & needed) == needed ? HF_OK : HF_PAYLOAD_INVALID;
}
