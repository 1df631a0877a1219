/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HF_CLI_SAFE_H
#define HF_CLI_SAFE_H

#include <stdio.h>

#include "codec/slice.h"

/*
 * Write text that came from others so that it does nothing to a terminal: of the control characters only line feed and
 * tab are let through, the others are shown as Unicode's pictures of them (C0, DEL) or as a replacement character (C1).
 * What follows a line feed is indented by `indent`.
 */
void hf_write_safe(FILE *out, struct hf_slice text, const char *indent);

/* The same for a name or the like, within a line that is ours: line feed and tab are shown as pictures, too, and what
 * would turn round the rest of the line (Unicode's bidirectional controls), or end it (its separators), as a
 * replacement character. */
void hf_write_safe_line(FILE *out, struct hf_slice text);

#endif
