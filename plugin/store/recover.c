/* SPDX-License-Identifier: BSD-3-Clause */
/* Finding out what is in the log: at open, the entries above the "indexed" mark; after a failed write, whether the
 * entry in doubt is there. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "store/audit_internal.h"

#define PROBE_SIZE 65536

static enum hf_reason mismatch(struct hf_log *log, const struct hf_entry *entry, uint64_t indexed)
{
	hf_store_say(log->store,
		"%s: log and index disagree: session %.*s has the head %llu, LSN %llu has its offset %llu, but the index LSN "
		"%llu",
		log->store->path, (int)log->session_len, log->session, (unsigned long long)log->record.head,
		(unsigned long long)entry->lsn, (unsigned long long)entry->offset, (unsigned long long)indexed);
	return HF_STORE_FAILED;
}

/* The index may be ahead of the mark: see hf_index_write. */
static enum hf_reason check_indexed(struct hf_log *log, const struct hf_entry *entry)
{
	uint64_t lsn;

	if (entry->offset < log->record.tail)
		return HF_OK;
	if (hf_log_lsn_of(log, entry->offset, &lsn) != HF_OK)
		return HF_STORE_FAILED;
	return lsn == entry->lsn ? HF_OK : mismatch(log, entry, lsn);
}

static enum hf_reason replay_entry(struct hf_store *store, struct hf_slice record, uint64_t lsn)
{
	struct hf_entry entry;
	struct hf_log *log;
	enum hf_reason reason = hf_entry_decode(record, &entry);

	if (reason != HF_OK) {
		hf_store_say(store, "%s: the record of LSN %llu does not decode", store->path, (unsigned long long)lsn);
		return HF_STORE_FAILED;
	}
	entry.lsn = lsn;
	reason = hf_log_acquire(store, entry.session, true, &log);
	if (reason != HF_OK)
		return reason == HF_NO_MEMORY ? reason : HF_STORE_FAILED;
	if (entry.offset <= log->record.head)
		reason = check_indexed(log, &entry);
	else if (entry.offset > log->record.head + 1)
		reason = mismatch(log, &entry, log->record.head_lsn);
	else if (!hf_log_make_room(log))
		reason = HF_NO_MEMORY;
	else
		hf_log_add(log, &entry, record.len);
	if (reason == HF_OK) {
		store->head = lsn;
		if (store->replay != NULL)
			store->replay(store->context, &entry);
	}
	hf_log_release(log);
	return reason;
}

/* Take all entries above store->head into memory. */
static enum hf_reason replay_log(struct hf_store *store, rocksdb_iterator_t *iterator)
{
	char from[HF_LSN_KEY_SIZE];

	hf_put_be64(from, store->head + 1);
	for (rocksdb_iter_seek(iterator, from, sizeof from); rocksdb_iter_valid(iterator); rocksdb_iter_next(iterator)) {
		struct hf_slice key = hf_iterator_key(iterator);
		enum hf_reason reason = HF_OK;
		if (key.len != HF_LSN_KEY_SIZE || hf_get_be64(key.data) != store->head + 1) {
			hf_store_say(
				store, "%s: the log has a hole: LSN %llu is missing", store->path, (unsigned long long)store->head + 1);
			return HF_STORE_FAILED;
		}
		/* Before an entry, never after it: the mark says that all is derived from the ones before. */
		if (store->unflushed >= HF_UNFLUSHED_MAX && store->writable && !store->failed)
			reason = hf_store_flush(store);
		if (reason == HF_OK)
			reason = replay_entry(store, hf_iterator_value(iterator), store->head + 1);
		if (reason != HF_OK)
			return reason;
	}
	return hf_iterator_check(store, iterator) == HF_OK ? HF_OK : HF_STORE_FAILED;
}

static enum hf_reason read_indexed(struct hf_store *store, uint64_t *indexed)
{
	rocksdb_pinnableslice_t *pinned;
	enum hf_reason reason = hf_database_get(store, HF_FAMILY_DEFAULT, hf_slice_of("indexed"), &pinned);

	*indexed = 0;
	if (reason != HF_OK)
		return HF_STORE_FAILED;
	if (pinned == NULL)
		return HF_OK;
	struct hf_slice value = hf_pinned_slice(pinned);
	if (value.len == 8) {
		*indexed = hf_get_le64(value.data);
	} else {
		hf_store_say(store, "%s: the mark 'indexed' does not decode", store->path);
		reason = HF_STORE_FAILED;
	}
	rocksdb_pinnableslice_destroy(pinned);
	return reason;
}

enum hf_reason hf_store_replay(struct hf_store *store)
{
	enum hf_reason reason = read_indexed(store, &store->indexed);

	if (reason != HF_OK)
		return reason;
	reason = hf_stamp_read(store);
	if (reason != HF_OK)
		return reason;
	store->head = store->indexed;
	rocksdb_iterator_t *iterator = hf_database_iterate(store, HF_FAMILY_LOG);
	reason = replay_log(store, iterator);
	rocksdb_iter_destroy(iterator);
	if (reason == HF_OK && store->writable)
		reason = hf_store_flush(store);
	return reason;
}

/* ---- after a failed write -------------------------------------------------------------------------------- */

/* Does the database go on where memory is? What it acknowledged must be there; it may have one entry more, whose
 * put failed, and the mark of a flush that failed. */
static enum hf_reason check_continuity(struct hf_store *store, rocksdb_iterator_t *iterator)
{
	uint64_t indexed;
	uint64_t newest = 0;
	enum hf_reason reason = read_indexed(store, &indexed);

	if (reason != HF_OK)
		return reason;
	rocksdb_iter_seek_to_last(iterator);
	if (rocksdb_iter_valid(iterator))
		newest = hf_get_be64(hf_iterator_key(iterator).data);
	else if (hf_iterator_check(store, iterator) != HF_OK)
		return HF_STORE_FAILED;
	if (newest < indexed)
		newest = indexed; /* the newest ones were removed */
	if ((newest == store->head || newest == store->head + 1) && (indexed == store->indexed || indexed == store->head))
		return HF_OK;
	hf_store_say(store,
		"%s: the database lost writes: the log ends at LSN %llu, indexed to %llu; it was at %llu and %llu", store->path,
		(unsigned long long)newest, (unsigned long long)indexed, (unsigned long long)store->head,
		(unsigned long long)store->indexed);
	return HF_STORE_FAILED;
}

static enum hf_reason settle(struct hf_store *store)
{
	rocksdb_iterator_t *iterator = hf_database_iterate(store, HF_FAMILY_LOG);
	enum hf_reason reason = check_continuity(store, iterator);

	if (reason == HF_OK)
		reason = hf_truncate_settle(store);
	if (reason == HF_OK)
		reason = hf_audit_settle(store);
	if (reason == HF_OK)
		reason = replay_log(store, iterator);
	rocksdb_iter_destroy(iterator);
	if (reason == HF_OK)
		reason = hf_block_catch_up(store);
	if (reason == HF_OK)
		store->failed = false;
	return reason;
}

static bool write_probe(int file)
{
	static const char zeros[4096];

	for (size_t written = 0; written < PROBE_SIZE; written += sizeof zeros) {
		if (write(file, zeros, sizeof zeros) != (ssize_t)sizeof zeros)
			return false;
	}
	return fsync(file) == 0;
}

/* Does the disk take writes? To ask a full one by closing and opening would cost the readers the database meanwhile,
 * and up to a second: RocksDB waits that long in its own tries before it lets itself be closed. */
static enum hf_reason probe(struct hf_store *store)
{
	char path[PATH_MAX];
	bool taken = false;

	errno = 0;
	snprintf(path, sizeof path, "%s/PROBE", store->path);
	int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (file >= 0) {
		taken = write_probe(file);
		int error = errno;
		close(file);
		(void)unlink(path);
		errno = error;
	}
	if (taken)
		return HF_OK;
	hf_store_say(store, "%s: still takes no writes: %s", store->path, strerror(errno != 0 ? errno : ENOSPC));
	return HF_STORE_FAILED;
}

enum hf_reason hf_store_recover(struct hf_store *store)
{
	char why[HF_ERROR_SIZE];

	if (!store->failed)
		return HF_OK;
	if (probe(store) != HF_OK)
		return HF_STORE_FAILED;
	hf_database_close(store);
	enum hf_reason reason = hf_database_open(store, HF_OPEN_EXISTING);
	if (reason == HF_OK)
		return settle(store);
	/* Readers can go on meanwhile, if it can be read at all. */
	memcpy(why, store->error, sizeof why);
	(void)hf_database_open(store, HF_OPEN_READ);
	memcpy(store->error, why, sizeof why);
	return HF_STORE_FAILED;
}
