/* SPDX-License-Identifier: BSD-3-Clause */
#include "cases.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "history.h"
#include "load.h"

/* ---- the table ----------------------------------------------------------------------------------------- */

/* One case or macro is one block, not one field a line. */
/* clang-format off */
#define SATURATED(label, text, pubs, size, unacked, metric, offline, in_quick)                                         \
	{                                                                                                                  \
		.name = label "-" #pubs "x" #size "-w" #unacked,                                                               \
		.title = #pubs " publisher(s), " #size " bytes, " #unacked " unacknowledged, " text, .kind = HF_CASE_PUBLISH,  \
		.primary = metric, .publishers = pubs, .payload_size = size, .window = unacked, .offline_reader = offline,     \
		.quick = in_quick,                                                                                             \
	}

#define PUBLISH(pubs, size, unacked, metric, in_quick)                                                                 \
	SATURATED("publish", "no reader", pubs, size, unacked, metric, false, in_quick)
#define STORE(pubs, size, unacked, metric, in_quick)                                                                   \
	SATURATED("store", "one offline durable reader", pubs, size, unacked, metric, true, in_quick)

#define DELIVER(count, size, in_quick)                                                                                 \
	{                                                                                                                  \
		.name = "deliver-" #count "x" #size,                                                                           \
		.title = "1 publisher, " #size " bytes, 100 unacknowledged, to " #count                                        \
				 " connected durable reader(s) at QoS 1, Receive Maximum 100",                                         \
		.kind = HF_CASE_DELIVER, .primary = HF_DELIVERED_PER_S, .publishers = 1, .payload_size = size, .window = 100,  \
		.readers = count, .reader_qos = 1, .quick = in_quick,                                                          \
	}

#define PACE(label, text, rate, together, metric, without_nodelay, in_quick)                                           \
	{                                                                                                                  \
		.name = label, .title = text, .kind = HF_CASE_PACE, .primary = metric, .publishers = 1, .payload_size = 64,    \
		.window = 100, .readers = 1, .rate_hz = rate, .burst = together, .reader_qos = 1, .nagle = without_nodelay,    \
		.quick = in_quick,                                                                                             \
	}

const struct hf_case hf_cases[] = {
	PUBLISH(1, 64, 1, HF_ACK_P50_US, true),
	PUBLISH(1, 64, 20, HF_ACKED_PER_S, false),
	PUBLISH(1, 64, 100, HF_ACKED_PER_S, true),
	PUBLISH(1, 256, 1, HF_ACK_P50_US, false),
	PUBLISH(1, 256, 20, HF_ACKED_PER_S, false),
	PUBLISH(1, 256, 100, HF_ACKED_PER_S, false),
	PUBLISH(10, 64, 1, HF_ACKED_PER_S, false),
	PUBLISH(10, 64, 20, HF_ACKED_PER_S, false),
	PUBLISH(10, 64, 100, HF_ACKED_PER_S, false),
	PUBLISH(10, 256, 1, HF_ACKED_PER_S, false),
	PUBLISH(10, 256, 20, HF_ACKED_PER_S, false),
	PUBLISH(10, 256, 100, HF_ACKED_PER_S, false),
	STORE(1, 64, 1, HF_ACK_P50_US, true),
	STORE(1, 64, 20, HF_ACKED_PER_S, false),
	STORE(1, 64, 100, HF_ACKED_PER_S, true),
	STORE(1, 256, 1, HF_ACK_P50_US, false),
	STORE(1, 256, 20, HF_ACKED_PER_S, false),
	STORE(1, 256, 100, HF_ACKED_PER_S, false),
	STORE(10, 64, 1, HF_ACKED_PER_S, false),
	STORE(10, 64, 20, HF_ACKED_PER_S, false),
	STORE(10, 64, 100, HF_ACKED_PER_S, true),
	STORE(10, 256, 1, HF_ACKED_PER_S, false),
	STORE(10, 256, 20, HF_ACKED_PER_S, false),
	STORE(10, 256, 100, HF_ACKED_PER_S, false),
	DELIVER(1, 64, true),
	DELIVER(1, 256, false),
	DELIVER(10, 64, true),
	DELIVER(10, 256, false),
	PACE("pace-20", "20 messages a second, 64 bytes, to one durable reader", 20, 1, HF_DELIVERY_P50_US, false, false),
	PACE("pace-2000", "2,000 messages a second, 64 bytes, to one durable reader", 2000, 1, HF_DELIVERY_P50_US, false, true),
	/* Nagle's algorithm holds back the second acknowledgement of a burst until TCP confirms the first, up to 40 ms. */
	PACE("burst", "20 bursts a second of 5 messages, 64 bytes, to one durable reader", 100, 5, HF_ACK_P50_US, false, false),
	PACE("burst-nagle", "the same without set_tcp_nodelay, for the record", 100, 5, HF_ACK_P50_US, true, false),
	{
		.name = "catch-up-offline", .kind = HF_CASE_CATCH_UP, .primary = HF_DURATION_MS,
		.title = "a durable device that was offline, 64 bytes, QoS 1, Receive Maximum 100",
		.publishers = 1, .payload_size = 64, .window = 100, .reader_qos = 1, .quick = true,
	},
	{
		.name = "catch-up-fresh", .kind = HF_CASE_CATCH_UP, .primary = HF_DURATION_MS, .fresh = true,
		.title = "a new device from $from/earliest, 64 bytes, QoS 1, Receive Maximum 100",
		.publishers = 1, .payload_size = 64, .window = 100, .reader_qos = 1, .quick = true,
	},
	{
		.name = "history", .kind = HF_CASE_HISTORY, .primary = HF_PAGE_WORST_P50_MS,
		.title = "pages of a long session of 64 bytes an entry, 100 entries a page (x1000: that many): from an offset, from a "
				 "time, backwards, and from the newest back for a topic of which there is none",
		.publishers = 1, .payload_size = 64, .window = 100,
	},
	{
		.name = "rest", .kind = HF_CASE_REST, .primary = HF_BYTES_PER_SESSION,
		.title = "memory of sessions that nobody uses, after a restart of the broker",
		.publishers = 1, .payload_size = 64, .window = 100, .quick = true,
	},
};
/* clang-format on */

const size_t hf_case_count = sizeof(hf_cases) / sizeof(hf_cases[0]);

bool hf_case_suits(const struct hf_case *which, enum hf_variant variant)
{
	return variant == HF_HOLDFAST || !(which->fresh || which->kind == HF_CASE_HISTORY || which->kind == HF_CASE_REST);
}

/* ---- measuring ----------------------------------------------------------------------------------------- */

struct run {
	const struct hf_case *which;
	const struct hf_extent *extent;
	struct hf_broker *broker;
	struct hf_load *load;
	double *value;
	char *why;
	size_t why_size;
};

static double percentile_us(const struct hdr_histogram *histogram, double percentile)
{
	return (double)hdr_value_at_percentile(histogram, percentile) / (double)HF_NS_PER_US;
}

static int64_t ns_of(double seconds)
{
	return (int64_t)(seconds * (double)HF_NS_PER_S);
}

static void note_ack_latency(struct run *run)
{
	run->value[HF_ACK_P50_US] = percentile_us(hf_load_tally(run->load)->ack_ns, 50);
	run->value[HF_ACK_P99_US] = percentile_us(hf_load_tally(run->load)->ack_ns, 99);
}

static void note_delivery_latency(struct run *run)
{
	run->value[HF_DELIVERY_P50_US] = percentile_us(hf_load_tally(run->load)->delivery_ns, 50);
	run->value[HF_DELIVERY_P99_US] = percentile_us(hf_load_tally(run->load)->delivery_ns, 99);
}

/* `messages` is what the broker's CPU time is divided by. */
static void note_cost(struct run *run, const struct hf_interval *interval, uint64_t messages)
{
	double duration_ns = (double)interval->duration_ns;

	if (messages > 0) {
		run->value[HF_CPU_US] = (double)interval->broker_cpu_ns / (double)HF_NS_PER_US / (double)messages;
	}
	run->value[HF_BROKER_BUSY] = 100 * (double)interval->broker_cpu_ns / duration_ns;
	run->value[HF_BROKER_WAIT] = 100 * (double)interval->broker_wait_ns / duration_ns;
	run->value[HF_LOAD_BUSY] = 100 * (double)interval->load_cpu_ns / duration_ns;
	run->value[HF_RSS_MIB] = hf_broker_rss_bytes(run->broker) / (1024 * 1024);
}

static double per_second(uint64_t messages, const struct hf_interval *interval)
{
	return (double)messages * (double)HF_NS_PER_S / (double)interval->duration_ns;
}

static bool add_publishers(struct run *run)
{
	return hf_load_add_publishers(run->load, run->which->publishers, run->which->window, run->which->payload_size);
}

static bool add_offline_reader(struct run *run)
{
	if (!hf_load_add_reader(run->load, 0, HF_SESSION_FILTER, 1)) {
		return false;
	}
	hf_load_remove_reader(run->load, 0);
	return true;
}

static bool run_publish(struct run *run)
{
	struct hf_interval interval;

	if (run->which->offline_reader && !add_offline_reader(run)) {
		return false;
	}
	if (!add_publishers(run)) {
		return false;
	}
	hf_load_start(run->load, HF_UNLIMITED);
	if (!hf_load_measure(run->load, ns_of(run->extent->warm_up_s), ns_of(run->extent->measure_s), &interval)) {
		return false;
	}
	note_ack_latency(run);
	run->value[HF_ACKED_PER_S] = per_second(interval.acked, &interval);
	note_cost(run, &interval, interval.acked);
	hf_load_stop(run->load);
	return hf_load_drain(run->load, 0);
}

static bool run_deliver(struct run *run)
{
	struct hf_interval interval;

	for (unsigned i = 0; i < run->which->readers; i++) {
		if (!hf_load_add_reader(run->load, i, HF_SESSION_FILTER, run->which->reader_qos)) {
			return false;
		}
	}
	if (!add_publishers(run)) {
		return false;
	}
	hf_load_start(run->load, HF_UNLIMITED);
	if (!hf_load_measure(run->load, ns_of(run->extent->warm_up_s), ns_of(run->extent->measure_s), &interval)) {
		return false;
	}
	note_delivery_latency(run);
	run->value[HF_ACKED_PER_S] = per_second(interval.acked, &interval);
	run->value[HF_DELIVERED_PER_S] = per_second(interval.delivered, &interval);
	note_cost(run, &interval, interval.delivered);
	hf_load_stop(run->load);
	return hf_load_drain(run->load, hf_load_sent(run->load));
}

static bool run_pace(struct run *run)
{
	struct hf_interval interval;

	if (!hf_load_add_reader(run->load, 0, HF_SESSION_FILTER, run->which->reader_qos) || !add_publishers(run)) {
		return false;
	}
	hf_load_start_paced(run->load, run->which->rate_hz, run->which->burst);
	if (!hf_load_measure(run->load, ns_of(run->extent->warm_up_s), ns_of(run->extent->pace_s), &interval)) {
		return false;
	}
	note_cost(run, &interval, interval.delivered);
	hf_load_stop(run->load);
	/* Messages that are late count too: the histograms are read when the last one is there. */
	if (!hf_load_drain(run->load, hf_load_sent(run->load))) {
		return false;
	}
	note_ack_latency(run);
	note_delivery_latency(run);
	run->value[HF_DELIVERY_MAX_US] = (double)hdr_max(hf_load_tally(run->load)->delivery_ns) / (double)HF_NS_PER_US;
	return true;
}

static bool run_catch_up(struct run *run)
{
	const char *filter = run->which->fresh ? "$from/earliest/" HF_SESSION_FILTER : NULL;
	struct hf_interval interval;
	const struct hf_tally *tally = hf_load_tally(run->load);

	if (!run->which->fresh && !add_offline_reader(run)) {
		return false;
	}
	if (!add_publishers(run)) {
		return false;
	}
	hf_load_start(run->load, run->extent->entries);
	if (!hf_load_drain(run->load, 0)) {
		return false;
	}
	hf_load_begin(run->load, &interval);
	if (!hf_load_add_reader(run->load, 0, filter, run->which->reader_qos) ||
		!hf_load_drain(run->load, run->extent->entries)) {
		return false;
	}
	hf_load_end(run->load, &interval);
	run->value[HF_MESSAGES] = (double)tally->delivered;
	run->value[HF_BYTES] = (double)tally->delivered_bytes;
	run->value[HF_DURATION_MS] = (double)interval.duration_ns / (double)HF_NS_PER_MS;
	note_cost(run, &interval, tally->delivered);
	return true;
}

static bool run_history(struct run *run)
{
	return add_publishers(run) && hf_history_measure(run->load, run->extent->history, run->value);
}

/* Memory that a broker has once it has settled after its start. */
static double rss_at_rest_mib(const struct run *run)
{
	struct timespec settle = {.tv_nsec = 300 * HF_NS_PER_MS};

	nanosleep(&settle, NULL);
	return hf_broker_rss_bytes(run->broker) / (1024 * 1024);
}

static bool run_rest(struct run *run)
{
	double grown_mib;

	/* Both figures are of a broker that was started on a store which was there before. */
	if (!hf_broker_restart(run->broker, run->why, run->why_size)) {
		return false;
	}
	run->value[HF_RSS_EMPTY_MIB] = rss_at_rest_mib(run);
	if (!add_publishers(run) || !hf_load_publish_sessions(run->load, run->extent->sessions)) {
		return false;
	}
	run->value[HF_RSS_MIB] = hf_broker_rss_bytes(run->broker) / (1024 * 1024);
	if (!hf_broker_restart(run->broker, run->why, run->why_size)) {
		return false;
	}
	run->value[HF_RSS_REST_MIB] = rss_at_rest_mib(run);
	grown_mib = run->value[HF_RSS_REST_MIB] - run->value[HF_RSS_EMPTY_MIB];
	run->value[HF_BYTES_PER_SESSION] = grown_mib * 1024 * 1024 / run->extent->sessions;
	return true;
}

bool hf_case_run(const struct hf_case *which, struct hf_broker *broker, const struct hf_extent *extent,
	const volatile sig_atomic_t *stop, struct hf_sample *sample, char *why, size_t why_size)
{
	static bool (*const run_kind[])(struct run *) = {
		[HF_CASE_PUBLISH] = run_publish,
		[HF_CASE_DELIVER] = run_deliver,
		[HF_CASE_PACE] = run_pace,
		[HF_CASE_CATCH_UP] = run_catch_up,
		[HF_CASE_HISTORY] = run_history,
		[HF_CASE_REST] = run_rest,
	};
	struct run run = {.which = which, .extent = extent, .broker = broker, .why = why, .why_size = why_size};
	bool done;

	hf_sample_clear(sample);
	why[0] = '\0';
	run.value = sample->value;
	run.load = hf_load_new(broker, stop);
	if (!run.load) {
		snprintf(why, why_size, "out of memory");
		return false;
	}
	done = run_kind[which->kind](&run);
	if (!done && hf_load_failure(run.load)) {
		snprintf(why, why_size, "%s", hf_load_failure(run.load));
	}
	hf_load_free(run.load);
	return done;
}
