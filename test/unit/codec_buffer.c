/* SPDX-License-Identifier: BSD-3-Clause */
/* Buffers, UTF-8 and the table of reasons: what the rest of the codec stands on. */
#include "codec_full.h"

#include "codec/utf8.h"

START_TEST(appends_and_grows)
{
	struct hf_buffer buffer = {0};

	ck_assert_uint_eq(hf_buffer_slice(&buffer).len, 0);
	ck_assert_ptr_nonnull(hf_buffer_slice(&buffer).data);
	ck_assert(hf_buffer_append(&buffer, NULL, 0));
	for (int i = 0; i < 5000; i++)
		ck_assert(hf_buffer_append(&buffer, &(unsigned char){(unsigned char)i}, 1));
	ck_assert_uint_eq(buffer.len, 5000);
	for (int i = 0; i < 5000; i++)
		ck_assert_uint_eq(buffer.data[i], i & 0xff);

	hf_buffer_clear(&buffer);
	ck_assert_uint_eq(buffer.len, 0);
	ck_assert_ptr_eq(hf_buffer_reserve(&buffer, 1), buffer.data);
	hf_buffer_free(&buffer);
	ck_assert_ptr_null(buffer.data);
	ck_assert_uint_eq(buffer.size, 0);
}
END_TEST

START_TEST(stays_as_it_was_without_memory)
{
	struct hf_buffer buffer = {0};

	allocations_left = 0;
	ck_assert_ptr_null(hf_buffer_reserve(&buffer, 1));
	ck_assert(!hf_buffer_append(&buffer, "x", 1));
	ck_assert_ptr_null(buffer.data);

	allocations_left = 1;
	ck_assert(hf_buffer_append(&buffer, "abc", 3));
	ck_assert_ptr_null(hf_buffer_reserve(&buffer, buffer.size));
	ck_assert_slice(hf_buffer_slice(&buffer), "abc");
	allocations_left = SIZE_MAX;

	/* Sums that overflow are refused before anybody is asked for memory. */
	ck_assert_ptr_null(hf_buffer_reserve(&buffer, SIZE_MAX));
	ck_assert_ptr_null(hf_buffer_reserve(&buffer, SIZE_MAX - 2));
	ck_assert_slice(hf_buffer_slice(&buffer), "abc");
	hf_buffer_free(&buffer);
}
END_TEST

/* RFC 3629, section 3: the definition, written the straight way. */
static size_t encode_code_point(uint32_t point, char *out)
{
	if (point < 0x80) {
		out[0] = (char)point;
		return 1;
	}
	size_t len = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
	static const unsigned char leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
	for (size_t i = len - 1; i > 0; i--, point >>= 6)
		out[i] = (char)(0x80 | (point & 0x3f));
	out[0] = (char)(leads[len] | point);
	return len;
}

START_TEST(utf8_takes_every_code_point_but_surrogates)
{
	/* Between ASCII, so that a character also ends before and after a step of eight bytes. */
	char text[24];

	for (uint32_t point = 0; point < 0x110000; point++) {
		memset(text, 'a', sizeof(text));
		size_t len = encode_code_point(point, text + 7);
		bool surrogate = point >= 0xd800 && point <= 0xdfff;
		/* Check tells its parent of every assertion: too slow for a million. */
		if (hf_utf8_valid(hf_slice_from(text, sizeof(text))) == surrogate)
			ck_abort_msg("U+%04X", point);
		if (point >= 0x80 && (point & 0x3ff) == 0) {
			ck_assert_msg(!hf_utf8_valid(hf_slice_from(text, 7 + len - 1)), "U+%04X cut", point);
			ck_assert_msg(!hf_utf8_valid(hf_slice_from(text + 8, len - 1)), "U+%04X without its lead", point);
		}
	}
}
END_TEST

static const struct {
	const char *bytes;
	bool valid;
} utf8_cases[] = {
	{"", true},
	{"a", true},
	{"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", true},
	{"\xef\xbb\xbf", true}, /* a byte order mark is a character */
	{"\x80", false},
	{"\xbf", false},
	{"\xc0\x80", false}, /* overlong */
	{"\xc1\xbf", false},
	{"\xe0\x9f\xbf", false},
	{"\xf0\x8f\xbf\xbf", false},
	{"\xed\xa0\x80", false},     /* surrogate */
	{"\xf4\x90\x80\x80", false}, /* above U+10FFFF */
	{"\xf5\x80\x80\x80", false},
	{"\xff", false},
	{"\xfe", false},
	{"\xe2\x82", false},
	{"\xe2\x28\xa1", false},
	{"\xe2\x82\x28", false},
	{"\xf0\x9f\x98", false},
	{"\xf0\x9f\x98\x28", false},
	{"abcdefgh\xff", false},
	{"abcdefg\xc3\xa4ijklmnop\xc3", false},
};

START_TEST(utf8_cases_from_the_table)
{
	struct hf_slice text = exact_copy(hf_slice_of(utf8_cases[_i].bytes));

	ck_assert_int_eq(hf_utf8_valid(text), utf8_cases[_i].valid);
	free((void *)(uintptr_t)text.data);
}
END_TEST

START_TEST(reasons_have_distinct_wire_names_and_a_sentence)
{
	for (int i = 0; i < HF_REASON_COUNT; i++) {
		const char *name = hf_reason_name((enum hf_reason)i);
		ck_assert_msg(strspn(name, "abcdefghijklmnopqrstuvwxyz-") == strlen(name) && *name, "name %d: '%s'", i, name);
		ck_assert_uint_gt(strlen(hf_reason_sentence((enum hf_reason)i)), 3);
		for (int k = 0; k < i; k++)
			ck_assert_str_ne(name, hf_reason_name((enum hf_reason)k));
	}
	ck_assert_str_eq(hf_reason_name(HF_OK), "ok");
	ck_assert_str_eq(hf_reason_name(HF_SEQ_GAP), "seq-gap");
	ck_assert_ptr_nonnull(hf_reason_name((enum hf_reason)HF_REASON_COUNT));
	ck_assert_ptr_nonnull(hf_reason_sentence((enum hf_reason)1000000));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("codec: buffer, UTF-8, reasons");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, appends_and_grows);
	tcase_add_test(tests, stays_as_it_was_without_memory);
	tcase_add_test(tests, utf8_takes_every_code_point_but_surrogates);
	tcase_add_loop_test(tests, utf8_cases_from_the_table, 0, sizeof(utf8_cases) / sizeof(utf8_cases[0]));
	tcase_add_test(tests, reasons_have_distinct_wire_names_and_a_sentence);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
