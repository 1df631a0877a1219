/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A buffer in a memory that is full. Including this gives the test program its own copy of buffer.c, whose
 * allocations it can refuse; the one in the library is then not linked.
 */
#ifndef HF_TEST_UNIT_CODEC_FULL_H
#define HF_TEST_UNIT_CODEC_FULL_H

#include <stdint.h>
#include <stdlib.h>

static size_t allocations_left = SIZE_MAX;

static void *counted_realloc(void *data, size_t size)
{
	if (allocations_left == 0)
		return NULL;
	allocations_left--;
	return realloc(data, size);
}

#define realloc counted_realloc
#include "codec/buffer.c"
#undef realloc

#include "codec_check.h"

typedef bool (*write_fn)(struct hf_buffer *out);

/* Try to write into every size of buffer from 1 byte up, with no way to grow: it must fail, without a byte
 * written beyond the end, until the buffer is large enough, and then give the same bytes as ever. */
static inline void check_full_memory(write_fn write)
{
	struct hf_buffer free_hand = {0};
	ck_assert(write(&free_hand));

	size_t size = 1;
	for (bool written = false; !written; size++) {
		struct hf_buffer full = {.data = malloc(size), .size = size};
		ck_assert_ptr_nonnull(full.data);
		allocations_left = 0;
		written = write(&full);
		allocations_left = SIZE_MAX;
		ck_assert_uint_le(full.len, size);
		if (written) {
			ck_assert_uint_eq(full.len, free_hand.len);
			ck_assert_mem_eq(full.data, free_hand.data, full.len);
		}
		hf_buffer_free(&full);
		ck_assert_uint_le(size, 2 * free_hand.len + 64);
	}
	/* It failed as long as it had to. */
	ck_assert_uint_ge(size, free_hand.len);
	hf_buffer_free(&free_hand);
}

#endif
