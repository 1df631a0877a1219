/* SPDX-License-Identifier: BSD-3-Clause */
/* A growing run of bytes, owned by whoever declared it. Zero-initialise; hf_buffer_free when done. */
#ifndef HF_CODEC_BUFFER_H
#define HF_CODEC_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include "codec/slice.h"

struct hf_buffer {
	unsigned char *data;
	size_t len;
	size_t size;
};

/* Make room for `more` bytes behind the end and return where they begin; NULL when there is no memory (the
 * buffer stays as it was). The caller then adds what it wrote to len. */
unsigned char *hf_buffer_reserve(struct hf_buffer *buffer, size_t more);

/* Append bytes. False: no memory, nothing appended. */
bool hf_buffer_append(struct hf_buffer *buffer, const void *data, size_t len);

static inline void hf_buffer_clear(struct hf_buffer *buffer)
{
	buffer->len = 0;
}

static inline struct hf_slice hf_buffer_slice(const struct hf_buffer *buffer)
{
	return hf_slice_from(buffer->data ? (const char *)buffer->data : "", buffer->len);
}

/* Free the bytes; the buffer may be used again. */
void hf_buffer_free(struct hf_buffer *buffer);

#endif
