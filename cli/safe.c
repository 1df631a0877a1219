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
