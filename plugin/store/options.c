/* SPDX-License-Identifier: BSD-3-Clause */
/* How RocksDB is set up. Two things shape it: one thread writes, one small record at a time, and waits for it;
 * and the broker is a guest on a small machine, so memory and threads are few. */
#include "store/store_internal.h"

#define BLOCK_CACHE_SIZE ((size_t)16 << 20)
#define BLOOM_BITS_PER_KEY 10.0
#define REMOVED_RATIO 0.8

const char *const hf_family_names[HF_FAMILY_COUNT] = {
	[HF_FAMILY_DEFAULT] = "default",
	[HF_FAMILY_LOG] = "log",
	[HF_FAMILY_INDEX] = "index",
	[HF_FAMILY_SESSIONS] = "sessions",
	[HF_FAMILY_TRUNCATED] = "truncated",
	[HF_FAMILY_FACTS] = "facts",
	[HF_FAMILY_DEVICES] = "devices",
	[HF_FAMILY_SHARES] = "shares",
	[HF_FAMILY_AUDIT] = "audit",
	[HF_FAMILY_AUDIT_INDEX] = "audit_index",
};

/*
 * One writer: no concurrent memtable, nothing to yield to. The WAL is the only copy of the newest entries, so
 * damage in its middle must stop the open with an error; only a record cut short at its end, as a kill leaves
 * it, is let pass (kTolerateCorruptedTailRecords). That rules recycling of WAL files out. RocksDB's default,
 * kPointInTimeRecovery, would drop everything behind the damage without a word.
 * RocksDB's own tries to recover from a failed write would make the close in hf_store_recover wait for them.
 * The small families keep old WAL files alive until they are flushed: max_total_wal_size bounds that, and with it
 * the time that a start takes to read them.
 */
static const char database_settings[] = "max_background_jobs=2;"
										"allow_concurrent_memtable_write=false;"
										"enable_write_thread_adaptive_yield=false;"
										"wal_recovery_mode=kTolerateCorruptedTailRecords;"
										"track_and_verify_wals_in_manifest=true;"
										"max_bgerror_resume_count=0;"
										"max_total_wal_size=33554432;"
										"db_write_buffer_size=67108864;"
										"stats_dump_period_sec=0;"
										"stats_persist_period_sec=0;"
										"skip_stats_update_on_db_open=true;"
										"info_log_level=WARN_LEVEL;"
										"max_log_file_size=1048576;"
										"keep_log_file_num=2;";

/* Keys of the log only rise: its files never overlap, and a compaction moves them down without reading them. */
static const char log_settings[] = "write_buffer_size=16777216;max_write_buffer_number=3;";
static const char other_settings[] = "write_buffer_size=4194304;max_write_buffer_number=2;";

static bool has_point_lookups(enum hf_family family)
{
	return family == HF_FAMILY_SESSIONS || family == HF_FAMILY_FACTS;
}

/* Of records with rising keys, that is. */
static bool is_log(enum hf_family family)
{
	return family == HF_FAMILY_LOG || family == HF_FAMILY_AUDIT;
}

static void set_table(rocksdb_options_t *options, enum hf_family family, rocksdb_cache_t *cache)
{
	rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();

	rocksdb_block_based_options_set_block_cache(table, cache);
	rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1);
	rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(table, 1);
	/* Neighbours in the log are read together and look alike: larger blocks compress better. */
	rocksdb_block_based_options_set_block_size(table, is_log(family) ? 16384 : 4096);
	if (has_point_lookups(family))
		rocksdb_block_based_options_set_filter_policy(
			table, rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS_PER_KEY));
	rocksdb_options_set_block_based_table_factory(options, table);
	rocksdb_block_based_options_destroy(table);
}

static rocksdb_options_t *options_from(const rocksdb_options_t *base, const char *settings, char **error)
{
	rocksdb_options_t *options = rocksdb_options_create();

	rocksdb_get_options_from_string(base, settings, options, error);
	if (*error != NULL) {
		rocksdb_options_destroy(options);
		return NULL;
	}
	return options;
}

bool hf_database_options_make(struct hf_database_options *out, enum hf_open_mode mode, char **error)
{
	rocksdb_options_t *defaults = rocksdb_options_create();
	rocksdb_cache_t *cache = rocksdb_cache_create_lru(BLOCK_CACHE_SIZE);
	bool made = false;

	*out = (struct hf_database_options){0};
	rocksdb_options_set_compression(defaults, rocksdb_lz4_compression);
	out->database = options_from(defaults, database_settings, error);
	if (out->database == NULL)
		goto done;
	rocksdb_options_set_create_if_missing(out->database, mode == HF_OPEN_CREATE);
	rocksdb_options_set_create_missing_column_families(out->database, mode == HF_OPEN_CREATE);
	/* A reader beside a running broker opens all files at once, so that none can vanish under it. */
	rocksdb_options_set_max_open_files(out->database, mode == HF_OPEN_READ ? -1 : 256);
	for (enum hf_family family = 0; family < HF_FAMILY_COUNT; family++) {
		out->families[family] =
			options_from(out->database, family == HF_FAMILY_LOG ? log_settings : other_settings, error);
		if (out->families[family] == NULL)
			goto done;
		set_table(out->families[family], family, cache);
		/* A file that does little but remove is merged with what it removes, also when nothing else is written: so
		 * sessions that expire at rest give their space back. */
		rocksdb_options_add_compact_on_deletion_collector_factory_del_ratio(out->families[family], 0, 0, REMOVED_RATIO);
	}
	made = true;

done:
	if (!made)
		hf_database_options_destroy(out);
	rocksdb_cache_destroy(cache); /* the options hold it */
	rocksdb_options_destroy(defaults);
	return made;
}

void hf_database_options_destroy(struct hf_database_options *options)
{
	if (options->database != NULL)
		rocksdb_options_destroy(options->database);
	for (enum hf_family family = 0; family < HF_FAMILY_COUNT; family++) {
		if (options->families[family] != NULL)
			rocksdb_options_destroy(options->families[family]);
	}
	*options = (struct hf_database_options){0};
}
