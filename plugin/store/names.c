/* SPDX-License-Identifier: BSD-3-Clause */
/* Whom and what a block is about, and the keys by which the index finds it. Sealing writes them, and verify
 * wants them there: both from the same names, since what the index does not have no query would show. */
#include "store/audit_internal.h"

#define NUMBER_SIZE 8

/* ---- whom and what --------------------------------------------------------------------------------------- */

static struct hf_touched *touch(struct hf_names *names, char type, struct hf_slice name, unsigned chain)
{
	struct hf_touched *touched;
	size_t len = 1 + name.len;
	char few[256];
	char *key = len <= sizeof few ? few : malloc(len);

	if (key == NULL)
		return NULL;
	key[0] = type;
	if (name.len > 0)
		memcpy(key + 1, name.data, name.len);
	HASH_FIND(hh, names->touched, key, len, touched);
	if (touched == NULL) {
		touched = malloc(sizeof *touched + len);
		if (touched != NULL) {
			touched->chains = 0;
			touched->key_len = len;
			memcpy(touched->key, key, len);
			HASH_ADD(hh, names->touched, key, len, touched);
			if (touched->hh.tbl == NULL) {
				free(touched);
				touched = NULL;
			}
		}
	}
	if (touched != NULL)
		touched->chains |= (uint8_t)chain;
	if (key != few)
		free(key);
	return touched;
}

/* As touch, but for what `last` may be already. */
static bool touch_again(
	struct hf_names *names, struct hf_touched **last, char type, struct hf_slice name, unsigned chain)
{
	const struct hf_touched *touched = *last;

	if (touched != NULL && (touched->chains & chain) &&
		hf_slice_equal(hf_slice_from(touched->key + 1, touched->key_len - 1), name))
		return true;
	*last = touch(names, type, name, chain);
	return *last != NULL;
}

static bool touch_people(struct hf_names *names, struct hf_slice identity, struct hf_slice device, unsigned chain)
{
	return touch_again(names, &names->last_identity, HF_FIND_IDENTITY, identity, chain) &&
		   (device.len == 0 || touch_again(names, &names->last_device, HF_FIND_DEVICE, device, chain));
}

bool hf_names_touch_session(struct hf_names *names, struct hf_slice session)
{
	return touch_again(names, &names->last_session, HF_FIND_SESSION, session, HF_CHAIN_LOG);
}

bool hf_names_touch_entry(struct hf_names *names, const struct hf_entry *entry)
{
	return touch_people(names, entry->identity, entry->device, HF_CHAIN_LOG);
}

bool hf_names_touch_record(struct hf_names *names, const struct hf_audit *record)
{
	if (record->session.len > 0 && touch(names, HF_FIND_SESSION, record->session, HF_CHAIN_AUDIT) == NULL)
		return false;
	/* Of whose entries these are, nothing was noted: so of anybody's. */
	if (record->kind == HF_AUDIT_UNCOVERED && touch(names, HF_FIND_SESSION, HF_SLICE_NONE, HF_CHAIN_LOG) == NULL)
		return false;
	return touch_people(names, record->identity, record->device, HF_CHAIN_AUDIT);
}

void hf_names_clear(struct hf_names *names)
{
	struct hf_touched *touched;
	struct hf_touched *next;

	HASH_ITER(hh, names->touched, touched, next)
	{
		HASH_DELETE(hh, names->touched, touched);
		free(touched);
	}
	*names = (struct hf_names){0};
}

/* ---- their keys ------------------------------------------------------------------------------------------ */

enum hf_reason hf_index_do(struct hf_store *store, enum hf_index_act act, struct hf_slice key, uint8_t chains)
{
	rocksdb_column_family_handle_t *family = store->families[HF_FAMILY_AUDIT_INDEX];

	switch (act) {
	case HF_INDEX_PUT:
		rocksdb_writebatch_put_cf(
			store->batch, family, key.data, key.len, (const char *)&chains, chains == 0 ? 0 : sizeof chains);
		return HF_OK;
	case HF_INDEX_REMOVE:
		rocksdb_writebatch_delete_cf(store->batch, family, key.data, key.len);
		return HF_OK;
	case HF_INDEX_WANT:
		return hf_wanted_add(store->wanted, key, chains) ? HF_OK : HF_NO_MEMORY;
	}
	return HF_OK;
}

enum hf_reason hf_names_index(
	struct hf_store *store, enum hf_index_act act, const struct hf_names *names, uint64_t number)
{
	enum hf_reason reason = HF_OK;

	for (const struct hf_touched *at = names->touched; at != NULL && reason == HF_OK; at = at->hh.next) {
		const size_t len = at->key_len + 1 + NUMBER_SIZE;
		hf_buffer_clear(&store->key);
		unsigned char *key = hf_buffer_reserve(&store->key, len);
		if (key == NULL)
			return HF_NO_MEMORY;
		memcpy(key, at->key, at->key_len);
		key[at->key_len] = 0;
		hf_put_be64(key + at->key_len + 1, number);
		reason = hf_index_do(store, act, hf_slice_from(key, len), at->chains);
	}
	return reason;
}
