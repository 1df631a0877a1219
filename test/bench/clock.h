/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HF_BENCH_CLOCK_H
#define HF_BENCH_CLOCK_H

#include <stdint.h>
#include <time.h>

#define HF_NS_PER_US INT64_C(1000)
#define HF_NS_PER_MS INT64_C(1000000)
#define HF_NS_PER_S INT64_C(1000000000)

/* Time of a clock that can be read (the caller's own or one of a live process), in nanoseconds; 0 when it cannot. */
static inline int64_t hf_clock_ns(clockid_t clock)
{
	struct timespec now = {0};

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * HF_NS_PER_S + now.tv_nsec;
}

static inline int64_t hf_now_ns(void)
{
	return hf_clock_ns(CLOCK_MONOTONIC);
}

#endif
