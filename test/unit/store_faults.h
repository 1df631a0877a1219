/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A disk that fails when the test says so. The test program defines write and its like itself; RocksDB, which calls
 * them through the dynamic linker, gets these. The C library's own streams do not come this way.
 * And what the tests do on such a disk: write to two sessions, and compare with what was acknowledged.
 */
#ifndef HF_TEST_UNIT_STORE_FAULTS_H
#define HF_TEST_UNIT_STORE_FAULTS_H

#include <errno.h>
#include <sys/syscall.h>

#include "store_check.h"

/* On a full disk RocksDB tries to go on by itself, from a thread of its own; closed meanwhile, it leaks a memtable. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:rocksdb::SstFileManagerImpl::ClearError\n";
}

enum fault {
	FAULT_ONCE, /* one call fails, the next ones work */
	FAULT_GONE, /* nothing works from then on; half of the first write was done */
	FAULT_FULL, /* the same, as a full disk says it */
	FAULT_KILL, /* half of the write, and the process is gone */
};

static enum fault fault_kind;
static atomic_long fault_calls_left = -1; /* until one fails; negative: never */
static atomic_bool fault_lasts;
static atomic_long fault_fired;

static bool fault_in_sync(void);

/* The n-th call from now on, counted from 1. */
static inline void fault_after(enum fault kind, long n)
{
	sync_fails = fault_in_sync;
	fault_kind = kind;
	fault_fired = 0;
	fault_lasts = false;
	fault_calls_left = n - 1;
}

static inline void fault_clear(void)
{
	fault_calls_left = -1;
	fault_lasts = false;
}

/* 0, or the errno to fail with; *half: a half of what is to be written is written. */
static int fault_now(bool *half)
{
	*half = false;
	const int error = fault_kind == FAULT_FULL ? ENOSPC : EIO;
	if (fault_lasts)
		return error;
	if (fault_calls_left < 0 || fault_calls_left-- != 0)
		return 0;
	fault_fired++;
	if (fault_kind == FAULT_ONCE)
		return error;
	*half = true;
	fault_lasts = true;
	return error;
}

/* RocksDB's own journal of what it does, whose failures are nobody's loss. */
static bool is_info_log(int file)
{
	char link[64];
	char path[4096];

	snprintf(link, sizeof link, "/proc/self/fd/%d", file);
	ssize_t len = readlink(link, path, sizeof path);
	return len >= 4 && memcmp(path + len - 4, "/LOG", 4) == 0;
}

ssize_t write(int file, const void *bytes, size_t len)
{
	bool half = false;
	int error = is_info_log(file) ? 0 : fault_now(&half);

	if (half) {
		ssize_t written = syscall(SYS_write, file, bytes, len / 2);
		if (fault_kind == FAULT_KILL)
			_exit(EXIT_SUCCESS);
		if (len > 1)
			return written;
	}
	if (error == 0)
		return syscall(SYS_write, file, bytes, len);
	errno = error;
	return -1;
}

static bool fault_in_sync(void)
{
	bool half;
	int error = fault_now(&half);

	if (half && fault_kind == FAULT_KILL)
		_exit(EXIT_SUCCESS);
	errno = error;
	return error != 0;
}

/* ---- two sessions on such a disk ---------------------------------------------------------------------------- */

/* What the test knows; in shared memory, for what a killed child knew. */
struct known {
	uint64_t acknowledged[2]; /* heads of sessions a and b */
	uint64_t replayed;        /* entries */
	uint64_t last_replayed;   /* LSN */
};
static struct known *known;
static const char *const names[] = {"a", "b"};

static inline void replay(void *context, const struct hf_entry *entry)
{
	(void)context;
	known->replayed++;
	known->last_replayed = entry->lsn;
}

static inline enum hf_reason open_with(enum hf_durability durability, struct hf_store **store)
{
	*known = (struct known){.acknowledged = {known->acknowledged[0], known->acknowledged[1]}};
	return hf_store_open(&(struct hf_store_options){.path = store_path, .durability = durability}, replay, NULL, store,
		message, sizeof message);
}

static inline enum hf_reason try_append(struct hf_log *log)
{
	char text[64];
	struct hf_entry entry;
	struct hf_slice session = hf_log_session(log);

	snprintf(text, sizeof text, "%.*s %" PRIu64, (int)session.len, session.data, hf_log_head(log) + 1);
	return append_bytes(log, HF_KIND_INPUT, hf_slice_of(text), 1000, &entry);
}

/* One append each, and derived data; the first failure ends it. */
static inline enum hf_reason round_of_writes(struct hf_store *store, struct hf_log *logs[2])
{
	struct hf_slice value = hf_slice_of("value");

	for (int i = 0; i < 2; i++) {
		enum hf_reason reason = try_append(logs[i]);
		if (reason != HF_OK)
			return reason;
		known->acknowledged[i] = hf_log_head(logs[i]);
	}
	ck_assert_ok(hf_device_put(store, hf_slice_of("device"), &value));
	enum hf_reason reason = hf_store_flush(store);
	return reason == HF_OK ? hf_store_sync(store) : reason;
}

/* In the failed state: writes are refused, what was acknowledged can be read. */
static inline void check_failed(struct hf_store *store, struct hf_log *logs[2])
{
	struct hf_entry entry;

	ck_assert(hf_store_failed(store));
	ck_assert_msg(strstr(hf_store_error(store), store_path) != NULL, "no path in: %s", hf_store_error(store));
	for (int i = 0; i < 2; i++) {
		ck_assert_reason(append_bytes(logs[i], HF_KIND_INPUT, HF_SLICE_NONE, 1, &entry), HF_STORE_FAILED);
		check_log(store, logs[i], known->acknowledged[i]);
	}
	ck_assert_reason(hf_store_flush(store), hf_store_dirty(store) ? HF_STORE_FAILED : HF_OK);
	ck_assert_reason(hf_store_sync(store), HF_STORE_FAILED);
}

/* The disk works again. At most the one entry in doubt turns up, and is replayed. */
static inline void check_recovers(struct hf_store *store, struct hf_log *logs[2])
{
	uint64_t before = known->acknowledged[0] + known->acknowledged[1];

	known->replayed = 0;
	ck_assert_msg(hf_store_recover(store) == HF_OK, "%s", hf_store_error(store));
	ck_assert(!hf_store_failed(store));
	uint64_t after = hf_log_head(logs[0]) + hf_log_head(logs[1]);
	ck_assert(after == before || after == before + 1);
	ck_assert_uint_eq(known->replayed, after - before);
	if (known->replayed > 0)
		ck_assert_uint_eq(known->last_replayed, hf_store_head(store));
	ck_assert_uint_eq(hf_store_head(store), after);
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_ge(hf_log_head(logs[i]), known->acknowledged[i]);
		known->acknowledged[i] = hf_log_head(logs[i]);
		check_log(store, logs[i], known->acknowledged[i]);
	}
	ck_assert_ok(round_of_writes(store, logs));
}

static inline void hold_logs(struct hf_store *store, struct hf_log *logs[2])
{
	for (int i = 0; i < 2; i++)
		logs[i] = acquire(store, names[i]);
}

static inline void release_and_close(struct hf_store *store, struct hf_log *logs[2])
{
	hf_log_release(logs[0]);
	hf_log_release(logs[1]);
	hf_store_close(store);
}

/* Open without faults; it has what was acknowledged, and `extra` more at most. */
static inline void check_whole(uint64_t extra)
{
	struct hf_store *store;
	struct hf_log *logs[2];

	ck_assert_msg(open_with(HF_DURABILITY_PROCESS, &store) == HF_OK, "%s", message);
	hold_logs(store, logs);
	uint64_t acknowledged = known->acknowledged[0] + known->acknowledged[1];
	ck_assert_uint_ge(hf_store_head(store), acknowledged);
	ck_assert_uint_le(hf_store_head(store), acknowledged + extra);
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_ge(hf_log_head(logs[i]), known->acknowledged[i]);
		check_log(store, logs[i], hf_log_head(logs[i]));
		known->acknowledged[i] = hf_log_head(logs[i]);
	}
	ck_assert_ok(round_of_writes(store, logs));
	release_and_close(store, logs);
}

/* A new one. (In one that was opened often, RocksDB compacts; a compaction that meets an error sleeps for a second
 * before it lets the database be closed.) */
static inline void begin_with_a_store(void)
{
	struct hf_store *store;
	struct hf_log *logs[2];

	remove_tree(store_path);
	if (known == NULL)
		known = shared_memory(sizeof *known);
	*known = (struct known){0};
	ck_assert_ok(open_with(HF_DURABILITY_PROCESS, &store));
	hold_logs(store, logs);
	for (int i = 0; i < 5; i++)
		ck_assert_ok(round_of_writes(store, logs));
	release_and_close(store, logs);
}

#endif
