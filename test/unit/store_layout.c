/* SPDX-License-Identifier: BSD-3-Clause */
/* The bytes on disk. These tests change only together with HF_STORE_FORMAT. */
#include "store_check.h"

#include "store/store_internal.h"

static char *hex_of(struct hf_slice bytes)
{
	char *text = malloc(2 * bytes.len + 1);

	ck_assert_ptr_nonnull(text);
	text[0] = '\0';
	for (size_t i = 0; i < bytes.len; i++)
		sprintf(text + 2 * i, "%02x", (unsigned char)bytes.data[i]);
	return text;
}

struct pair {
	const char *key;
	const char *value;
};

/* A family has exactly these. */
static void check_family(struct hf_store *of, enum hf_family family, const struct pair *pairs, size_t count)
{
	rocksdb_iterator_t *iterator = hf_database_iterate(of, family);
	size_t i = 0;

	for (rocksdb_iter_seek_to_first(iterator); rocksdb_iter_valid(iterator); rocksdb_iter_next(iterator), i++) {
		ck_assert_uint_lt(i, count);
		char *key = hex_of(hf_iterator_key(iterator));
		char *value = hex_of(hf_iterator_value(iterator));
		ck_assert_str_eq(key, pairs[i].key);
		ck_assert_str_eq(value, pairs[i].value);
		free(key);
		free(value);
	}
	ck_assert_uint_eq(i, count);
	rocksdb_iter_destroy(iterator);
}

#define CHECK_NOTHING(store, family) check_family(store, family, NULL, 0)
#define CHECK_FAMILY(store, family, ...)                                                                               \
	check_family(store, family, (const struct pair[]){__VA_ARGS__},                                                    \
		sizeof((const struct pair[]){__VA_ARGS__}) / sizeof(struct pair))

static struct hf_store *store;
static struct hf_log *chat;
static struct hf_log *b;

static void fill(void)
{
	struct hf_entry entry;

	store = open_store();
	chat = acquire(store, "chat");
	b = acquire(store, "b");
	ck_assert_ok(append_bytes(chat, HF_KIND_TOKENS, hf_slice_of("hi"), 0x0102030405, &entry));
	ck_assert_ok(append_bytes(b, HF_KIND_SHARED, HF_SLICE_NONE, 7, &entry));
	ck_assert_ok(append_bytes(chat, HF_KIND_INPUT, hf_slice_of("!"), 0x0102030406, &entry));
	ck_assert_ok(hf_fact_put(store, hf_slice_of("chat"), 1, hf_slice_from("ann\0r1", 6), &(struct hf_slice){"R", 1}));
	ck_assert_ok(hf_device_put(store, hf_slice_of("tab"), &(struct hf_slice){"D", 1}));
	ck_assert_ok(hf_filter_put(store, hf_slice_of("tab"), hf_slice_of("a/#"), &(struct hf_slice){"F", 1}));
	ck_assert_ok(hf_share_put(store, hf_slice_of("g/f"), HF_SLICE_NONE, &(struct hf_slice){"G", 1}));
	ck_assert_ok(hf_share_put(store, hf_slice_of("g/f"), hf_slice_of("chat"), &(struct hf_slice){"L", 1}));
	ck_assert_ok(hf_store_flush(store));
}

static void end(void)
{
	hf_log_release(chat);
	hf_log_release(b);
	hf_store_close(store);
}

START_TEST(every_family_has_its_golden_bytes)
{
	fill();
	CHECK_FAMILY(store, HF_FAMILY_DEFAULT, {"666f726d6174", "0b000000"}, {"696e6465786564", "0300000000000000"});
	CHECK_FAMILY(store, HF_FAMILY_LOG,
		{"0000000000000001", "020101010400060005000600000000000000000002000000"
							 "01000000000000000504030201000000"
							 "0000000000000000000000000000000000000000000000000000000000000000"
							 "0000000000000000"
							 "63686174746f6b656e736167656e746465766963656869"},
		{"0000000000000002", "020801010100060005000600000000000000000000000000"
							 "01000000000000000700000000000000"
							 "0000000000000000000000000000000000000000000000000000000000000000"
							 "0000000000000000"
							 "627368617265646167656e74646576696365"},
		{"0000000000000003", "020201010400050005000600000000000000000001000000"
							 "02000000000000000604030201000000"
							 "0000000000000000000000000000000000000000000000000000000000000000"
							 "0000000000000000"
							 "63686174696e7075746167656e7464657669636521"});
	CHECK_FAMILY(store, HF_FAMILY_INDEX,
		{"62000000000000000001", "0100"
								 "07000000000000000700000000000000"
								 "0200000000000000"
								 "08"
								 "62"},
		{"63686174000000000000000001", "0200"
									   "05040302010000000604030201000000"
									   "0100000000000000"
									   "0102"
									   "02"
									   "6765"});
	CHECK_FAMILY(store, HF_FAMILY_SESSIONS,
		{"62", "01000000000000000100000000000000"
			   "02000000000000000100000000000000"
			   "6200000000000000"
			   "070000000000000007000000000000000700000000000000"
			   "0000"},
		{"63686174", "02000000000000000100000000000000"
					 "03000000000000000100000000000000"
					 "cc00000000000000"
					 "050403020100000006040302010000000504030201000000"
					 "0000"});
	CHECK_NOTHING(store, HF_FAMILY_TRUNCATED);
	CHECK_FAMILY(store, HF_FAMILY_FACTS, {"636861740001616e6e007231", "52"});
	CHECK_FAMILY(store, HF_FAMILY_DEVICES, {"746162", "44"}, {"74616200612f23", "46"});
	CHECK_FAMILY(store, HF_FAMILY_SHARES, {"672f6600", "47"}, {"672f660063686174", "4c"});
	end();
}
END_TEST

START_TEST(what_a_truncation_leaves_has_golden_bytes)
{
	fill();
	ck_assert_ok(hf_log_truncate(chat, 2));
	CHECK_FAMILY(store, HF_FAMILY_TRUNCATED, {"0000000000000003", "63686174"});
	ck_assert_ok(hf_log_truncate(b, 2));
	CHECK_FAMILY(store, HF_FAMILY_TRUNCATED, {"0000000000000003", "63686174"}, {"0000000000000004", "62"});
	CHECK_FAMILY(store, HF_FAMILY_LOG,
		{"0000000000000003", "020201010400050005000600000000000000000001000000"
							 "02000000000000000604030201000000"
							 "0000000000000000000000000000000000000000000000000000000000000000"
							 "0000000000000000"
							 "63686174696e7075746167656e7464657669636521"});
	CHECK_FAMILY(store, HF_FAMILY_INDEX,
		{"63686174000000000000000001", "0200"
									   "05040302010000000604030201000000"
									   "0100000000000000"
									   "0102"
									   "02"
									   "6765"});
	CHECK_FAMILY(store, HF_FAMILY_SESSIONS,
		{"62", "01000000000000000200000000000000"
			   "02000000000000000000000000000000"
			   "0000000000000000"
			   "070000000000000007000000000000000700000000000000"
			   "0080"
			   "0400000000000000"
			   "0700000000000000"
			   "0200000000000000"},
		{"63686174", "02000000000000000200000000000000"
					 "03000000000000000100000000000000"
					 "6500000000000000"
					 "050403020100000006040302010000000604030201000000"
					 "0001"
					 "0300000000000000"
					 "0504030201000000"
					 "0100000000000000"});
	end();
}
END_TEST

static struct hf_chunk chunk_of(uint32_t count)
{
	struct hf_chunk chunk = {.first = 1, .first_ms = -1, .last_ms = INT64_MAX, .count = count};
	uint64_t lsn = 1;

	for (uint32_t i = 0; i < count; i++) {
		chunk.kinds[i] = (uint8_t)(1 + i % 8);
		chunk.sizes[i] = i % 4 == 3 ? UINT32_MAX - i : i * 37;
		chunk.lsns[i] = lsn;
		lsn += i % 3 == 0 ? 1 : i % 3 == 1 ? 127 + i % 2 : UINT64_C(1) << (i % 50);
	}
	return chunk;
}

START_TEST(chunks_come_back)
{
	struct hf_buffer bytes = {0};

	for (uint32_t count = 1; count <= HF_CHUNK_MAX; count++) {
		const struct hf_chunk chunk = chunk_of(count);
		struct hf_chunk back = {0};
		hf_buffer_clear(&bytes);
		ck_assert_ok(hf_chunk_encode(&chunk, &bytes));
		ck_assert(hf_chunk_decode(hf_buffer_slice(&bytes), &back));
		ck_assert_uint_eq(back.count, count);
		ck_assert_int_eq(back.first_ms, -1);
		ck_assert_int_eq(back.last_ms, INT64_MAX);
		ck_assert_mem_eq(back.kinds, chunk.kinds, count);
		ck_assert_mem_eq(back.lsns, chunk.lsns, count * sizeof chunk.lsns[0]);
		ck_assert_mem_eq(back.sizes, chunk.sizes, count * sizeof chunk.sizes[0]);
	}
	hf_buffer_free(&bytes);
}
END_TEST

START_TEST(the_widest_steps_fit)
{
	struct hf_buffer bytes = {0};
	struct hf_chunk chunk = {
		.first = 1, .count = 2, .kinds = {1, 2}, .sizes = {7, UINT32_MAX}, .lsns = {1, UINT64_MAX}};
	struct hf_chunk back;

	ck_assert_ok(hf_chunk_encode(&chunk, &bytes));
	ck_assert(hf_chunk_decode(hf_buffer_slice(&bytes), &back));
	ck_assert_uint_eq(back.lsns[1], UINT64_MAX);
	ck_assert_uint_eq(back.sizes[1], UINT32_MAX);
	/* One more and the sum would not fit; a tenth byte of 2 and the step itself would not. */
	bytes.data[18]++;
	ck_assert(!hf_chunk_decode(hf_buffer_slice(&bytes), &back));
	bytes.data[18]--;
	size_t last_of_step = bytes.len - 5 - 1 - 1; /* behind it are the sizes, of five bytes and of one */
	ck_assert_uint_eq(bytes.data[last_of_step], 1);
	bytes.data[last_of_step] = 2;
	ck_assert(!hf_chunk_decode(hf_buffer_slice(&bytes), &back));
	bytes.data[last_of_step] = 1;
	/* And a size of more than 32 bits. */
	bytes.data[bytes.len - 1] = 0x10;
	ck_assert(!hf_chunk_decode(hf_buffer_slice(&bytes), &back));
	hf_buffer_free(&bytes);
}
END_TEST

/* A copy of exactly these bytes, so that a sanitizer sees a read beyond them. */
static bool decodes(struct hf_slice bytes, struct hf_chunk *back)
{
	char *copy = malloc(bytes.len > 0 ? bytes.len : 1);

	if (copy == NULL)
		abort();
	memcpy(copy, bytes.data, bytes.len);
	bool decoded = hf_chunk_decode(hf_slice_from(copy, bytes.len), back);
	free(copy);
	return decoded;
}

static bool is_sound(const struct hf_chunk *chunk)
{
	bool sound = chunk->count >= 1 && chunk->count <= HF_CHUNK_MAX;

	for (uint32_t i = 1; sound && i < chunk->count; i++)
		sound = chunk->lsns[i] > chunk->lsns[i - 1];
	return sound;
}

START_TEST(damaged_chunks_are_refused_or_sound)
{
	struct hf_buffer bytes = {0};
	const struct hf_chunk chunk = chunk_of(100);
	struct hf_chunk back;

	ck_assert_ok(hf_chunk_encode(&chunk, &bytes));
	for (size_t len = 0; len < bytes.len; len++)
		ck_assert(!decodes(hf_slice_from(bytes.data, len), &back));
	ck_assert(hf_buffer_append(&bytes, "x", 1));
	ck_assert(!decodes(hf_buffer_slice(&bytes), &back));
	bytes.len--;
	ck_assert(decodes(hf_buffer_slice(&bytes), &back));
	chance_seed();
	bool all_sound = true;
	for (int i = 0; i < 50000; i++) {
		unsigned char *byte = &bytes.data[chance(bytes.len)];
		unsigned char before = *byte;
		*byte = (unsigned char)chance(256);
		if (decodes(hf_buffer_slice(&bytes), &back))
			all_sound = all_sound && is_sound(&back);
		*byte = before;
	}
	ck_assert(all_sound);
	hf_buffer_free(&bytes);
}
END_TEST

/* One that something was removed from, and one that has nothing left. */
static const struct hf_session_record truncated = {
	.head = 9,
	.tail = 4,
	.head_lsn = 20,
	.chunk = 4,
	.bytes = 700,
	.created_ms = 1,
	.changed_ms = -5,
	.oldest_ms = 3,
	.state = 0x81,
	.gone = {.stamp = 0x0102030405060708, .time_ms = -2, .lsns = {[HF_KIND_TOKENS] = 7, [HF_KIND_SHARED] = 3}},
};
static const struct hf_session_record empty = {
	.head = 9,
	.tail = 10,
	.head_lsn = 9,
	.gone = {.stamp = 9, .lsns = {[HF_KIND_INPUT] = 9}},
};

START_TEST(records_of_truncated_sessions_have_golden_bytes)
{
	char bytes[HF_SESSION_RECORD_SIZE];
	struct hf_session_record back;
	size_t len = hf_session_record_encode(&truncated, bytes);
	char *text = hex_of(hf_slice_from(bytes, len));

	ck_assert_str_eq(text, "09000000000000000400000000000000"
						   "14000000000000000400000000000000"
						   "bc02000000000000"
						   "0100000000000000fbffffffffffffff0300000000000000"
						   "8181"
						   "0807060504030201"
						   "feffffffffffffff"
						   "07000000000000000300000000000000");
	free(text);
	ck_assert(hf_session_record_decode(hf_slice_from(bytes, len), &back));
	ck_assert_mem_eq(&back.gone, &truncated.gone, sizeof back.gone);
	ck_assert_uint_eq(back.bytes, 700);
	ck_assert_int_eq(back.changed_ms, -5);
	ck_assert_int_eq(back.oldest_ms, 3);
	ck_assert_uint_eq(back.state, 0x81);
	for (size_t short_len = 0; short_len < len; short_len++)
		ck_assert(!hf_session_record_decode(hf_slice_from(bytes, short_len), &back));
	bytes[65] = 0; /* no kinds: then it ends here */
	ck_assert(!hf_session_record_decode(hf_slice_from(bytes, len), &back));
	ck_assert(!hf_session_record_decode(hf_slice_from(bytes, 82), &back));
}
END_TEST

static bool decodes_again(struct hf_session_record record)
{
	char bytes[HF_SESSION_RECORD_SIZE];
	size_t len = hf_session_record_encode(&record, bytes);

	return hf_session_record_decode(hf_slice_from(bytes, len), &record);
}

START_TEST(session_records_are_checked)
{
	ck_assert(decodes_again(truncated));
	ck_assert(decodes_again(empty));
#define BAD(good, field, value)                                                                                        \
	do {                                                                                                               \
		struct hf_session_record bad = good;                                                                           \
		bad.field = value;                                                                                             \
		ck_assert_msg(!decodes_again(bad), "%s with %s = %s", #good, #field, #value);                                  \
	} while (0)
	BAD(truncated, head, 0);
	BAD(truncated, head, UINT64_MAX);
	BAD(truncated, tail, 0);
	BAD(truncated, tail, 1); /* nothing was removed, then */
	BAD(truncated, tail, 10);
	BAD(truncated, tail, 11);
	BAD(truncated, head_lsn, 8);
	BAD(truncated, chunk, 0);
	BAD(truncated, chunk, 10);
	BAD(truncated, bytes, 0);
	BAD(truncated, gone.stamp, 0);
	BAD(truncated, gone.stamp, 6); /* an entry that came later was removed */
	BAD(empty, chunk, 9);
	BAD(empty, bytes, 1);
	BAD(empty, tail, 9);
#undef BAD
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store: layout");
	TCase *tests = case_with_directory(suite);

	tcase_add_test(tests, every_family_has_its_golden_bytes);
	tcase_add_test(tests, what_a_truncation_leaves_has_golden_bytes);
	tcase_add_test(tests, chunks_come_back);
	tcase_add_test(tests, the_widest_steps_fit);
	tcase_add_test(tests, damaged_chunks_are_refused_or_sound);
	tcase_add_test(tests, records_of_truncated_sessions_have_golden_bytes);
	tcase_add_test(tests, session_records_are_checked);
	return run_suite(suite);
}
