/* SPDX-License-Identifier: BSD-3-Clause */
#include "query/checkpoint.h"

#include <openssl/crypto.h>

#include "codec/json.h"
#include "codec/times.h"

enum hf_reason hf_checkpoint_newest(struct hf_store *store, struct hf_checkpoint *out, bool *found)
{
	enum hf_reason reason = hf_seal_get(store, 0, &out->seal, out->value, found);

	return reason == HF_OK && *found ? hf_audit_public_key(store, out->seal.key_seq, out->public_key) : reason;
}

enum hf_reason hf_checkpoint_key(struct hf_store *store, bool first, uint8_t public_key[HF_PUBLIC_KEY_SIZE])
{
	struct hf_seal seal = {.key_seq = 1};
	bool found;
	enum hf_reason reason = first ? HF_OK : hf_seal_get(store, 0, &seal, NULL, &found);

	return reason == HF_OK ? hf_audit_public_key(store, seal.key_seq, public_key) : reason;
}

bool hf_checkpoint_json(const struct hf_checkpoint *checkpoint, cJSON *object)
{
	char time[HF_TIME_SIZE], hex[2 * HF_SEAL_SIZE + 1];
	struct hf_buffer pem = {0};
	bool made = hf_public_key_export(checkpoint->public_key, &pem) &&
				OPENSSL_buf2hexstr_ex(hex, sizeof(hex), NULL, checkpoint->value, HF_SEAL_SIZE, '\0') == 1 &&
				hf_json_add(object, "checkpoint", hf_json_from_u64(HF_CHECKPOINT_VERSION)) &&
				hf_json_add(object, "seal", hf_json_from_u64(checkpoint->seal.number)) &&
				hf_json_add(object, "time", cJSON_CreateString(hf_time_print(checkpoint->seal.time_ms, time))) &&
				hf_json_add(object, "entries", hf_json_from_u64(checkpoint->seal.lsn)) &&
				hf_json_add(object, "records", hf_json_from_u64(checkpoint->seal.seq)) &&
				hf_json_add(object, "value", cJSON_CreateString(hex)) &&
				hf_json_add(object, "public_key", hf_json_from_text(hf_buffer_slice(&pem)));

	hf_buffer_free(&pem);
	return made;
}
