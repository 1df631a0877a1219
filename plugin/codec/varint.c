/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec/varint.h"

#include <stddef.h>

unsigned char *hf_varint_put(unsigned char *out, uint64_t value)
{
	while (value >= 0x80) {
		*out++ = (unsigned char)(value | 0x80);
		value >>= 7;
	}
	*out++ = (unsigned char)value;
	return out;
}

const unsigned char *hf_varint_get(const unsigned char *in, const unsigned char *end, uint64_t *value)
{
	*value = 0;
	for (unsigned shift = 0; in < end && shift < 64; shift += 7) {
		uint64_t bits = *in & 0x7f;
		if (shift == 63 && bits > 1) {
			return NULL;
		}
		*value |= bits << shift;
		if ((*in++ & 0x80) == 0) {
			return in;
		}
	}
	return NULL;
}
