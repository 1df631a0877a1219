/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HF_CODEC_UTF8_H
#define HF_CODEC_UTF8_H

#include "codec/slice.h"

/* Is the text well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF)? An empty
 * text is. Zero bytes are allowed. */
bool hf_utf8_valid(struct hf_slice text);

#endif
