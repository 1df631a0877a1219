/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A set of numbers from 1 as runs, ascending and with gaps between them: which blocks of the audit were removed.
 * Encoded as two varints for each run: how many numbers lie between it and the one before, less one for all but the
 * first (which counts from 1); and how many it has, less one.
 */
#ifndef HF_CODEC_RUNS_H
#define HF_CODEC_RUNS_H

#include <stdint.h>

#include "codec/buffer.h"

struct hf_run {
	uint64_t first, last;
};

/* Zero-initialise; hf_runs_free when done. */
struct hf_runs {
	struct hf_run *items;
	size_t count;
	size_t size; /* there is room for */
};

/* Add numbers that are not below those in the set. False: no memory, nothing added. */
bool hf_runs_add(struct hf_runs *runs, uint64_t first, uint64_t last);

/* The run that has the number; NULL when none has. Valid until the set changes. */
const struct hf_run *hf_runs_find(const struct hf_runs *runs, uint64_t number);

/* Into `out`, which is another set and is emptied first: what is in one of them, or in both; what of `a` is not in `b`.
 * False: no memory. */
bool hf_runs_join(const struct hf_runs *a, const struct hf_runs *b, struct hf_runs *out);
bool hf_runs_without(const struct hf_runs *a, const struct hf_runs *b, struct hf_runs *out);

bool hf_runs_equal(const struct hf_runs *a, const struct hf_runs *b);
uint64_t hf_runs_sum(const struct hf_runs *runs); /* how many numbers there are */

/* Append the bytes. False: no memory. */
bool hf_runs_encode(const struct hf_runs *runs, struct hf_buffer *out);

/* Decode bytes that are nothing else, into an empty set. False: they are no such set, or there is no memory; `out` is
 * empty then. */
bool hf_runs_decode(struct hf_slice bytes, struct hf_runs *out);

static inline void hf_runs_clear(struct hf_runs *runs)
{
	runs->count = 0;
}

/* The set may be used again. */
void hf_runs_free(struct hf_runs *runs);

#endif
