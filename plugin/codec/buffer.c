/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec/buffer.h"

#define FIRST_SIZE ((size_t)256)

unsigned char *hf_buffer_reserve(struct hf_buffer *buffer, size_t more)
{
	if (buffer->data && more <= buffer->size - buffer->len)
		return buffer->data + buffer->len;

	size_t needed;
	if (__builtin_add_overflow(buffer->len, more, &needed))
		return NULL;
	/* Doubling keeps many small appends linear. Where even the doubled size overflows, what is needed is
	 * all that can be asked for. */
	size_t size = buffer->size < FIRST_SIZE / 2 ? FIRST_SIZE : buffer->size;
	if (__builtin_mul_overflow(size, (size_t)2, &size) || size < needed)
		size = needed;

	unsigned char *data = realloc(buffer->data, size);
	if (!data)
		return NULL;
	buffer->data = data;
	buffer->size = size;
	return data + buffer->len;
}

bool hf_buffer_append(struct hf_buffer *buffer, const void *data, size_t len)
{
	if (len == 0)
		return true; /* `data` may be NULL then, which memcpy must not see */

	unsigned char *end = hf_buffer_reserve(buffer, len);
	if (!end)
		return false;
	memcpy(end, data, len);
	buffer->len += len;
	return true;
}

void hf_buffer_free(struct hf_buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct hf_buffer){0};
}
