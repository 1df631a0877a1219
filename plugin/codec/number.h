/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HF_CODEC_NUMBER_H
#define HF_CODEC_NUMBER_H

#include <stdint.h>

#include "codec/slice.h"

/* Read a number as clients write it in topics and user properties: decimal digits without sign or leading zero, at most
 * INT64_MAX, so that no later sum with an offset or time overflows. False: it is none, *out is untouched. */
bool hf_number_parse(struct hf_slice text, uint64_t *out);

#endif
