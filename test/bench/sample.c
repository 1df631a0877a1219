/* SPDX-License-Identifier: BSD-3-Clause */
#include "sample.h"

#include <math.h>
#include <stdlib.h>

const struct hf_metric_info hf_metric_info[HF_METRICS] = {
	[HF_ACKED_PER_S] = {"acked_per_s", "acked\n/s", 0, true},
	[HF_ACK_P50_US] = {"puback_p50_us", "PUBACK\np50 us", 1, false},
	[HF_ACK_P99_US] = {"puback_p99_us", "PUBACK\np99 us", 1, false},
	[HF_DELIVERED_PER_S] = {"delivered_per_s", "delivered\n/s", 0, true},
	[HF_DELIVERY_P50_US] = {"delivery_p50_us", "delivery\np50 us", 1, false},
	[HF_DELIVERY_P99_US] = {"delivery_p99_us", "delivery\np99 us", 1, false},
	[HF_DELIVERY_MAX_US] = {"delivery_max_us", "delivery\nmax us", 1, false},
	[HF_MESSAGES] = {"messages", "\nmessages", 0, true},
	[HF_BYTES] = {"bytes", "\nbytes", 0, false},
	[HF_DURATION_MS] = {"duration_ms", "\nms", 1, false},
	[HF_CRASH_P50_MS] = {"crash_to_notice_p50_ms", "notice\np50 ms", 2, false},
	[HF_CRASH_P99_MS] = {"crash_to_notice_p99_ms", "notice\np99 ms", 2, false},
	[HF_CRASH_MAX_MS] = {"crash_to_notice_max_ms", "notice\nmax ms", 2, false},
	[HF_CPU_US] = {"broker_cpu_us_per_message", "CPU us\n/message", 2, false},
	[HF_MAIN_US] = {"broker_main_thread_us_per_message", "main\nthread us", 2, false},
	[HF_BROKER_BUSY] = {"broker_busy_percent", "broker\nbusy %", 0, false},
	[HF_BROKER_WAIT] = {"broker_wait_percent", "broker\nwaits %", 0, false},
	[HF_LOAD_BUSY] = {"load_busy_percent", "load\nbusy %", 0, false},
	[HF_RSS_MIB] = {"rss_mib", "RSS\nMiB", 1, false},
	[HF_RSS_EMPTY_MIB] = {"rss_empty_mib", "RSS MiB\nempty", 1, false},
	[HF_RSS_REST_MIB] = {"rss_rest_mib", "RSS MiB\nat rest", 1, false},
	[HF_PAGE_WORST_P50_MS] = {"page_worst_p50_ms", "worst\np50 ms", 2, false},
	[HF_PAGE_P50_MS] = {"page_p50_ms", "offset\np50 ms", 2, false},
	[HF_PAGE_P99_MS] = {"page_p99_ms", "\np99 ms", 2, false},
	[HF_PAGE_FULL_P50_MS] = {"page_of_1000_p50_ms", "x1000\np50 ms", 2, false},
	[HF_PAGE_FULL_P99_MS] = {"page_of_1000_p99_ms", "\np99 ms", 2, false},
	[HF_PAGE_TIME_P50_MS] = {"page_by_time_p50_ms", "time\np50 ms", 2, false},
	[HF_PAGE_TIME_P99_MS] = {"page_by_time_p99_ms", "\np99 ms", 2, false},
	[HF_PAGE_BACK_P50_MS] = {"page_backwards_p50_ms", "back\np50 ms", 2, false},
	[HF_PAGE_BACK_P99_MS] = {"page_backwards_p99_ms", "\np99 ms", 2, false},
	[HF_PAGE_NONE_P50_MS] = {"page_of_rare_topic_p50_ms", "rare\np50 ms", 2, false},
	[HF_PAGE_NONE_P99_MS] = {"page_of_rare_topic_p99_ms", "\np99 ms", 2, false},
	[HF_BYTES_PER_SESSION] = {"rss_bytes_per_session", "bytes\n/session", 0, false},
	[HF_DEVICE_BYTES] = {"rss_bytes_per_device", "bytes\n/device", 0, false},
	[HF_BACKLOG_BYTES] = {"rss_bytes_of_backlog_per_device", "backlog\nB/device", 0, false},
	[HF_ANSWERS_PER_S] = {"audit_answers_per_s", "audit\nanswers/s", 1, true},
	[HF_RECEIPT_BYTES] = {"receipt_bytes_per_entry_and_reader", "receipt\nB/entry", 2, false},
};

void hf_sample_clear(struct hf_sample *sample)
{
	for (int i = 0; i < HF_METRICS; i++) {
		sample->value[i] = NAN;
	}
}

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

struct hf_figure hf_figure_of(const double *values, size_t count)
{
	struct hf_figure figure = {.median = NAN, .min = NAN, .max = NAN};
	double sorted[HF_ROUNDS_MAX];

	for (size_t i = 0; i < count; i++) {
		if (!isnan(values[i])) {
			sorted[figure.count++] = values[i];
		}
	}
	if (figure.count == 0) {
		return figure;
	}
	qsort(sorted, figure.count, sizeof(sorted[0]), compare);
	figure.min = sorted[0];
	figure.max = sorted[figure.count - 1];
	figure.median = (sorted[(figure.count - 1) / 2] + sorted[figure.count / 2]) / 2;
	return figure;
}

struct hf_figure hf_figure_of_ratio(const double *values, const double *base, size_t count)
{
	double ratios[HF_ROUNDS_MAX];

	for (size_t i = 0; i < count; i++) {
		ratios[i] = base[i] > 0 ? values[i] / base[i] : NAN;
	}
	return hf_figure_of(ratios, count);
}
