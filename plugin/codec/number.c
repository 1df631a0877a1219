/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec/number.h"

bool hf_number_parse(struct hf_slice text, uint64_t *out)
{
	uint64_t value = 0;

	if (text.len == 0 || (text.len > 1 && text.data[0] == '0'))
		return false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];
		if (c < '0' || c > '9' || value > (uint64_t)INT64_MAX / 10)
			return false;
		value = value * 10 + (uint64_t)(c - '0');
		if (value > (uint64_t)INT64_MAX)
			return false;
	}
	*out = value;
	return true;
}

const char *hf_number_write(uint64_t number, char text[HF_NUMBER_SIZE])
{
	char *at = text + HF_NUMBER_SIZE - 1;

	*at = '\0';
	do {
		*--at = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	return at;
}
