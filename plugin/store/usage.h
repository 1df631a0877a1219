/* SPDX-License-Identifier: BSD-3-Clause */
/* What the store takes on the disk, in all and by session. */
#ifndef HF_STORE_USAGE_H
#define HF_STORE_USAGE_H

#include "store/store.h"

#define HF_USAGE_PARTS 10

/* A part of the store: a column family of RocksDB, as store.h lists them. */
struct hf_usage_part {
	const char *name;      /* static */
	uint64_t table_bytes;  /* of its files, compressed; what was removed is in there until RocksDB has compacted them */
	uint64_t memory_bytes; /* that wait to become such files: on the disk they are in the write-ahead log */
	uint64_t keys;         /* about how many */
};

struct hf_usage {
	struct hf_usage_part parts[HF_USAGE_PARTS];
	uint64_t table_bytes; /* of all of them */
	uint64_t wal_bytes;   /* of the write-ahead log */
	uint64_t disk_bytes;  /* that the store's folder occupies, with all else that is in it */
};

/* Cheap: reads no record. HF_OK, HF_STORE_FAILED. */
enum hf_reason hf_store_usage(struct hf_store *store, struct hf_usage *out);

/*
 * What a session takes: the records of the entries that it still has, as they were appended (payloads, properties,
 * names, what the audit needs), before compression. Not in it: its index (2 to 12 bytes an entry), facts, receipts,
 * and what the audit keeps of entries that it has no more.
 */
struct hf_usage_session {
	char session[HF_SESSION_ID_MAX + 1];
	uint64_t entries;
	uint64_t bytes;
};

struct hf_usage_sessions {
	struct hf_usage_session *largest; /* room for `largest_max`, the caller's; gets the largest, the largest first */
	size_t largest_max, largest_count;
	uint64_t sessions, entries, bytes; /* of all */
};

/* Reads the record of each session, about 2 seconds for a million. HF_OK, HF_STORE_FAILED, HF_RECORD_CORRUPT,
 * HF_NO_MEMORY. */
enum hf_reason hf_store_usage_sessions(struct hf_store *store, struct hf_usage_sessions *out);

#endif
