/* SPDX-License-Identifier: BSD-3-Clause */
#include "history.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "codec/cbor.h"

#define REQUESTS 200 /* of each way */
#define SEED 1

struct span {
	unsigned entries;
	int64_t begin_ms, end_ms; /* Unix ms between which they were published */
};

/* Where a page begins: at random, so that no page is like the one before. */
static void at_offset(const struct span *span, char *text, size_t size)
{
	snprintf(text, size, "%ld", 1 + random() % span->entries);
}

static void at_time(const struct span *span, char *text, size_t size)
{
	snprintf(text, size, "@%" PRId64, span->begin_ms + random() % (span->end_ms - span->begin_ms + 1));
}

static void at_newest(const struct span *span, char *text, size_t size)
{
	(void)span;
	snprintf(text, size, "latest");
}

static const struct way {
	void (*position)(const struct span *span, char *text, size_t size);
	unsigned limit;
	const char *order, *topic;
	enum hf_metric p50, p99;
} ways[] = {
	{at_offset, 100, "forwards", NULL, HF_PAGE_P50_MS, HF_PAGE_P99_MS},
	{at_offset, 1000, "forwards", NULL, HF_PAGE_FULL_P50_MS, HF_PAGE_FULL_P99_MS},
	{at_time, 100, "forwards", NULL, HF_PAGE_TIME_P50_MS, HF_PAGE_TIME_P99_MS},
	{at_offset, 100, "backwards", NULL, HF_PAGE_BACK_P50_MS, HF_PAGE_BACK_P99_MS},
	{at_newest, 100, "backwards", "signal", HF_PAGE_NONE_P50_MS, HF_PAGE_NONE_P99_MS},
};

static bool write_request(const struct way *way, const struct span *span, struct hf_buffer *out)
{
	char position[32];

	way->position(span, position, sizeof(position));
	hf_buffer_clear(out);
	return hf_cbor_put_map(out, way->topic ? 4 : 3) && hf_cbor_pair_text(out, "from", hf_slice_of(position)) &&
		   hf_cbor_pair_uint(out, "limit", way->limit) && hf_cbor_pair_text(out, "order", hf_slice_of(way->order)) &&
		   (!way->topic || hf_cbor_pair_text(out, "topic", hf_slice_of(way->topic)));
}

static bool measure(struct hf_load *load, const struct way *way, const struct span *span, double *value)
{
	struct hdr_histogram *took_ns;
	struct hf_buffer request = {0};
	bool done = hdr_init(1, 60 * HF_NS_PER_S, 3, &took_ns) == 0;

	if (!done) {
		return false;
	}
	for (unsigned i = 0; i < REQUESTS && done; i++) {
		int64_t ns = 0;
		done = write_request(way, span, &request) && hf_load_ask(load, request.data, request.len, &ns);
		hdr_record_value(took_ns, ns);
	}
	value[way->p50] = (double)hdr_value_at_percentile(took_ns, 50) / (double)HF_NS_PER_MS;
	value[way->p99] = (double)hdr_value_at_percentile(took_ns, 99) / (double)HF_NS_PER_MS;
	hf_buffer_free(&request);
	hdr_close(took_ns);
	return done;
}

static int64_t unix_ms(void)
{
	return hf_clock_ns(CLOCK_REALTIME) / HF_NS_PER_MS;
}

bool hf_history_measure(struct hf_load *load, unsigned entries, double value[HF_METRICS])
{
	struct span span = {.entries = entries, .begin_ms = unix_ms()};

	srandom(SEED);
	hf_load_start(load, HF_EVENT_TOPIC, entries);
	if (!hf_load_drain(load, 0) || !hf_load_add_asker(load)) {
		return false;
	}
	span.end_ms = unix_ms();
	value[HF_PAGE_WORST_P50_MS] = 0;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (!measure(load, &ways[i], &span, value)) {
			return false;
		}
		if (value[ways[i].p50] > value[HF_PAGE_WORST_P50_MS]) {
			value[HF_PAGE_WORST_P50_MS] = value[ways[i].p50];
		}
	}
	return true;
}
