/* SPDX-License-Identifier: BSD-3-Clause */
/* A store that keeps an audit, what verify says of it, and ways to tamper with it. */
#ifndef HF_TEST_UNIT_STORE_AUDITED_H
#define HF_TEST_UNIT_STORE_AUDITED_H

#include "store_faults.h"

#include "store/audit_internal.h"

static char key_path[320];

static inline enum hf_reason try_open_audited(struct hf_store **store)
{
	snprintf(key_path, sizeof key_path, "%s/key", directory);
	return hf_store_open(&(struct hf_store_options){.path = store_path, .audit_key = key_path, .now_ms = 500}, NULL,
		NULL, store, message, sizeof message);
}

static inline struct hf_store *open_audited(void)
{
	struct hf_store *store;
	enum hf_reason reason = try_open_audited(&store);

	ck_assert_msg(reason == HF_OK, "open: %s: %s", hf_reason_name(reason), message);
	return store;
}

static inline void add_one(struct hf_store *store, const char *session, const char *identity)
{
	struct hf_audit record = {.kind = HF_AUDIT_SUBSCRIBED,
		.time_ms = 2000,
		.session = hf_slice_of(session),
		.identity = hf_slice_of(identity)};

	ck_assert_ok(hf_audit_add(store, &record));
}

/* As many signatures as it takes, or all: that makes no difference to what is found. */
static inline struct hf_verified verify_opened(struct hf_store *store)
{
	struct hf_verified verified, each;

	ck_assert_ok(hf_audit_verify(store, NULL, &verified));
	ck_assert_ok(hf_audit_verify(store, &(struct hf_verify_options){.each_signature = true}, &each));
	ck_assert_str_eq(verified.bad, each.bad);
	ck_assert_uint_eq(verified.seals, each.seals);
	ck_assert_uint_le(verified.signatures, each.signatures);
	return verified;
}

/* Remove the oldest entries, as retention does. */
static inline void truncate_noted(struct hf_store *store, struct hf_log *log, uint64_t tail)
{
	struct hf_audit record = {.kind = HF_AUDIT_TRUNCATED,
		.time_ms = 2000,
		.session = hf_log_session(log),
		.first = hf_log_tail(log),
		.last = tail - 1};

	ck_assert_ok(hf_audit_add(store, &record));
	ck_assert_ok(hf_log_truncate(log, tail));
	ck_assert_uint_eq(hf_log_tail(log), tail);
}

static inline struct hf_verified verify(void)
{
	struct hf_store *store;

	ck_assert_ok(try_open(&store, true));
	struct hf_verified verified = verify_opened(store);
	hf_store_close(store);
	return verified;
}

static inline void check_good(uint64_t entries, uint64_t records, uint64_t seals)
{
	struct hf_verified verified = verify();

	ck_assert_str_eq(verified.bad, "");
	ck_assert_uint_eq(verified.entries, entries);
	ck_assert_uint_eq(verified.records, records);
	ck_assert_uint_eq(verified.seals, seals);
}

static inline void check_bad(const char *words)
{
	struct hf_verified verified = verify();

	ck_assert_msg(strstr(verified.bad, words) != NULL, "not '%s' in: %s", words, verified.bad);
}

/* ---- tampering --------------------------------------------------------------------------------------------- */

/* Of a record, or of a seal. */
static inline struct hf_slice number_key(enum hf_family family, uint64_t number, char key[HF_SEAL_KEY_SIZE])
{
	if (family == HF_FAMILY_AUDIT_INDEX) {
		hf_put_seal_key(key, number);
		return hf_slice_from(key, HF_SEAL_KEY_SIZE);
	}
	hf_put_be64(key, number);
	return hf_slice_from(key, HF_LSN_KEY_SIZE);
}

static inline void get_value(struct hf_store *store, enum hf_family family, uint64_t number, struct hf_buffer *out)
{
	rocksdb_pinnableslice_t *pinned;
	char key[HF_SEAL_KEY_SIZE];

	ck_assert_ok(hf_database_get(store, family, number_key(family, number, key), &pinned));
	ck_assert_ptr_nonnull(pinned);
	hf_buffer_clear(out);
	ck_assert(hf_buffer_append(out, hf_pinned_slice(pinned).data, hf_pinned_slice(pinned).len));
	rocksdb_pinnableslice_destroy(pinned);
}

static inline void put_value(struct hf_store *store, enum hf_family family, uint64_t number, struct hf_slice value)
{
	char *error = NULL;
	char bytes[HF_SEAL_KEY_SIZE];

	struct hf_slice key = number_key(family, number, bytes);
	rocksdb_put_cf(
		store->db, store->write_options, store->families[family], key.data, key.len, value.data, value.len, &error);
	ck_assert_ptr_null(error);
}

static inline void remove_value(struct hf_store *store, enum hf_family family, uint64_t number)
{
	char *error = NULL;
	char bytes[HF_SEAL_KEY_SIZE];

	struct hf_slice key = number_key(family, number, bytes);
	rocksdb_delete_cf(store->db, store->write_options, store->families[family], key.data, key.len, &error);
	ck_assert_ptr_null(error);
}

#endif
