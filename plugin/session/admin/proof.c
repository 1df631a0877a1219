/* SPDX-License-Identifier: BSD-3-Clause */
/* What proves later that nothing was changed, for those who keep it elsewhere. */
#include "query/checkpoint.h"
#include "session/admin/admin.h"

enum hf_reason hf_admin_get_checkpoint(struct hf_admin *admin, cJSON *data)
{
	struct hf_checkpoint checkpoint;
	bool found = false;
	enum hf_reason reason = hf_checkpoint_newest(admin->hub->store, &checkpoint, &found);

	if (reason == HF_OK && !found) {
		reason = HF_NOT_AUDITED;
	}
	if (reason == HF_OK && !hf_checkpoint_json(&checkpoint, data)) {
		admin->no_memory = true;
	}
	return reason;
}

enum hf_reason hf_admin_get_public_key(struct hf_admin *admin, cJSON *data)
{
	uint8_t key[HF_PUBLIC_KEY_SIZE];
	struct hf_buffer pem = {.data = NULL};

	if (!hf_store_audits(admin->hub->store)) {
		return HF_NOT_AUDITED;
	}
	enum hf_reason reason = hf_checkpoint_key(admin->hub->store, admin->arguments.first, key);
	if (reason == HF_OK && !hf_public_key_export(key, &pem)) {
		reason = HF_NO_MEMORY;
	}
	if (reason == HF_OK) {
		hf_admin_put_text(admin, data, "public_key", hf_buffer_slice(&pem));
	}
	hf_buffer_free(&pem);
	return reason;
}
