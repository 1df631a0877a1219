/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The entries that are caught up with: one response, streamed in token batches of one size. All rivals store the same,
 * and all readers compare what they get with it, so that none can be fast by leaving something out.
 */
#ifndef HF_BENCH_CORPUS_H
#define HF_BENCH_CORPUS_H

#include <stdbool.h>

#include "codec/slice.h"

struct hf_corpus;

/* `count` batches whose payloads have `size` bytes each. NULL: no memory, or that is too few bytes for a batch. */
struct hf_corpus *hf_corpus_new(unsigned count, unsigned size);
void hf_corpus_free(struct hf_corpus *corpus); /* NULL allowed */

unsigned hf_corpus_count(const struct hf_corpus *corpus);
struct hf_slice hf_corpus_payload(const struct hf_corpus *corpus, unsigned index);

/* How many batches the payload is, from number `next` on: 1, more where they were joined, 0 when it is none of these.
 */
unsigned hf_corpus_match(const struct hf_corpus *corpus, unsigned next, struct hf_slice payload);

#endif
