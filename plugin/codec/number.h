/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HF_CODEC_NUMBER_H
#define HF_CODEC_NUMBER_H

#include <stdint.h>

#include "codec/slice.h"

/* Read a number as clients write it in topics and user properties: decimal digits without sign or leading zero, at most
 * INT64_MAX, so that no later sum with an offset or time overflows. False: it is none, *out is untouched. */
bool hf_number_parse(struct hf_slice text, uint64_t *out);

/* Write a number like that, ended by a zero, at the end of `text`. Returns where it begins there. (This is done for
 * every entry that goes out, where printf would be what costs most.) */
#define HF_NUMBER_SIZE 21
const char *hf_number_write(uint64_t number, char text[HF_NUMBER_SIZE]);

#endif
