/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is measured: the metrics, one sample of all of them, and the figures over several rounds.
 */
#ifndef HF_BENCH_SAMPLE_H
#define HF_BENCH_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>

#define HF_ROUNDS_MAX 99

enum hf_metric {
	HF_ACKED_PER_S,
	HF_ACK_P50_US,
	HF_ACK_P99_US,
	HF_DELIVERED_PER_S,
	HF_DELIVERY_P50_US,
	HF_DELIVERY_P99_US,
	HF_DELIVERY_MAX_US,
	HF_MESSAGES,
	HF_BYTES,
	HF_DURATION_MS,
	HF_CRASH_P50_MS,
	HF_CRASH_P99_MS,
	HF_CRASH_MAX_MS,
	HF_CPU_US,
	HF_MAIN_US,
	HF_BROKER_BUSY,
	HF_BROKER_WAIT,
	HF_LOAD_BUSY,
	HF_RSS_MIB,
	HF_RSS_EMPTY_MIB,
	HF_RSS_REST_MIB,
	HF_BYTES_PER_SESSION,
	HF_DEVICE_BYTES,
	HF_BACKLOG_BYTES,
	HF_RECEIPT_BYTES,
	HF_ANSWERS_PER_S,
	HF_PAGE_WORST_P50_MS,
	HF_PAGE_P50_MS,
	HF_PAGE_P99_MS,
	HF_PAGE_FULL_P50_MS,
	HF_PAGE_FULL_P99_MS,
	HF_PAGE_TIME_P50_MS,
	HF_PAGE_TIME_P99_MS,
	HF_PAGE_BACK_P50_MS,
	HF_PAGE_BACK_P99_MS,
	HF_PAGE_NONE_P50_MS,
	HF_PAGE_NONE_P99_MS,
	HF_METRICS,
};

struct hf_metric_info {
	const char *key;     /* in JSON */
	const char *heading; /* in the table: two lines, parted by '\n' */
	int decimals;
	bool more_is_better;
};

extern const struct hf_metric_info hf_metric_info[HF_METRICS];

/* A metric that a case does not have is NAN. */
struct hf_sample {
	double value[HF_METRICS];
};

void hf_sample_clear(struct hf_sample *sample);

struct hf_figure {
	size_t count; /* of rounds that have it; when 0 the rest is NAN */
	double median, min, max;
};

/* Over `count` values, NANs left out. */
struct hf_figure hf_figure_of(const double *values, size_t count);

/* Of values[i] / base[i], round by round, so that what slows a whole round down does not count. */
struct hf_figure hf_figure_of_ratio(const double *values, const double *base, size_t count);

#endif
