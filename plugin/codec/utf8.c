/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Why not a library's: libcbor's check is internal to it and, in public, only to be had with an allocated item;
 * glibc's converters depend on the locale. And this runs over the text of every token batch.
 */
#include "codec/utf8.h"

#include <stdint.h>

#define HIGH_BITS UINT64_C(0x8080808080808080)

static const unsigned char *skip_ascii(const unsigned char *at, const unsigned char *end)
{
	while (end - at >= (ptrdiff_t)sizeof(uint64_t)) {
		uint64_t word;
		memcpy(&word, at, sizeof(word));
		if (word & HIGH_BITS)
			break;
		at += sizeof(word);
	}
	while (at < end && *at < 0x80)
		at++;
	return at;
}

/* The length of the character at `at`, which is not ASCII; 0 when it is none. Table 3-7 of the Unicode Standard
 * ("Well-Formed UTF-8 Byte Sequences"): only the second byte has ranges of its own. */
static size_t character_len(const unsigned char *at, const unsigned char *end)
{
	unsigned char lead = at[0], low = 0x80, high = 0xbf;
	size_t len;

	if (lead >= 0xc2 && lead <= 0xdf)
		len = 2;
	else if (lead >= 0xe0 && lead <= 0xef)
		len = 3;
	else if (lead >= 0xf0 && lead <= 0xf4)
		len = 4;
	else
		return 0;
	if ((size_t)(end - at) < len)
		return 0;

	if (lead == 0xe0)
		low = 0xa0;
	else if (lead == 0xed)
		high = 0x9f;
	else if (lead == 0xf0)
		low = 0x90;
	else if (lead == 0xf4)
		high = 0x8f;
	if (at[1] < low || at[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	}
	return len;
}

bool hf_utf8_valid(struct hf_slice text)
{
	const unsigned char *at = (const unsigned char *)text.data;

	if (text.len == 0)
		return true;
	const unsigned char *end = at + text.len;
	for (;;) {
		at = skip_ascii(at, end);
		if (at == end)
			return true;
		size_t len = character_len(at, end);
		if (len == 0)
			return false;
		at += len;
	}
}
