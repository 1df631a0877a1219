/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * store.h in memory, to the letter: the same promises, and the same freedom to fail. What RocksDB would have on disk
 * is in memory that a killed life leaves behind; what the store would hold in its own memory dies with the process.
 * Slices are poisoned as soon as the header allows, so that whoever holds one for too long reads rubbish.
 */
#ifndef HF_TEST_SIMULATE_MEMORY_STORE_H
#define HF_TEST_SIMULATE_MEMORY_STORE_H

#include "store/store.h"
#include "store_control.h"
#include "world.h"

enum {
	ARENA = 4 << 20,
	VALUES = 800,
	KEY_SIZE = 200,
	VALUE_SIZE = 3200,
	LOGS = 8,
};

struct value {
	bool used, gone; /* gone: in what is pending, a removal */
	uint16_t key_len, value_len;
	char key[KEY_SIZE];
	char value[VALUE_SIZE];
};

/* The record of a session: what its entries do not tell. */
struct told {
	char session[HF_SESSION_ID_MAX];
	size_t session_len;
	uint64_t tail;
	struct hf_gone gone;
	uint8_t state;
};

struct disk {
	uint64_t head, indexed, stamp;
	struct {
		uint32_t at, len;   /* len 0: removed */
	} records[ENTRIES + 2]; /* by LSN */
	unsigned told_count;
	struct told told[LOGS];
	uint32_t used;
	unsigned values; /* of each array, the first so many are in use */
	struct value value[VALUES];
	char arena[ARENA];
};

struct hf_log {
	char session[HF_SESSION_ID_MAX + 1];
	size_t session_len;
	uint64_t head, tail;
	int64_t time_ms;
	uint64_t lsns[ENTRIES + 2]; /* by offset */
	uint8_t kinds[ENTRIES + 2];
	uint32_t sizes[ENTRIES + 2];
	struct hf_gone gone;
	uint8_t state;
	unsigned users;
};

struct hf_store {
	hf_store_replay_fn replay;
	void *context;
	uint64_t head, stamp;
	bool failed, dirty, visiting;
	unsigned readers; /* scans and records that are open */
	unsigned unflushed;
	unsigned pending_count;
	struct value pending[VALUES];
	struct hf_log *in_doubt; /* a truncation failed and may have happened: the next start, or recovery, will see */
	uint64_t in_doubt_tail;
	unsigned log_count;
	struct hf_log logs[LOGS];
};

extern struct disk *disk;
extern bool disk_fails;
extern struct hf_store *open_store;

/* The record at an LSN of the disk, decoded; the caller frees *copy. */
bool record_read(uint64_t lsn, struct hf_entry *entry, char **copy);

/* What is pending, to disk. */
void values_write(struct hf_store *store);

/* memory_truncate.c: the sessions' records, to disk and back. */
void told_write(const struct hf_log *log);
void told_read(struct hf_log *log);

/* The truncation that failed happened, or not. */
void truncate_settle(struct hf_store *store);

#endif
