/* SPDX-License-Identifier: BSD-3-Clause */
/* Input: a stored record. What decodes encodes to the same bytes, also stripped, where its link stays, and makes a
 * well-formed part of a history page. */
#include "fuzz.h"

#include "codec/cbor.h"
#include "codec/document.h"
#include "codec/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hf_slice record = hf_slice_from(data, size);
	struct hf_entry entry = {0};

	enum hf_reason reason = hf_entry_decode(record, &entry);
	MUST(reason == HF_OK || reason == HF_RECORD_CORRUPT);
	if (reason != HF_OK)
		return 0;

	MUST(hf_kind_is_logged(entry.kind) && entry.role > HF_ROLE_NONE && entry.role <= HF_ROLE_BROKER && entry.qos <= 2);
	MUST(entry.offset > 0 && hf_session_id_valid(entry.session));
	struct hf_slice parts[] = {entry.session, entry.id, entry.topic, entry.identity, entry.device, entry.address,
		entry.properties, entry.properties_digest, entry.payload};
	size_t sum = 80;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		MUST(lies_in(parts[i], record));
		sum += parts[i].len;
	}
	MUST(sum == size);

	struct hf_buffer out = {0};
	MUST(hf_entry_encode(&entry, &out) == HF_OK);
	MUST(hf_slice_equal(hf_buffer_slice(&out), record));

	struct hf_hasher *hasher = hf_hasher_new();
	struct hf_entry stripped = entry;
	struct hf_entry_digests digests;
	MUST(hasher != NULL && hf_entry_strip(&stripped, hasher, &digests));
	hf_buffer_clear(&out);
	MUST(hf_entry_encode(&stripped, &out) == HF_OK);
	if (entry.digest.len > 0) {
		uint8_t before[HF_DIGEST_SIZE] = {0}, after[HF_DIGEST_SIZE] = {0};
		MUST(hf_entry_link(hasher, before, 1, record, before));
		MUST(hf_entry_link(hasher, after, 1, hf_buffer_slice(&out), after));
		MUST(memcmp(before, after, sizeof before) == 0);
	}
	hf_hasher_free(hasher);

	/* Names come from the broker, which lets only UTF-8 in. */
	if (hf_utf8_valid(entry.identity) && hf_utf8_valid(entry.topic)) {
		struct hf_slice item;
		hf_buffer_clear(&out);
		MUST(hf_document_history_entry(&out, &entry));
		struct hf_cbor_reader reader = hf_cbor_reader_of(hf_buffer_slice(&out));
		MUST(hf_cbor_skip(&reader, &item) == HF_OK && hf_cbor_at_end(&reader));
	}
	hf_buffer_free(&out);
	return 0;
}
