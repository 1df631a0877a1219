/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What was erased or replaced is still in RocksDB's files until it has compacted them, which it does when it sees fit.
 * Here it has to: memory goes to the disk, by which the write-ahead log ends, and all files that can have old versions
 * are written anew. That takes as long as it takes to read and write them, so a thread of its own waits for it. It
 * touches nothing but RocksDB, which is made for that.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/store_internal.h"

#define FORCE_OPTIMIZED                                                                                                \
	3 /* rocksdb::BottommostLevelCompaction: also the lowest level, but for what this one has made */

struct hf_scrub {
	pthread_t thread;
	rocksdb_t *db;
	rocksdb_column_family_handle_t *families[HF_FAMILY_COUNT];
	char first[HF_LSN_KEY_SIZE], last[HF_LSN_KEY_SIZE]; /* of the log */
	char *error;                                        /* of flushing; NULL: none */
	bool failed;                                        /* compacting: it does not say so itself */
	atomic_bool ended;
};

static uint64_t errors_of(const struct hf_scrub *scrub)
{
	uint64_t count = 0;

	(void)rocksdb_property_int_cf(scrub->db, scrub->families[HF_FAMILY_LOG], "rocksdb.background-errors", &count);
	return count;
}

static void *work(void *context)
{
	struct hf_scrub *scrub = context;
	rocksdb_flushoptions_t *flush = rocksdb_flushoptions_create();
	rocksdb_compactoptions_t *compact = rocksdb_compactoptions_create();

	rocksdb_flushoptions_set_wait(flush, 1);
	rocksdb_compactoptions_set_exclusive_manual_compaction(compact, 0);
	rocksdb_compactoptions_set_bottommost_level_compaction(compact, FORCE_OPTIMIZED);
	rocksdb_flush_cfs(scrub->db, flush, scrub->families, HF_FAMILY_COUNT, &scrub->error);
	const uint64_t errors = errors_of(scrub);
	if (scrub->error == NULL) {
		rocksdb_compact_range_cf_opt(scrub->db, scrub->families[HF_FAMILY_LOG], compact, scrub->first,
			sizeof scrub->first, scrub->last, sizeof scrub->last);
		rocksdb_compact_range_cf_opt(scrub->db, scrub->families[HF_FAMILY_FACTS], compact, NULL, 0, NULL, 0);
	}
	scrub->failed = errors_of(scrub) != errors;
	rocksdb_compactoptions_destroy(compact);
	rocksdb_flushoptions_destroy(flush);
	scrub->ended = true;
	return NULL;
}

/* RocksDB's threads, and this one, leave signals to the broker's own. */
static bool start(struct hf_scrub *scrub)
{
	sigset_t all;
	sigset_t before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	bool started = pthread_create(&scrub->thread, NULL, work, scrub) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return started;
}

static enum hf_reason begin(struct hf_store *store, uint64_t first, uint64_t last)
{
	struct hf_scrub *scrub = calloc(1, sizeof *scrub);

	if (scrub == NULL)
		return HF_NO_MEMORY;
	scrub->db = store->db;
	memcpy(scrub->families, store->families, sizeof scrub->families);
	hf_put_be64(scrub->first, first);
	hf_put_be64(scrub->last, last);
	if (!start(scrub)) {
		free(scrub);
		return HF_NO_MEMORY;
	}
	store->scrub = scrub;
	return HF_OK;
}

static void dispose(struct hf_store *store)
{
	pthread_join(store->scrub->thread, NULL);
	free(store->scrub);
	store->scrub = NULL;
}

enum hf_reason hf_store_scrub(struct hf_store *store, uint64_t first, uint64_t last, bool *done)
{
	*done = false;
	if (store->failed || !store->writable)
		return HF_STORE_FAILED;
	if (store->scrub == NULL)
		return begin(store, first, last);
	if (!store->scrub->ended)
		return HF_OK;
	char *error = store->scrub->error;
	const bool failed = store->scrub->failed;
	dispose(store);
	if (error != NULL)
		(void)hf_store_blame(store, "cannot write what is left of erased entries anew", error);
	else if (failed)
		hf_store_say(store, "%s: cannot write what is left of erased entries anew; see its file LOG", store->path);
	*done = error == NULL && !failed;
	return *done ? HF_OK : HF_STORE_FAILED;
}

void hf_scrub_stop(struct hf_store *store)
{
	if (store->scrub == NULL)
		return;
	rocksdb_disable_manual_compaction(store->db);
	pthread_join(store->scrub->thread, NULL);
	if (store->scrub->error != NULL)
		rocksdb_free(store->scrub->error);
	free(store->scrub);
	store->scrub = NULL;
}
