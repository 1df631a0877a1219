/* SPDX-License-Identifier: BSD-3-Clause */
/* Heads that we read ourselves, since they are nearly all there are, must be what libcbor makes of them. */
#include "codec_check.h"

#include <cbor.h>

#include "codec/cbor.h"

struct seen {
	enum hf_cbor_type type;
	uint64_t value;
	size_t len;
	bool other;
};

static void see_uint8(void *context, uint8_t value)
{
	*(struct seen *)context = (struct seen){.type = HF_CBOR_UINT, .value = value};
}

static void see_text(void *context, cbor_data data, uint64_t len)
{
	(void)data;
	*(struct seen *)context = (struct seen){.type = HF_CBOR_TEXT, .len = (size_t)len};
}

static void see_map(void *context, uint64_t count)
{
	*(struct seen *)context = (struct seen){.type = HF_CBOR_MAP, .value = count};
}

/* What libcbor says. Bytes read; 0: cut off. */
static size_t ask_libcbor(const unsigned char *at, size_t left, struct seen *seen)
{
	struct cbor_callbacks callbacks = cbor_empty_callbacks;

	callbacks.uint8 = see_uint8;
	callbacks.string = see_text;
	callbacks.map_start = see_map;
	*seen = (struct seen){.other = true};
	return cbor_stream_decode(at, left, &callbacks, seen).read;
}

static void compare(const unsigned char *at, size_t left, bool countable)
{
	struct hf_cbor_reader reader = hf_cbor_reader_of(hf_slice_from(at, left));
	struct hf_cbor_head head = {.value = 0};
	struct seen seen;
	size_t read = ask_libcbor(at, left, &seen);
	bool taken = hf_cbor_next(&reader, &head);

	if (seen.other && read > 0)
		return; /* of the others there is nothing to compare: all is libcbor's */
	if (read == 0) {
		ck_assert_msg(!taken, "%02x %02x with %zu bytes was taken, and is cut off", at[0], at[1], left);
		return;
	}
	ck_assert_msg(
		taken == countable, "%02x %02x with %zu bytes was %s", at[0], at[1], left, taken ? "taken" : "refused");
	ck_assert_uint_eq((size_t)(reader.at - at), read);
	ck_assert_int_eq(head.type, seen.type);
	ck_assert_uint_eq(head.value, seen.value);
	ck_assert_uint_eq(head.text.len, seen.len);
}

/* All heads of one byte or two of these types, with so many bytes. */
static void compare_all(unsigned major, size_t left)
{
	unsigned char *bytes = calloc(1, left + 1); /* one more than is said to be there, for the message above */

	for (unsigned info = 0; info <= 24; info++) {
		for (unsigned second = 0; second < 256; second++) {
			size_t head = info < 24 ? 1 : 2, count = info < 24 ? info : second;
			bytes[0] = (unsigned char)(major << 5 | info);
			bytes[1] = (unsigned char)second;
			compare(bytes, left, major != 5 || head > left || count <= (left - head) / 2);
		}
	}
	free(bytes);
}

START_TEST(numbers_texts_and_maps_are_those_of_libcbor)
{
	static const unsigned majors[] = {0, 3, 5};
	static const size_t lefts[] = {1, 2, 3, 23, 24, 25, 26, 256, 257, 258, 600};

	for (size_t i = 0; i < sizeof(lefts) / sizeof(lefts[0]); i++) {
		compare_all(majors[_i], lefts[i]);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("codec: heads of CBOR");
	TCase *tests = tcase_create("all");

	tcase_add_loop_test(tests, numbers_texts_and_maps_are_those_of_libcbor, 0, 3);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
