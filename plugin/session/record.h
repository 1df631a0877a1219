/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers, little-endian, and text in the values that the session logic keeps in the store. */
#ifndef HF_SESSION_RECORD_H
#define HF_SESSION_RECORD_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

/* Write the `size` low bytes of a number, or some text, and step over them. */
static inline void hf_record_put(unsigned char **at, uint64_t value, size_t size)
{
	uint64_t little = htole64(value);

	memcpy(*at, &little, size);
	*at += size;
}

static inline void hf_record_put_text(unsigned char **at, const char *text, size_t len)
{
	memcpy(*at, text, len);
	*at += len;
}

/* And read it: the caller has checked that it is there. */
static inline uint64_t hf_record_take(const char **at, size_t size)
{
	uint64_t little = 0;

	memcpy(&little, *at, size);
	*at += size;
	return le64toh(little);
}

#endif
