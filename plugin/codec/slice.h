/* SPDX-License-Identifier: BSD-3-Clause */
/* A borrowed run of bytes: what most functions of the codec take and give. Never owns, never ends in zero. */
#ifndef HF_CODEC_SLICE_H
#define HF_CODEC_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct hf_slice {
	const char *data;
	size_t len;
};

#define HF_SLICE_NONE ((struct hf_slice){.data = "", .len = 0})

static inline struct hf_slice hf_slice_of(const char *text)
{
	return text ? (struct hf_slice){.data = text, .len = strlen(text)} : HF_SLICE_NONE;
}

static inline struct hf_slice hf_slice_from(const void *data, size_t len)
{
	return (struct hf_slice){.data = data, .len = len};
}

static inline bool hf_slice_equal(struct hf_slice a, struct hf_slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool hf_slice_is(struct hf_slice a, const char *text)
{
	return hf_slice_equal(a, hf_slice_of(text));
}

#endif
