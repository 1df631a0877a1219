/* SPDX-License-Identifier: BSD-3-Clause */
#include "memory_store.h"

/* ---- logs */

struct hf_slice hf_log_session(const struct hf_log *log)
{
	return hf_slice_from(log->session, log->session_len);
}

uint64_t hf_log_head(const struct hf_log *log)
{
	return log->head;
}

uint64_t hf_log_tail(const struct hf_log *log)
{
	return log->tail;
}

uint64_t hf_log_head_lsn(const struct hf_log *log)
{
	return log->lsns[log->head];
}

int64_t hf_log_time(const struct hf_log *log)
{
	return log->time_ms;
}

enum hf_reason hf_log_offset_after(struct hf_log *log, uint64_t lsn, uint64_t *offset)
{
	*offset = log->tail;
	while (*offset <= log->head && log->lsns[*offset] <= lsn) {
		++*offset;
	}
	return HF_OK;
}

enum hf_reason hf_log_offset_at(struct hf_log *log, int64_t time_ms, uint64_t *offset)
{
	*offset = log->tail;
	while (*offset <= log->head) {
		struct hf_entry entry;
		char *copy;
		must(record_read(log->lsns[*offset], &entry, &copy), "a record does not decode");
		free(copy);
		if (entry.time_ms >= time_ms) {
			break;
		}
		++*offset;
	}
	return HF_OK;
}

enum hf_reason hf_log_lsn_of(struct hf_log *log, uint64_t offset, uint64_t *lsn)
{
	must(offset >= log->tail && offset <= log->head, "the LSN of offset %llu was asked, of %llu",
		(unsigned long long)offset, (unsigned long long)log->head);
	*lsn = log->lsns[offset];
	return HF_OK;
}

/* ---- scans and records */

static struct hf_store *reading; /* one store at a time */

struct hf_scan {
	struct hf_log *log;
	uint64_t next;
	bool down;
};

enum hf_reason hf_scan_open(struct hf_log *log, uint64_t first_offset, struct hf_scan **out)
{
	must(log->users > 0, "a scan of a log that nobody holds");
	*out = malloc(sizeof(**out));
	if (!*out) {
		return HF_NO_MEMORY;
	}
	**out = (struct hf_scan){.log = log, .next = first_offset > log->tail ? first_offset : log->tail};
	return HF_OK;
}

enum hf_reason hf_scan_open_down(struct hf_log *log, uint64_t end_offset, struct hf_scan **out)
{
	enum hf_reason reason = hf_scan_open(log, log->tail, out);

	if (reason == HF_OK) {
		(*out)->next = end_offset > log->head ? log->head : end_offset > 0 ? end_offset - 1 : 0;
		(*out)->down = true;
	}
	return reason;
}

bool hf_scan_next(struct hf_scan *scan, struct hf_ref *ref)
{
	if (scan->next > scan->log->head || scan->next < scan->log->tail) {
		return false;
	}
	*ref = (struct hf_ref){
		.offset = scan->next,
		.lsn = scan->log->lsns[scan->next],
		.kind = (enum hf_kind)scan->log->kinds[scan->next],
		.size = scan->log->sizes[scan->next],
	};
	scan->next += scan->down ? UINT64_MAX : 1;
	return true;
}

enum hf_reason hf_scan_reason(const struct hf_scan *scan)
{
	(void)scan;
	return HF_OK;
}

void hf_scan_close(struct hf_scan *scan)
{
	free(scan);
}

struct hf_records {
	char *copy; /* freed at the next call: the sanitizer sees who reads it for too long */
};

enum hf_reason hf_records_open(struct hf_store *store, struct hf_records **out)
{
	*out = calloc(1, sizeof(**out));
	if (!*out) {
		return HF_NO_MEMORY;
	}
	reading = store;
	store->readers++;
	return HF_OK;
}

enum hf_reason hf_records_at(struct hf_records *records, uint64_t lsn, struct hf_entry *entry)
{
	free(records->copy);
	records->copy = NULL;
	if (lsn == 0 || lsn > reading->head || !record_read(lsn, entry, &records->copy)) {
		return HF_RECORD_CORRUPT;
	}
	return HF_OK;
}

enum hf_reason hf_records_after(struct hf_records *records, uint64_t lsn, struct hf_entry *entry, bool *found)
{
	while (lsn < reading->head && disk->records[lsn + 1].len == 0) {
		lsn++;
	}
	*found = lsn < reading->head;
	return *found ? hf_records_at(records, lsn + 1, entry) : HF_OK;
}

void hf_records_close(struct hf_records *records)
{
	if (records) {
		reading->readers--;
		free(records->copy);
		free(records);
	}
}

/* ---- values */

struct key {
	char bytes[KEY_SIZE];
	size_t len;
};

static void key_add(struct key *key, struct hf_slice part)
{
	must(key->len + part.len <= KEY_SIZE, "a key is too long for the store in memory");
	if (part.len > 0) {
		memcpy(key->bytes + key->len, part.data, part.len);
	}
	key->len += part.len;
}

static struct key fact_key(struct hf_slice session, uint8_t type, struct hf_slice name)
{
	struct key key = {.len = 0};

	key_add(&key, hf_slice_of("f"));
	key_add(&key, session);
	key_add(&key, hf_slice_from("", 1));
	key_add(&key, hf_slice_from(&type, 1));
	key_add(&key, name);
	return key;
}

static struct key device_key(struct hf_slice device, struct hf_slice filter)
{
	struct key key = {.len = 0};

	key_add(&key, hf_slice_of("d"));
	key_add(&key, device);
	if (filter.len > 0) {
		key_add(&key, hf_slice_from("", 1));
		key_add(&key, filter);
	}
	return key;
}

static struct key share_key(struct hf_slice group, struct hf_slice session)
{
	struct key key = {.len = 0};

	key_add(&key, hf_slice_of("g"));
	key_add(&key, group);
	key_add(&key, hf_slice_from("", 1));
	key_add(&key, session);
	return key;
}

static struct value *value_find(struct value *values, unsigned count, const struct key *key)
{
	for (unsigned i = 0; i < count; i++) {
		if (values[i].used && values[i].key_len == key->len && memcmp(values[i].key, key->bytes, key->len) == 0) {
			return &values[i];
		}
	}
	return NULL;
}

static struct value *value_make(struct value *values, unsigned *count, const struct key *key)
{
	struct value *value = value_find(values, *count, key);

	if (!value) {
		must(*count < VALUES, "the store in memory has room for %d values", VALUES);
		value = &values[(*count)++];
		value->used = true;
		value->key_len = (uint16_t)key->len;
		memcpy(value->key, key->bytes, key->len);
	}
	return value;
}

static enum hf_reason put(struct hf_store *store, struct key key, const struct hf_slice *bytes)
{
	struct value *value = value_make(store->pending, &store->pending_count, &key);

	must(!store->visiting, "a put from inside a visit");
	value->gone = !bytes;
	value->value_len = 0;
	if (bytes) {
		must(bytes->len <= VALUE_SIZE, "a value of %zu bytes is too long for the store in memory", bytes->len);
		value->value_len = (uint16_t)bytes->len;
		memcpy(value->value, bytes->data, bytes->len);
	}
	return HF_OK;
}

static enum hf_reason get(struct hf_store *store, struct key key, struct hf_buffer *out, bool *found)
{
	const struct value *value = value_find(store->pending, store->pending_count, &key);

	if (!value) {
		value = value_find(disk->value, disk->values, &key);
	}
	*found = value && !value->gone;
	return !*found || hf_buffer_append(out, value->value, value->value_len) ? HF_OK : HF_NO_MEMORY;
}

void values_write(struct hf_store *store)
{
	for (unsigned i = 0; i < store->pending_count; i++) {
		struct value *value = &store->pending[i];
		struct key key = {.len = value->key_len};
		memcpy(key.bytes, value->key, value->key_len);
		struct value *there = value_make(disk->value, &disk->values, &key);
		there->gone = value->gone;
		there->value_len = value->value_len;
		memcpy(there->value, value->value, value->value_len);
		value->used = value->gone = false;
	}
	store->pending_count = 0;
}

static int by_key(const void *a, const void *b)
{
	const struct value *left = *(const struct value *const *)a, *right = *(const struct value *const *)b;
	size_t len = left->key_len < right->key_len ? left->key_len : right->key_len;
	int order = memcmp(left->key, right->key, len);

	return order ? order : (int)left->key_len - (int)right->key_len;
}

/* Those that begin with `prefix`, in key order, what is pending before what is on disk. */
static size_t list(struct hf_store *store, const struct key *prefix, const struct value **out)
{
	size_t count = 0;

	for (unsigned pass = 0; pass < 2; pass++) {
		const struct value *values = pass == 0 ? store->pending : disk->value;
		unsigned values_count = pass == 0 ? store->pending_count : disk->values;
		for (unsigned i = 0; i < values_count; i++) {
			struct key key = {.len = values[i].key_len};
			memcpy(key.bytes, values[i].key, key.len);
			bool hidden = pass == 1 && value_find(store->pending, store->pending_count, &key);
			if (values[i].used && !values[i].gone && !hidden && key.len >= prefix->len &&
				memcmp(key.bytes, prefix->bytes, prefix->len) == 0) {
				out[count++] = &values[i];
			}
		}
	}
	qsort(out, count, sizeof(*out), by_key);
	return count;
}

enum hf_reason hf_fact_put(
	struct hf_store *store, struct hf_slice session, uint8_t type, struct hf_slice name, const struct hf_slice *value)
{
	return put(store, fact_key(session, type, name), value);
}

enum hf_reason hf_fact_get(struct hf_store *store, struct hf_slice session, uint8_t type, struct hf_slice name,
	struct hf_buffer *value, bool *found)
{
	return get(store, fact_key(session, type, name), value, found);
}

enum hf_reason hf_device_put(struct hf_store *store, struct hf_slice device, const struct hf_slice *value)
{
	return put(store, device_key(device, HF_SLICE_NONE), value);
}

enum hf_reason hf_device_get(struct hf_store *store, struct hf_slice device, struct hf_buffer *value, bool *found)
{
	return get(store, device_key(device, HF_SLICE_NONE), value, found);
}

enum hf_reason hf_filter_put(
	struct hf_store *store, struct hf_slice device, struct hf_slice filter, const struct hf_slice *value)
{
	return put(store, device_key(device, filter), value);
}

enum hf_reason hf_fact_each(struct hf_store *store, struct hf_slice session, uint8_t type, hf_fact_fn fn, void *context)
{
	const struct value *values[2 * VALUES];
	struct key prefix = fact_key(session, type, HF_SLICE_NONE);

	size_t count = list(store, &prefix, values);
	store->visiting = true;
	for (size_t i = 0; i < count; i++) {
		if (!fn(context, hf_slice_from(values[i]->key + prefix.len, values[i]->key_len - prefix.len),
				hf_slice_from(values[i]->value, values[i]->value_len))) {
			break;
		}
	}
	store->visiting = false;
	return HF_OK;
}

enum hf_reason hf_device_each(struct hf_store *store, hf_device_fn fn, void *context)
{
	const struct value *values[2 * VALUES];
	struct key prefix = {.len = 0};

	key_add(&prefix, hf_slice_of("d"));
	size_t count = list(store, &prefix, values);
	store->visiting = true;
	for (size_t i = 0; i < count; i++) {
		const char *device = values[i]->key + 1;
		size_t rest = values[i]->key_len - (size_t)1, len = strnlen(device, rest);
		struct hf_slice filter = len < rest ? hf_slice_from(device + len + 1, rest - len - 1) : HF_SLICE_NONE;
		if (!fn(context, hf_slice_from(device, len), filter, hf_slice_from(values[i]->value, values[i]->value_len))) {
			break;
		}
	}
	store->visiting = false;
	return HF_OK;
}

enum hf_reason hf_share_put(
	struct hf_store *store, struct hf_slice group, struct hf_slice session, const struct hf_slice *value)
{
	return put(store, share_key(group, session), value);
}

enum hf_reason hf_share_each(struct hf_store *store, hf_share_fn fn, void *context)
{
	const struct value *values[2 * VALUES];
	struct key prefix = {.len = 0};

	key_add(&prefix, hf_slice_of("g"));
	size_t count = list(store, &prefix, values);
	store->visiting = true;
	for (size_t i = 0; i < count; i++) {
		const char *zero = memchr(values[i]->key, 0, values[i]->key_len);
		size_t group_len = (size_t)(zero - values[i]->key) - 1;
		if (!fn(context, hf_slice_from(values[i]->key + 1, group_len),
				hf_slice_from(zero + 1, values[i]->key_len - group_len - 2),
				hf_slice_from(values[i]->value, values[i]->value_len))) {
			break;
		}
	}
	store->visiting = false;
	return HF_OK;
}
