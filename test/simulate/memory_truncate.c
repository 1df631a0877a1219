/* SPDX-License-Identifier: BSD-3-Clause */
/* Removing the oldest entries, and the records of sessions that tell of it. */
#include "memory_store.h"

#include "log.h"

static struct told *told_find(struct hf_slice session)
{
	for (unsigned i = 0; i < disk->told_count; i++) {
		if (hf_slice_equal(session, hf_slice_from(disk->told[i].session, disk->told[i].session_len))) {
			return &disk->told[i];
		}
	}
	return NULL;
}

void told_write(const struct hf_log *log)
{
	struct told *told = told_find(hf_log_session(log));

	if (log->head == 0) {
		return;
	}
	if (!told) {
		told = &disk->told[disk->told_count++];
		memcpy(told->session, log->session, log->session_len);
		told->session_len = log->session_len;
	}
	told->tail = log->tail;
	told->gone = log->gone;
	told->state = log->state;
}

void told_read(struct hf_log *log)
{
	const struct told *told = told_find(hf_log_session(log));

	log->tail = told ? told->tail : 1;
	log->gone = told ? told->gone : (struct hf_gone){.stamp = 0};
	log->state = told ? told->state : 0;
	if (log->tail > 1 && log->head < log->tail - 1) {
		log->head = log->tail - 1; /* the entries above it come from their records */
		log->lsns[log->head] = hf_log_gone_lsn(log, HF_KINDS_LOGGED);
		log->time_ms = log->gone.time_ms;
	}
}

/* ---- store.h */

int64_t hf_log_oldest(const struct hf_log *log)
{
	struct hf_entry entry;
	char *copy;

	if (log->tail > log->head) {
		return log->time_ms;
	}
	must(record_read(log->lsns[log->tail], &entry, &copy), "a record does not decode");
	free(copy);
	return entry.time_ms;
}

uint64_t hf_log_bytes(const struct hf_log *log)
{
	uint64_t bytes = 0;

	for (uint64_t offset = log->tail; offset <= log->head; offset++) {
		bytes += log->sizes[offset];
	}
	return bytes;
}

uint8_t hf_log_state(const struct hf_log *log)
{
	return log->state;
}

void hf_log_set_state(struct hf_log *log, uint8_t state)
{
	must(log->head > 0, "the state of a session without entries is set");
	open_store->dirty = open_store->dirty || log->state != state;
	log->state = state;
}

const struct hf_gone *hf_log_gone(const struct hf_log *log)
{
	return &log->gone;
}

uint64_t hf_log_gone_lsn(const struct hf_log *log, uint32_t kinds)
{
	uint64_t newest = 0;

	for (enum hf_kind kind = 1; kind <= HF_KIND_LOGGED_LAST; kind++) {
		if ((kinds & HF_KIND_BIT(kind)) && log->gone.lsns[kind] > newest) {
			newest = log->gone.lsns[kind];
		}
	}
	return newest;
}

uint64_t hf_store_stamp(const struct hf_store *store)
{
	return store->stamp;
}

static void remove_oldest(struct hf_log *log)
{
	uint64_t lsn = log->lsns[log->tail];
	struct hf_entry entry;
	char *copy;

	must(record_read(lsn, &entry, &copy), "record %llu does not decode", (unsigned long long)lsn);
	log->gone.time_ms = entry.time_ms;
	log->gone.lsns[log->kinds[log->tail]] = lsn;
	log->tail++;
	disk->records[lsn].len = 0;
	log_removed(lsn);
	free(copy);
}

static bool remove_below(struct hf_store *store, struct hf_log *log, uint64_t tail)
{
	uint64_t before = log->tail;

	while (log->tail < tail && log->tail - before < HF_TRUNCATE_MAX && log->lsns[log->tail] <= disk->indexed) {
		remove_oldest(log);
	}
	if (log->tail == before) {
		return false;
	}
	log->gone.stamp = store->stamp = disk->stamp = store->stamp >= store->head ? store->stamp + 1 : store->head;
	told_write(log);
	return true;
}

void truncate_settle(struct hf_store *store)
{
	if (store->in_doubt && one_in(2)) {
		remove_below(store, store->in_doubt, store->in_doubt_tail);
	}
	store->in_doubt = NULL;
}

enum hf_reason hf_log_truncate(struct hf_log *log, uint64_t tail)
{
	struct hf_store *store = open_store;

	must(store->readers == 0, "a truncation under an open reader");
	must(tail <= log->head + 1, "a tail of %llu behind the head %llu", (unsigned long long)tail,
		(unsigned long long)log->head);
	if (store->failed) {
		return HF_STORE_FAILED;
	}
	if (disk_fails) {
		store->failed = true;
		store->in_doubt = log;
		store->in_doubt_tail = tail;
		return HF_STORE_FAILED;
	}
	if (remove_below(store, log, tail)) {
		values_write(store);
	}
	return HF_OK;
}

enum hf_reason hf_truncated_each(struct hf_store *store, uint64_t after, hf_truncated_fn fn, void *context)
{
	for (;;) {
		const struct hf_log *next = NULL;
		for (unsigned i = 0; i < store->log_count; i++) {
			const struct hf_log *log = &store->logs[i];
			if (log->gone.stamp > after && (!next || log->gone.stamp < next->gone.stamp)) {
				next = log;
			}
		}
		if (!next || !fn(context, next->gone.stamp, hf_log_session(next))) {
			return HF_OK;
		}
		after = next->gone.stamp;
	}
}

/* ---- the list */

static int by_id(const void *a, const void *b)
{
	return strcmp((*(const struct hf_log *const *)a)->session, (*(const struct hf_log *const *)b)->session);
}

enum hf_reason hf_session_each(struct hf_store *store, struct hf_slice after, hf_session_fn fn, void *context)
{
	const struct hf_log *logs[LOGS];
	char id[HF_SESSION_ID_MAX + 1];

	snprintf(id, sizeof(id), "%.*s", (int)after.len, after.len > 0 ? after.data : "");
	for (unsigned i = 0; i < store->log_count; i++) {
		logs[i] = &store->logs[i];
	}
	qsort(logs, store->log_count, sizeof(logs[0]), by_id);
	for (unsigned i = 0; i < store->log_count; i++) {
		const struct hf_log *log = logs[i];
		struct hf_session_info info = {
			.session = hf_log_session(log),
			.head = log->head,
			.tail = log->tail,
			.bytes = hf_log_bytes(log),
			.changed_ms = log->time_ms,
			.oldest_ms = hf_log_oldest(log),
			.state = log->state,
		};
		if (log->head > 0 && strcmp(log->session, id) > 0 && !fn(context, &info)) {
			break;
		}
	}
	return HF_OK;
}

/* Nobody is erased in a simulation. */
enum hf_reason hf_log_erase(struct hf_store *store, struct hf_erase *erase, unsigned limit)
{
	(void)store;
	(void)limit;
	erase->lsn = erase->until;
	return HF_OK;
}

enum hf_reason hf_store_scrub(struct hf_store *store, uint64_t first, uint64_t last, bool *done)
{
	(void)store;
	(void)first;
	(void)last;
	*done = true;
	return HF_OK;
}
