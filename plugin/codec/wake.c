/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec/wake.h"

#include "codec/cbor.h"

bool hf_wake_encode(const struct hf_wake_document *document, struct hf_buffer *out)
{
	bool from = document->from.len > 0;

	/* Shorter keys first, then by bytes. */
	return hf_cbor_put_map(out, 5u + from) && (!from || hf_cbor_pair_text(out, "from", document->from)) &&
		   hf_cbor_pair_text(out, "kind", hf_slice_of(hf_kind_name(document->kind))) &&
		   hf_cbor_put_text(out, hf_slice_of("time")) && hf_cbor_put_int(out, document->time_ms) &&
		   hf_cbor_pair_uint(out, "offset", document->offset) && hf_cbor_pair_text(out, "session", document->session) &&
		   hf_cbor_pair_text(out, "identity", document->identity);
}
