/* SPDX-License-Identifier: BSD-3-Clause */
/* What the fuzzers share. */
#ifndef HF_TEST_FUZZ_FUZZ_H
#define HF_TEST_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "codec/slice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold, in builds without assertions too. */
#define MUST(condition)                                                                                                \
	do {                                                                                                               \
		if (!(condition)) {                                                                                            \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);                             \
			abort();                                                                                                   \
		}                                                                                                              \
	} while (0)

static inline bool lies_in(struct hf_slice part, struct hf_slice whole)
{
	uintptr_t begin = (uintptr_t)whole.data, at = (uintptr_t)part.data;

	return part.len == 0 || (at >= begin && at - begin <= whole.len && part.len <= whole.len - (at - begin));
}

/* A string of the input up to its first zero byte, or to its end; what is behind it is left in `rest`. */
static inline char *take_string(struct hf_slice *rest)
{
	size_t len = rest->len ? strnlen(rest->data, rest->len) : 0;
	char *text = malloc(len + 1);

	MUST(text);
	if (len > 0)
		memcpy(text, rest->data, len);
	text[len] = '\0';
	size_t used = len < rest->len ? len + 1 : len;
	*rest = used ? hf_slice_from(rest->data + used, rest->len - used) : *rest;
	return text;
}

#endif
