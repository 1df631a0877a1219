/* SPDX-License-Identifier: BSD-3-Clause */
/* Times for people and programs: ISO 8601, in UTC, always. */
#ifndef HF_CODEC_TIMES_H
#define HF_CODEC_TIMES_H

#include <stdbool.h>
#include <stdint.h>

/* "2026-01-31T12:00:00.123Z" and its zero. */
#define HF_TIME_SIZE 32
const char *hf_time_print(int64_t time_ms, char out[HF_TIME_SIZE]);

/*
 * Read a time: 2026, 2026-01, 2026-01-31, 2026-01-31T12, ...:00, ...:00, ...:00.123, with or without the Z. One that
 * leaves something out stands for the whole of it, from *first_ms to *last_ms. False: not one of these.
 */
bool hf_time_parse(const char *text, int64_t *first_ms, int64_t *last_ms);

#endif
