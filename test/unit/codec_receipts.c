/* SPDX-License-Identifier: BSD-3-Clause */
/* Pages of receipts: their bytes, what a live stream costs, and that nothing in a page can lead the reader astray. */
#include "codec_full.h"

#include "codec/receipts.h"

#define BEGIN_MS INT64_C(0x19b2bc68000)
#define BEGIN_HEX "0080c62b9b010000"

static struct hf_device_receipt acknowledged(uint64_t offset, int64_t sent_ms, int64_t took_ms)
{
	return (struct hf_device_receipt){.first = offset,
		.count = 1,
		.state = HF_RECEIPT_ACKNOWLEDGED,
		.sent_ms = BEGIN_MS + sent_ms,
		.took_ms = took_ms};
}

static void check_equal(const struct hf_device_receipt *a, const struct hf_device_receipt *b)
{
	ck_assert_uint_eq(a->first, b->first);
	ck_assert_uint_eq(a->count, b->count);
	ck_assert_int_eq(a->state, b->state);
	ck_assert_int_eq(a->again, b->again);
	ck_assert_int_eq(a->sent_ms, b->sent_ms);
	ck_assert_int_eq(a->took_ms, b->took_ms);
}

static void check_page(const struct hf_device_receipt *receipts, size_t count, struct hf_slice page)
{
	struct hf_page_reader reader;
	struct hf_device_receipt back;

	hf_page_begin(&reader, page);
	for (size_t i = 0; i < count; i++) {
		ck_assert(hf_page_next(&reader, &back));
		check_equal(&back, &receipts[i]);
	}
	ck_assert(!hf_page_next(&reader, &back));
	ck_assert(!reader.damaged);
}

/* One of each state, a run, a range, an offset that lies before, a resend. */
static const struct hf_device_receipt golden[] = {
	{.first = 41, .count = 1, .state = HF_RECEIPT_ACKNOWLEDGED, .sent_ms = BEGIN_MS, .took_ms = 30},
	{.first = 42, .count = 1, .state = HF_RECEIPT_ACKNOWLEDGED, .sent_ms = BEGIN_MS + 20, .took_ms = 200},
	{.first = 43, .count = 1, .state = HF_RECEIPT_UNACKNOWLEDGED, .sent_ms = BEGIN_MS + 40},
	{.first = 50, .count = 1, .state = HF_RECEIPT_REJECTED, .sent_ms = BEGIN_MS + 40, .took_ms = 1},
	{.first = 51, .count = 1, .state = HF_RECEIPT_TOO_LARGE, .sent_ms = BEGIN_MS + 41},
	{.first = 52, .count = 1000, .state = HF_RECEIPT_SENT, .sent_ms = BEGIN_MS + 41},
	{.first = 43, .count = 1, .state = HF_RECEIPT_ACKNOWLEDGED, .again = true, .sent_ms = BEGIN_MS + 541, .took_ms = 2},
	{.first = 44, .count = 1, .state = HF_RECEIPT_LATER, .sent_ms = BEGIN_MS + 541},
	{.first = 1, .count = 40, .state = HF_RECEIPT_GONE, .sent_ms = BEGIN_MS + 541},
	{.first = 41, .count = 3, .state = HF_RECEIPT_ANSWERED, .sent_ms = BEGIN_MS + 542},
};
#define GOLDEN_COUNT (sizeof golden / sizeof golden[0])
#define GOLDEN_HEX                                                                                                     \
	BEGIN_HEX                                                                                                          \
	"22 52 00 1e 14 c801 01 00 14 03 0c 00 01 04 00 01 f0f901 00 00 0a e10f f403 02 06 00 00 f509 57 00 57 00 01"

START_TEST(golden_bytes_both_ways)
{
	struct hf_buffer page = {0};

	ck_assert_reason(hf_page_encode(BEGIN_MS, golden, GOLDEN_COUNT, &page), HF_OK, "encode");
	check_page(golden, GOLDEN_COUNT, hf_buffer_slice(&page));
	ck_assert_hex(&page, GOLDEN_HEX);
	hf_buffer_free(&page);
}
END_TEST

START_TEST(a_live_stream_costs_two_bytes_an_entry)
{
	struct hf_device_receipt receipts[256];
	struct hf_buffer page = {0};

	for (int i = 0; i < 256; i++)
		receipts[i] = acknowledged(1000 + (uint64_t)i, 20 * i, 30 + i % 40);
	ck_assert_reason(hf_page_encode(BEGIN_MS, receipts, 256, &page), HF_OK, "encode");
	check_page(receipts, 256, hf_buffer_slice(&page));
	ck_assert_uint_eq(page.len, 8 + 4 + 256 * 2);
	hf_buffer_free(&page);
}
END_TEST

START_TEST(the_widest_numbers_fit)
{
	const struct hf_device_receipt receipts[] = {
		{.first = INT64_MAX - 1,
			.count = 1,
			.state = HF_RECEIPT_ACKNOWLEDGED,
			.sent_ms = INT64_MAX,
			.took_ms = INT64_MAX},
		{.first = 1, .count = UINT64_C(1) << 59, .state = HF_RECEIPT_SENT, .sent_ms = INT64_MAX},
	};
	struct hf_buffer page = {0};

	ck_assert_reason(hf_page_encode(0, receipts, 2, &page), HF_OK, "encode");
	check_page(receipts, 2, hf_buffer_slice(&page));
	hf_buffer_free(&page);
}
END_TEST

static bool encode_golden(struct hf_buffer *out)
{
	return hf_page_encode(BEGIN_MS, golden, GOLDEN_COUNT, out) == HF_OK;
}

START_TEST(full_memory_is_told)
{
	check_full_memory(encode_golden);
}
END_TEST

/* Whatever is in it, the reader stays within it and gives what may be; it comes to an end. */
static size_t read_through(struct hf_slice bytes, bool *damaged)
{
	struct hf_slice copy = exact_copy(bytes);
	struct hf_page_reader reader;
	struct hf_device_receipt receipt;
	size_t count = 0;

	hf_page_begin(&reader, copy);
	while (hf_page_next(&reader, &receipt)) {
		ck_assert_uint_ge(receipt.first, 1);
		ck_assert_uint_ge(receipt.count, 1);
		ck_assert_uint_le(receipt.count, (uint64_t)INT64_MAX - receipt.first + 1);
		ck_assert_int_ge(receipt.took_ms, 0);
		ck_assert_uint_le(++count, bytes.len);
	}
	*damaged = reader.damaged;
	free((void *)(uintptr_t)copy.data);
	return count;
}

START_TEST(cut_off_pages_are_damaged_or_shorter)
{
	struct hf_buffer page = {0};
	struct hf_slice whole = from_hex(&page, GOLDEN_HEX);
	bool damaged;

	for (size_t len = 0; len < whole.len; len++) {
		size_t count = read_through(hf_slice_from(whole.data, len), &damaged);
		ck_assert(count < GOLDEN_COUNT);
		ck_assert(len > 8 || damaged);
	}
	ck_assert_uint_eq(read_through(whole, &damaged), GOLDEN_COUNT);
	ck_assert(!damaged);
	hf_buffer_free(&page);
}
END_TEST

START_TEST(changed_pages_lead_nobody_astray)
{
	struct hf_buffer page = {0};
	struct hf_slice whole = from_hex(&page, GOLDEN_HEX);
	bool damaged;

	for (size_t bit = 0; bit < whole.len * 8; bit++) {
		page.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
		read_through(whole, &damaged);
		page.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
	}
	static const char *const bad[] = {
		BEGIN_HEX "02 00 00 00",                               /* offset 0 */
		BEGIN_HEX "02 01 00 00",                               /* offset -1 */
		BEGIN_HEX "02 feffffffffffffffff01 00 00 00 02 00 00", /* beyond 63 bits */
		BEGIN_HEX "02 02 ffffffffffffffffff01 00",             /* a time */
		"ffffffffffffff7f 02 02 01 00",                        /* a sum of times */
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		read_through(from_hex(&page, bad[i]), &damaged);
		ck_assert_msg(damaged, "%s", bad[i]);
	}
	hf_buffer_free(&page);
}
END_TEST

START_TEST(states_keep_their_names)
{
	static const char *const names[] = {"sent", "unacknowledged", "acknowledged", "rejected", "too-large", "gone",
		"acknowledged-later", "answered", ""};

	for (int i = 0; i < 9; i++)
		ck_assert_str_eq(hf_receipt_state_name((enum hf_receipt_state)i), names[i]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("codec: receipts");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, golden_bytes_both_ways);
	tcase_add_test(tests, a_live_stream_costs_two_bytes_an_entry);
	tcase_add_test(tests, the_widest_numbers_fit);
	tcase_add_test(tests, full_memory_is_told);
	tcase_add_test(tests, cut_off_pages_are_damaged_or_shorter);
	tcase_add_test(tests, changed_pages_lead_nobody_astray);
	tcase_add_test(tests, states_keep_their_names);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
