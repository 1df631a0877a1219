/* SPDX-License-Identifier: BSD-3-Clause */
/* The text that `say` streams: read as it comes, cut into batches between characters. */
#ifndef HF_CLI_INPUT_H
#define HF_CLI_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/slice.h"

struct hf_input;

/*
 * Open a file, or standard input for NULL and "-". `chars` is how many characters a batch has. A regular file is
 * cut the same way each time; of anything else, what has come is cut when no more follows for a moment.
 * NULL, with a message to the user, when it cannot be opened.
 */
struct hf_input *hf_input_open(const char *path, size_t chars);
void hf_input_close(struct hf_input *input); /* NULL allowed */

/* The descriptor to wait for, -1 when the buffer is full or the end was reached. */
int hf_input_fd(const struct hf_input *input);

/* It is readable: read some. False, with a message to the user, on an error. */
bool hf_input_read(struct hf_input *input, int64_t now_ms);

enum hf_cut {
	HF_CUT_NONE, /* not yet */
	HF_CUT_TEXT,
	HF_CUT_LAST, /* and there is no more; the text may be empty */
	HF_CUT_BAD,  /* what follows is not UTF-8 (the user was told) */
};

/* Cut off the next batch. *text is valid until the next call of any kind. */
enum hf_cut hf_input_cut(struct hf_input *input, int64_t now_ms, struct hf_slice *text);

/* Milliseconds until hf_input_cut gives something even though nothing more comes; -1: it never does. */
int hf_input_wait_ms(const struct hf_input *input, int64_t now_ms);

#endif
