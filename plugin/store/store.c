/* SPDX-License-Identifier: BSD-3-Clause */
/* The handle of the store. */
#include <stdio.h>

#include "store/audit_internal.h"

static void store_free(struct hf_store *store)
{
	struct hf_log *log;
	struct hf_log *next;

	HASH_ITER(hh, store->logs, log, next)
	hf_log_drop(log);
	hf_pending_clear(store);
	hf_audit_close(store);
	while (store->spare != NULL) {
		struct hf_chunk *chunk = store->spare;
		store->spare = chunk->next;
		free(chunk);
	}
	hf_database_close(store);
	rocksdb_writebatch_destroy(store->batch);
	rocksdb_writeoptions_destroy(store->write_options);
	rocksdb_readoptions_destroy(store->read_options);
	hf_hasher_free(store->hasher);
	hf_buffer_free(&store->record);
	hf_buffer_free(&store->key);
	free(store->path);
	free(store);
}

static struct hf_store *store_new(const struct hf_store_options *options, hf_store_replay_fn replay, void *context)
{
	struct hf_store *store = calloc(1, sizeof *store);

	if (store == NULL)
		return NULL;
	store->path = strdup(options->path);
	if (store->path == NULL) {
		free(store);
		return NULL;
	}
	store->durability = options->durability;
	store->read_only = options->read_only;
	store->replay = replay;
	store->context = context;
	store->lowest = 1;
	store->read_options = rocksdb_readoptions_create();
	store->write_options = rocksdb_writeoptions_create();
	rocksdb_writeoptions_set_sync(store->write_options, options->durability == HF_DURABILITY_POWER);
	store->batch = rocksdb_writebatch_create();
	store->hasher = hf_hasher_new();
	if (store->hasher == NULL) {
		store_free(store);
		return NULL;
	}
	rocksdb_set_perf_level(rocksdb_disable); /* of this thread; counting for nobody costs 4 % of a put */
	return store;
}

enum hf_reason hf_store_open(const struct hf_store_options *options, hf_store_replay_fn replay, void *context,
	struct hf_store **out, char *message, size_t message_size)
{
	struct hf_store *store = store_new(options, replay, context);
	enum hf_reason reason = HF_NO_MEMORY;

	if (message != NULL && message_size > 0)
		message[0] = '\0';
	*out = store;
	if (store != NULL) {
		reason = hf_database_open(store, options->read_only ? HF_OPEN_READ : HF_OPEN_CREATE);
		if (reason == HF_OK)
			reason = hf_store_replay(store);
		if (reason == HF_OK && !options->read_only)
			reason = options->audit_key != NULL ? hf_audit_open(store, options->audit_key, options->now_ms)
												: hf_audit_pause(store);
	}
	if (reason == HF_OK)
		return HF_OK;
	if (message != NULL && message_size > 0)
		snprintf(message, message_size, "%s",
			store != NULL && store->error[0] != '\0' ? store->error : hf_reason_sentence(reason));
	if (store != NULL)
		store_free(store);
	*out = NULL;
	return reason;
}

void hf_store_close(struct hf_store *store)
{
	if (store == NULL)
		return;
	/* What fails here loses nothing: the next open replays. A clean end survives a power cut as well. */
	if (!store->read_only && (!hf_store_dirty(store) || hf_index_write(store) == HF_OK) &&
		hf_audit_write(store) == HF_OK)
		(void)hf_store_sync(store);
	store_free(store);
}

const char *hf_store_error(const struct hf_store *store)
{
	return store->error;
}

uint64_t hf_store_head(const struct hf_store *store)
{
	return store->head;
}

uint64_t hf_store_stamp(const struct hf_store *store)
{
	return store->stamp;
}

bool hf_store_dirty(const struct hf_store *store)
{
	return store->head > store->indexed || store->pending != NULL || store->dirty != NULL;
}

bool hf_store_failed(const struct hf_store *store)
{
	return store->failed;
}

enum hf_reason hf_store_sync(struct hf_store *store)
{
	char *error = NULL;

	if (store->failed || !store->writable)
		return HF_STORE_FAILED;
	rocksdb_flush_wal(store->db, 1, &error);
	return error == NULL ? HF_OK : hf_store_fail(store, "cannot sync", error);
}
