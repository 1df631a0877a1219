/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening, appending, flushing, failing and recovering. Reading is in memory_read.c. */
#include "memory_store.h"

#include "log.h"

#include <sys/mman.h>

struct disk *disk;
bool disk_fails;
struct hf_store *open_store;

/* ---- for the schedule */

void store_control_make(void)
{
	disk = mmap(NULL, sizeof(*disk), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (disk == MAP_FAILED) {
		perror("mmap");
		exit(EXIT_FAILURE);
	}
}

void store_control_begin(void)
{
	disk->head = disk->indexed = disk->stamp = 0;
	disk->used = disk->values = disk->told_count = 0;
}

void store_control_end(void)
{
}

const char *store_control_path(void)
{
	return "memory";
}

bool store_control_can_truncate(void)
{
	return true;
}

bool store_control_can_fail(void)
{
	return true;
}

void store_control_fail(bool fails)
{
	disk_fails = fails;
}

bool store_control_failed(void)
{
	return open_store && open_store->failed;
}

uint64_t store_control_head(void)
{
	return disk->head;
}

bool store_control_idle(void)
{
	return !open_store || open_store->readers == 0;
}

/* ---- open and close */

static struct hf_log *log_of(struct hf_store *store, struct hf_slice session)
{
	for (unsigned i = 0; i < store->log_count; i++) {
		if (hf_slice_equal(session, hf_slice_from(store->logs[i].session, store->logs[i].session_len))) {
			return &store->logs[i];
		}
	}
	must(store->log_count < LOGS, "the store in memory has room for %d sessions", LOGS);
	struct hf_log *log = &store->logs[store->log_count++];
	memcpy(log->session, session.data, session.len);
	log->session_len = session.len;
	told_read(log);
	return log;
}

bool record_read(uint64_t lsn, struct hf_entry *entry, char **copy)
{
	uint32_t len = disk->records[lsn].len;

	*copy = malloc(len ? len : 1);
	memcpy(*copy, disk->arena + disk->records[lsn].at, len);
	if (hf_entry_decode(hf_slice_from(*copy, len), entry) != HF_OK) {
		free(*copy);
		*copy = NULL;
		return false;
	}
	entry->lsn = lsn;
	return true;
}

static void log_add(struct hf_log *log, const struct hf_entry *entry, uint32_t size)
{
	must(entry->offset == log->head + 1, "offset %llu of %s is given after %llu", (unsigned long long)entry->offset,
		log->session, (unsigned long long)log->head);
	log->head = entry->offset;
	log->lsns[log->head] = entry->lsn;
	log->kinds[log->head] = (uint8_t)entry->kind;
	log->sizes[log->head] = size;
	log->time_ms = entry->time_ms;
}

/* Take the records above store->head into memory; those above `indexed` are replayed. */
static void take_up(struct hf_store *store)
{
	while (store->head < disk->head) {
		struct hf_entry entry;
		char *copy;
		uint32_t len = disk->records[store->head + 1].len;
		if (len == 0) {
			store->head++;
			must(store->head <= disk->indexed, "record %llu was removed before it was flushed",
				(unsigned long long)store->head);
			continue;
		}
		must(record_read(store->head + 1, &entry, &copy), "record %llu does not decode",
			(unsigned long long)store->head + 1);
		log_add(log_of(store, entry.session), &entry, len);
		store->head++;
		if (store->head > disk->indexed && store->replay) {
			store->replay(store->context, &entry);
		}
		free(copy);
	}
}

enum hf_reason hf_store_open(const struct hf_store_options *options, hf_store_replay_fn replay, void *context,
	struct hf_store **out, char *message, size_t message_size)
{
	struct hf_store *store = calloc(1, sizeof(*store));

	(void)options;
	(void)message;
	(void)message_size;
	if (!store) {
		return HF_NO_MEMORY;
	}
	store->replay = replay;
	store->context = context;
	store->stamp = disk->stamp;
	*out = open_store = store;
	for (unsigned i = 0; i < disk->told_count; i++) {
		log_of(store, hf_slice_from(disk->told[i].session, disk->told[i].session_len));
	}
	take_up(store);
	values_write(store);
	disk->indexed = store->head;
	store->dirty = false;
	return HF_OK;
}

void hf_store_close(struct hf_store *store)
{
	if (!store) {
		return;
	}
	for (unsigned i = 0; i < store->log_count; i++) {
		must(store->logs[i].users == 0, "the log of %s is still held when the store closes", store->logs[i].session);
	}
	must(store->readers == 0, "a scan or reader is open when the store closes");
	(void)hf_store_commit(store);
	open_store = NULL;
	free(store);
}

const char *hf_store_error(const struct hf_store *store)
{
	return store->failed ? "the simulated disk takes no writes" : "";
}

uint64_t hf_store_head(const struct hf_store *store)
{
	return store->head;
}

/* ---- logs */

enum hf_reason hf_log_acquire(struct hf_store *store, struct hf_slice session, bool create, struct hf_log **out)
{
	struct hf_log *log = log_of(store, session);

	if (log->head == 0 && log->users == 0 && !create) {
		return HF_SESSION_UNKNOWN;
	}
	log->users++;
	*out = log;
	return HF_OK;
}

void hf_log_release(struct hf_log *log)
{
	must(log->users > 0, "the log of %s is released once too often", log->session);
	log->users--;
}

static void append_record(struct hf_store *store, const struct hf_entry *entry)
{
	struct hf_buffer record = {.data = NULL};

	must(hf_entry_encode(entry, &record) == HF_OK, "an entry cannot be encoded");
	must(disk->used + record.len <= ARENA && disk->head < ENTRIES, "the simulated disk is full");
	disk->records[store->head + 1].at = disk->used;
	disk->records[store->head + 1].len = (uint32_t)record.len;
	memcpy(disk->arena + disk->used, record.data, record.len);
	disk->used += (uint32_t)record.len;
	disk->head = store->head + 1;
	hf_buffer_free(&record);
}

enum hf_reason hf_log_append(struct hf_log *log, struct hf_entry *entry, int64_t now_ms)
{
	struct hf_store *store = open_store;

	must(log->users > 0, "an append to a log that nobody holds");
	if (store->failed) {
		return HF_STORE_FAILED;
	}
	if (store->unflushed >= HF_UNFLUSHED_MAX && hf_store_flush(store) != HF_OK) {
		return HF_STORE_FAILED;
	}
	entry->session = hf_slice_from(log->session, log->session_len);
	entry->lsn = store->head + 1;
	entry->offset = log->head + 1;
	entry->time_ms = now_ms > log->time_ms ? now_ms : log->time_ms;
	if (disk_fails) {
		store->failed = true;
		if (one_in(2)) {
			append_record(store, entry);
		}
		return HF_STORE_FAILED;
	}
	append_record(store, entry);
	log_add(log, entry, disk->records[disk->head].len);
	store->head++;
	store->unflushed++;
	store->dirty = true;
	if (entry->kind == HF_KIND_NOTICE) {
		log_noticed(entry);
	}
	return HF_OK;
}

/* ---- what is derived */

static enum hf_reason write_pending(struct hf_store *store, bool index)
{
	if (store->failed) {
		return HF_STORE_FAILED;
	}
	if (disk_fails) {
		store->failed = true;
		if (one_in(2)) {
			return HF_STORE_FAILED;
		}
	}
	/* A write that fails may have happened all the same; then it stays pending too. */
	bool keep = store->failed;
	struct value *kept = keep ? malloc(sizeof(store->pending)) : NULL;
	unsigned count = store->pending_count;
	if (kept) {
		memcpy(kept, store->pending, sizeof(store->pending));
	}
	values_write(store);
	for (unsigned i = 0; index && i < store->log_count; i++) {
		told_write(&store->logs[i]);
	}
	if (index) {
		disk->indexed = store->head;
	}
	if (kept) {
		memcpy(store->pending, kept, sizeof(store->pending));
		store->pending_count = count;
		free(kept);
		return HF_STORE_FAILED;
	}
	if (index) {
		store->dirty = false;
		store->unflushed = 0;
	}
	return HF_OK;
}

enum hf_reason hf_store_flush(struct hf_store *store)
{
	return write_pending(store, true);
}

enum hf_reason hf_store_commit(struct hf_store *store)
{
	return write_pending(store, false);
}

enum hf_reason hf_store_sync(struct hf_store *store)
{
	store->failed = store->failed || disk_fails;
	return store->failed ? HF_STORE_FAILED : HF_OK;
}

bool hf_store_dirty(const struct hf_store *store)
{
	return store->dirty || store->pending_count > 0;
}

bool hf_store_failed(const struct hf_store *store)
{
	return store->failed;
}

enum hf_reason hf_store_recover(struct hf_store *store)
{
	must(store->readers == 0, "the store is recovered under an open scan");
	if (!store->failed) {
		return HF_OK;
	}
	if (disk_fails) {
		return HF_STORE_FAILED;
	}
	truncate_settle(store);
	take_up(store);
	store->failed = false;
	return hf_store_flush(store);
}
