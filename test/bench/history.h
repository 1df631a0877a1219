/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pages of the log of a long session, asked for one after the other in all the ways that there are.
 */
#ifndef HF_BENCH_HISTORY_H
#define HF_BENCH_HISTORY_H

#include "load.h"
#include "sample.h"

/* Fill a session with so many entries by the publishers, and measure. False on failure. */
bool hf_history_measure(struct hf_load *load, unsigned entries, double value[HF_METRICS]);

#endif
