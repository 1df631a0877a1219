/* SPDX-License-Identifier: BSD-3-Clause */
/* The index of the records that say who could read: found by session and by device. */
#include "store/audit_internal.h"

#define NUMBER_SIZE 8

/* Make store->key: what, name, 0x00, seq. False: no memory. */
static bool make_key(struct hf_store *store, enum hf_notes what, struct hf_slice name, uint64_t seq)
{
	const char type = (char)what;
	char number[NUMBER_SIZE];

	hf_put_be64(number, seq);
	hf_buffer_clear(&store->key);
	return hf_buffer_append(&store->key, &type, 1) && hf_buffer_append(&store->key, name.data, name.len) &&
		   hf_buffer_append(&store->key, "", 1) && hf_buffer_append(&store->key, number, sizeof number);
}

static enum hf_reason index_one(
	struct hf_store *store, enum hf_index_act act, enum hf_notes what, struct hf_slice name, uint64_t seq)
{
	return make_key(store, what, name, seq) ? hf_index_do(store, act, hf_buffer_slice(&store->key), 0) : HF_NO_MEMORY;
}

enum hf_reason hf_notes_index(
	struct hf_store *store, enum hf_index_act act, uint64_t seq, const struct hf_audit *record)
{
	enum hf_reason reason = HF_OK;

	switch (record->kind) {
	case HF_AUDIT_SUBSCRIBED:
	case HF_AUDIT_UNSUBSCRIBED:
		reason = index_one(store, act, HF_NOTES_SESSION, record->session, seq);
		return reason == HF_OK ? index_one(store, act, HF_NOTES_DEVICE, record->device, seq) : reason;
	case HF_AUDIT_CONNECTED:
	case HF_AUDIT_DISCONNECTED:
		return index_one(store, act, HF_NOTES_DEVICE, record->device, seq);
	case HF_AUDIT_ROLES:
	case HF_AUDIT_STARTED:
		return index_one(store, act, HF_NOTES_SESSION, HF_SLICE_NONE, seq);
	default:
		return HF_OK;
	}
}

enum hf_reason hf_notes_each(
	struct hf_store *store, enum hf_notes what, struct hf_slice name, uint64_t seq, hf_note_fn fn, void *context)
{
	enum hf_reason reason = HF_OK;
	bool go_on = true;

	if (!make_key(store, what, name, seq + 1))
		return HF_NO_MEMORY;
	rocksdb_iterator_t *iterator = hf_database_iterate(store, HF_FAMILY_AUDIT_INDEX);
	if (iterator == NULL)
		return HF_STORE_FAILED;
	const size_t len = store->key.len, begin_len = len - NUMBER_SIZE;
	char *begin = malloc(begin_len); /* the visitor may use store->key */
	if (begin == NULL) {
		rocksdb_iter_destroy(iterator);
		return HF_NO_MEMORY;
	}
	memcpy(begin, store->key.data, begin_len);
	rocksdb_iter_seek(iterator, (const char *)store->key.data, len);
	for (; reason == HF_OK && go_on && rocksdb_iter_valid(iterator); rocksdb_iter_next(iterator)) {
		struct hf_slice key = hf_iterator_key(iterator);
		if (key.len < begin_len || memcmp(key.data, begin, begin_len) != 0)
			break;
		if (key.len == len)
			reason = hf_record_visit(store, hf_get_be64(key.data + begin_len), fn, context, &go_on);
	}
	if (reason == HF_OK && go_on)
		reason = hf_iterator_check(store, iterator);
	rocksdb_iter_destroy(iterator);
	free(begin);
	return reason;
}
