/* SPDX-License-Identifier: BSD-3-Clause */
/* What the codec's unit tests share: assertions on slices, bytes written as hex, and the main function's body. */
#ifndef HF_TEST_UNIT_CODEC_CHECK_H
#define HF_TEST_UNIT_CODEC_CHECK_H

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "codec/buffer.h"
#include "codec/reason.h"
#include "codec/slice.h"

#define ck_assert_slice(slice, text)                                                                                   \
	do {                                                                                                               \
		struct hf_slice slice_seen = (slice);                                                                          \
		ck_assert_msg(hf_slice_is(slice_seen, text), "%s is '%.*s', not '%s'", #slice, (int)slice_seen.len,            \
			slice_seen.data, text);                                                                                    \
	} while (0)

#define ck_assert_reason(seen, wanted, what)                                                                           \
	do {                                                                                                               \
		enum hf_reason reason_seen = (seen);                                                                           \
		ck_assert_msg(                                                                                                 \
			reason_seen == (wanted), "%s: %s, not %s", what, hf_reason_name(reason_seen), hf_reason_name(wanted));     \
	} while (0)

/* The bytes that hex digits stand for, in `out`; blanks between them are for the reader. */
static inline struct hf_slice from_hex(struct hf_buffer *out, const char *hex)
{
	hf_buffer_clear(out);
	while (*hex) {
		unsigned int byte;
		if (*hex == ' ') {
			hex++;
			continue;
		}
		if (sscanf(hex, "%2x", &byte) != 1 || !hf_buffer_append(out, &(unsigned char){(unsigned char)byte}, 1))
			abort();
		hex += 2;
	}
	return hf_buffer_slice(out);
}

#define ck_assert_hex(buffer, hex)                                                                                     \
	do {                                                                                                               \
		struct hf_buffer hex_wanted = {0};                                                                             \
		struct hf_slice wanted_bytes = from_hex(&hex_wanted, hex);                                                     \
		ck_assert_uint_eq((buffer)->len, wanted_bytes.len);                                                            \
		ck_assert_mem_eq((buffer)->data, wanted_bytes.data, wanted_bytes.len);                                         \
		hf_buffer_free(&hex_wanted);                                                                                   \
	} while (0)

/* A copy of exactly these bytes on the heap, so that a sanitizer sees a read beyond. Free with free(). */
static inline struct hf_slice exact_copy(struct hf_slice bytes)
{
	char *copy = malloc(bytes.len ? bytes.len : 1);

	ck_assert_ptr_nonnull(copy);
	if (bytes.len > 0)
		memcpy(copy, bytes.data, bytes.len);
	return hf_slice_from(copy, bytes.len);
}

/* Every part of these bytes that ends too early is malformed. */
static inline void check_truncations(const char *hex, enum hf_reason (*decode)(struct hf_slice bytes))
{
	struct hf_buffer bytes = {0};
	struct hf_slice whole = from_hex(&bytes, hex);

	for (size_t len = 0; len < whole.len; len++) {
		struct hf_slice part = exact_copy(hf_slice_from(whole.data, len));
		ck_assert_msg(decode(part) == HF_PAYLOAD_MALFORMED, "%zu bytes", len);
		free((void *)(uintptr_t)part.data);
	}
	hf_buffer_free(&bytes);
}

/* Every flip of a bit is refused, or taken: then `take` has checked what came of it. Some flips only change a letter;
 * those of the structure are noticed. */
static inline void check_bit_flips(const char *hex, bool (*take)(struct hf_slice bytes))
{
	struct hf_buffer bytes = {0};
	struct hf_slice whole = from_hex(&bytes, hex);
	size_t taken = 0;

	for (size_t bit = 0; bit < whole.len * 8; bit++) {
		bytes.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
		struct hf_slice flipped = exact_copy(whole);
		taken += take(flipped);
		free((void *)(uintptr_t)flipped.data);
		bytes.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
	}
	ck_assert_uint_gt(taken, 0);
	ck_assert_uint_lt(taken, whole.len * 8 / 2);
	hf_buffer_free(&bytes);
}

static inline int run_suite(Suite *suite)
{
	SRunner *runner = srunner_create(suite);

	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
