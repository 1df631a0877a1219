/* SPDX-License-Identifier: BSD-3-Clause */
#include "safe.h"

#include <stdbool.h>

void hf_write_safe(FILE *out, struct hf_slice text, const char *indent)
{
	size_t start = 0;

	for (size_t i = 0; i < text.len; i++) {
		unsigned char byte = (unsigned char)text.data[i];
		bool c1 = byte == 0xc2 && i + 1 < text.len && (unsigned char)text.data[i + 1] < 0xa0;
		if (byte == '\n' && *indent) {
			fwrite(text.data + start, 1, i + 1 - start, out);
			fputs(indent, out);
			start = i + 1;
			continue;
		}
		if (!c1 && byte != 0x7f && (byte >= 0x20 || byte == '\n' || byte == '\t')) {
			continue;
		}
		fwrite(text.data + start, 1, i - start, out);
		if (c1) {
			fputs("\xef\xbf\xbd", out);
			i++;
		} else {
			const char picture[] = {'\xe2', '\x90', (char)(byte == 0x7f ? 0xa1 : 0x80 + byte)};
			fwrite(picture, 1, sizeof(picture), out);
		}
		start = i + 1;
	}
	fwrite(text.data + start, 1, text.len - start, out);
}

/* U+061C, U+200E, U+200F, U+2028 to U+202E, U+2066 to U+2069: how many bytes it has; 0: it is none of them. */
static size_t unruly(struct hf_slice text, size_t at)
{
	const unsigned char *byte = (const unsigned char *)text.data + at;
	size_t left = text.len - at;

	if (left >= 2 && byte[0] == 0xd8 && byte[1] == 0x9c) {
		return 2;
	}
	if (left < 3 || byte[0] != 0xe2) {
		return 0;
	}
	bool is = (byte[1] == 0x80 && (byte[2] == 0x8e || byte[2] == 0x8f || (byte[2] >= 0xa8 && byte[2] <= 0xae))) ||
			  (byte[1] == 0x81 && byte[2] >= 0xa6 && byte[2] <= 0xa9);
	return is ? 3 : 0;
}

void hf_write_safe_line(FILE *out, struct hf_slice text)
{
	size_t start = 0, len;

	for (size_t i = 0; i < text.len;) {
		bool is_space = text.data[i] == '\n' || text.data[i] == '\t';
		len = is_space ? 1 : unruly(text, i);
		if (len == 0) {
			i++;
			continue;
		}
		hf_write_safe(out, hf_slice_from(text.data + start, i - start), "");
		fputs(!is_space ? "\ufffd" : text.data[i] == '\n' ? "\u240a" : "\u2409", out);
		start = i += len;
	}
	hf_write_safe(out, hf_slice_from(text.data + start, text.len - start), "");
}
