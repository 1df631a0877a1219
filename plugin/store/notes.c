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

static bool batch_one(struct hf_store *store, enum hf_notes what, struct hf_slice name, uint64_t seq, bool put)
{
	rocksdb_column_family_handle_t *family = store->families[HF_FAMILY_AUDIT_INDEX];

	if (!make_key(store, what, name, seq))
		return false;
	if (put)
		rocksdb_writebatch_put_cf(store->batch, family, (const char *)store->key.data, store->key.len, "", 0);
	else
		rocksdb_writebatch_delete_cf(store->batch, family, (const char *)store->key.data, store->key.len);
	return true;
}

static bool batch_all(struct hf_store *store, uint64_t seq, const struct hf_audit *record, bool put)
{
	switch (record->kind) {
	case HF_AUDIT_SUBSCRIBED:
	case HF_AUDIT_UNSUBSCRIBED:
		return batch_one(store, HF_NOTES_SESSION, record->session, seq, put) &&
			   batch_one(store, HF_NOTES_DEVICE, record->device, seq, put);
	case HF_AUDIT_CONNECTED:
	case HF_AUDIT_DISCONNECTED:
		return batch_one(store, HF_NOTES_DEVICE, record->device, seq, put);
	case HF_AUDIT_ROLES:
	case HF_AUDIT_STARTED:
		return batch_one(store, HF_NOTES_SESSION, HF_SLICE_NONE, seq, put);
	default:
		return true;
	}
}

bool hf_notes_batch(struct hf_store *store, uint64_t seq, const struct hf_audit *record)
{
	return batch_all(store, seq, record, true);
}

bool hf_notes_unbatch(struct hf_store *store, uint64_t seq, const struct hf_audit *record)
{
	return batch_all(store, seq, record, false);
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
