/* SPDX-License-Identifier: BSD-3-Clause */
/* Variable length integers: 7 bits in each byte, the lowest first; all but the last byte have the top bit set. */
#ifndef HF_CODEC_VARINT_H
#define HF_CODEC_VARINT_H

#include <stdint.h>

#define HF_VARINT_MAX 10 /* bytes */

/* Write at `out`, which has room for HF_VARINT_MAX. Where the next byte goes. */
unsigned char *hf_varint_put(unsigned char *out, uint64_t value);

/* Where it ended; NULL when it does not end before `end` or does not fit 64 bits. */
const unsigned char *hf_varint_get(const unsigned char *in, const unsigned char *end, uint64_t *value);

#endif
