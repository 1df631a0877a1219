/* SPDX-License-Identifier: BSD-3-Clause */
/* store/audit.h for a store that keeps no audit. */
#include "memory_store.h"

#include "store/audit.h"

bool hf_store_audits(const struct hf_store *store)
{
	(void)store;
	return false;
}

enum hf_reason hf_audit_add(struct hf_store *store, const struct hf_audit *record)
{
	(void)store;
	(void)record;
	return HF_OK;
}

enum hf_reason hf_audit_write(struct hf_store *store)
{
	(void)store;
	return HF_OK;
}

enum hf_reason hf_audit_seal(struct hf_store *store, int64_t now_ms)
{
	(void)store;
	(void)now_ms;
	return HF_OK;
}

enum hf_reason hf_audit_rotate(struct hf_store *store, int64_t now_ms, bool *rotated)
{
	(void)store;
	(void)now_ms;
	*rotated = false;
	return HF_OK;
}

enum hf_reason hf_audit_expire(struct hf_store *store, const struct hf_expire *expire, bool *unfinished)
{
	(void)store;
	(void)expire;
	*unfinished = false;
	return HF_OK;
}

enum hf_reason hf_audit_remove(struct hf_store *store, unsigned limit, bool *unfinished)
{
	(void)store;
	(void)limit;
	*unfinished = false;
	return HF_OK;
}

enum hf_reason hf_receipts_keep(
	struct hf_store *store, struct hf_slice session, uint64_t number, const struct hf_audit *record)
{
	(void)store;
	(void)session;
	(void)number;
	(void)record;
	return HF_OK;
}

enum hf_reason hf_receipts_open_each(struct hf_store *store, struct hf_slice session, hf_open_page_fn fn, void *context)
{
	(void)store;
	(void)session;
	(void)fn;
	(void)context;
	return HF_OK;
}
