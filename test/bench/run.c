/* SPDX-License-Identifier: BSD-3-Clause */
#include "run.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "history.h"

static double percentile_us(const struct hdr_histogram *histogram, double percentile)
{
	return (double)hdr_value_at_percentile(histogram, percentile) / (double)HF_NS_PER_US;
}

int64_t hf_run_ns_of(double seconds)
{
	return (int64_t)(seconds * (double)HF_NS_PER_S);
}

static void note_ack_latency(struct hf_run *run)
{
	run->value[HF_ACK_P50_US] = percentile_us(hf_load_tally(run->load)->ack_ns, 50);
	run->value[HF_ACK_P99_US] = percentile_us(hf_load_tally(run->load)->ack_ns, 99);
}

void hf_run_note_delivery(struct hf_run *run)
{
	run->value[HF_DELIVERY_P50_US] = percentile_us(hf_load_tally(run->load)->delivery_ns, 50);
	run->value[HF_DELIVERY_P99_US] = percentile_us(hf_load_tally(run->load)->delivery_ns, 99);
}

/* `messages` is what the broker's CPU time is divided by. */
void hf_run_note_cost(struct hf_run *run, const struct hf_interval *interval, uint64_t messages)
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

static bool add_publishers(struct hf_run *run)
{
	struct hf_publisher_setup setup = {.window = run->which->window, .payload_size = run->which->payload_size};

	return hf_load_add_publishers(run->load, run->which->publishers, &setup);
}

static bool add_reader(struct hf_run *run, unsigned index)
{
	struct hf_reader_setup setup = {
		.filter = HF_SESSION_FILTER,
		.qos = 1,
		.receive_maximum = (uint16_t)run->which->receive_maximum,
		.topic = HF_EVENT_TOPIC,
	};

	return hf_load_add_reader(run->load, index, &setup);
}

static bool add_offline_reader(struct hf_run *run)
{
	if (!add_reader(run, 0)) {
		return false;
	}
	hf_load_remove_reader(run->load, 0);
	return true;
}

/* Publish what the auditor asks about, and have it begin. */
static bool begin_asking(struct hf_run *run)
{
	if (!run->which->asked) {
		return true;
	}
	hf_load_start(run->load, HF_EVENT_TOPIC, run->which->entries);
	return hf_load_drain(run->load, run->which->entries) &&
		   (run->variant->auditor == HF_NOBODY || hf_load_add_auditor(run->load));
}

/* Of a case with an auditor also what the main thread does, which serves all clients: that is what an auditor must not
 * take, and, other than the rate, the same whatever else the machine does. */
static bool measure(struct hf_run *run, double seconds, struct hf_interval *interval)
{
	bool asked = run->variant->auditor != HF_NOBODY;
	uint64_t answers = asked ? hf_load_answers(run->load) : 0;

	if (!hf_load_measure(run->load, hf_run_ns_of(run->extent->warm_up_s), hf_run_ns_of(seconds), interval)) {
		return false;
	}
	if (run->which->asked && interval->delivered > 0) {
		run->value[HF_MAIN_US] = (double)interval->broker_main_ns / (double)HF_NS_PER_US / (double)interval->delivered;
	}
	if (asked) {
		answers = hf_load_answers(run->load) - answers;
		run->value[HF_ANSWERS_PER_S] = (double)answers / (seconds + run->extent->warm_up_s);
	}
	if (asked && answers == 0) {
		snprintf(run->why, run->why_size, "the auditor had no answer");
	}
	return !asked || answers > 0;
}

static bool run_publish(struct hf_run *run)
{
	struct hf_interval interval;

	if (run->which->offline_reader && !add_offline_reader(run)) {
		return false;
	}
	if (!add_publishers(run)) {
		return false;
	}
	hf_load_start(run->load, HF_EVENT_TOPIC, HF_UNLIMITED);
	if (!hf_load_measure(
			run->load, hf_run_ns_of(run->extent->warm_up_s), hf_run_ns_of(run->extent->measure_s), &interval)) {
		return false;
	}
	note_ack_latency(run);
	run->value[HF_ACKED_PER_S] = per_second(interval.acked, &interval);
	hf_run_note_cost(run, &interval, interval.acked);
	hf_load_stop(run->load);
	return hf_load_drain(run->load, 0);
}

static bool run_deliver(struct hf_run *run)
{
	struct hf_interval interval;

	for (unsigned i = 0; i < run->which->readers; i++) {
		if (!add_reader(run, i)) {
			return false;
		}
	}
	if (!add_publishers(run)) {
		return false;
	}
	if (!begin_asking(run)) {
		return false;
	}
	hf_load_start(run->load, HF_EVENT_TOPIC, HF_UNLIMITED);
	/* Some answers take longer than a second. */
	if (!measure(run, run->which->asked ? run->extent->pace_s : run->extent->measure_s, &interval)) {
		return false;
	}
	hf_run_note_delivery(run);
	run->value[HF_ACKED_PER_S] = per_second(interval.acked, &interval);
	run->value[HF_DELIVERED_PER_S] = per_second(interval.delivered, &interval);
	hf_run_note_cost(run, &interval, interval.delivered);
	hf_load_stop(run->load);
	return hf_load_drain(run->load, hf_load_sent(run->load)) && hf_run_note_receipts(run);
}

static bool run_pace(struct hf_run *run)
{
	struct hf_interval interval;

	if (!add_reader(run, 0) || !add_publishers(run) || !begin_asking(run)) {
		return false;
	}
	hf_load_start_paced(run->load, HF_EVENT_TOPIC, run->which->rate_hz, run->which->burst);
	if (!measure(run, run->extent->pace_s, &interval)) {
		return false;
	}
	hf_run_note_cost(run, &interval, interval.delivered);
	hf_load_stop(run->load);
	/* Messages that are late count too: the histograms are read when the last one is there. */
	if (!hf_load_drain(run->load, hf_load_sent(run->load))) {
		return false;
	}
	note_ack_latency(run);
	hf_run_note_delivery(run);
	run->value[HF_DELIVERY_MAX_US] = (double)hdr_max(hf_load_tally(run->load)->delivery_ns) / (double)HF_NS_PER_US;
	return true;
}

static bool run_history(struct hf_run *run)
{
	return add_publishers(run) && hf_history_measure(run->load, run->extent->history, run->value);
}

double hf_run_rss_at_rest_mib(const struct hf_run *run)
{
	struct timespec settle = {.tv_nsec = 300 * HF_NS_PER_MS};

	nanosleep(&settle, NULL);
	return hf_broker_rss_bytes(run->broker) / (1024 * 1024);
}

static bool run_rest(struct hf_run *run)
{
	double grown_mib;

	/* Both figures are of a broker that was started on a store which was there before. */
	if (!hf_broker_restart(run->broker, run->why, run->why_size)) {
		return false;
	}
	run->value[HF_RSS_EMPTY_MIB] = hf_run_rss_at_rest_mib(run);
	if (!add_publishers(run) || !hf_load_publish_sessions(run->load, run->extent->sessions)) {
		return false;
	}
	run->value[HF_RSS_MIB] = hf_broker_rss_bytes(run->broker) / (1024 * 1024);
	if (!hf_broker_restart(run->broker, run->why, run->why_size)) {
		return false;
	}
	run->value[HF_RSS_REST_MIB] = hf_run_rss_at_rest_mib(run);
	grown_mib = run->value[HF_RSS_REST_MIB] - run->value[HF_RSS_EMPTY_MIB];
	run->value[HF_BYTES_PER_SESSION] = grown_mib * 1024 * 1024 / run->extent->sessions;
	return true;
}

bool hf_case_run(const struct hf_case *which, struct hf_broker *broker, const struct hf_extent *extent,
	const volatile sig_atomic_t *stop, struct hf_sample *sample, char *why, size_t why_size)
{
	static bool (*const run_kind[HF_CASE_KINDS])(struct hf_run *) = {
		[HF_CASE_PUBLISH] = run_publish,
		[HF_CASE_DELIVER] = run_deliver,
		[HF_CASE_PACE] = run_pace,
		[HF_CASE_CATCH_UP] = hf_run_catch_up,
		[HF_CASE_DRAIN] = hf_run_drain,
		[HF_CASE_OFFLINE] = hf_run_offline,
		[HF_CASE_HISTORY] = run_history,
		[HF_CASE_REST] = run_rest,
		[HF_CASE_CRASH] = hf_run_crash,
		[HF_CASE_UPKEEP] = hf_run_upkeep,
	};
	struct hf_run run = {
		.which = which,
		.extent = extent,
		.variant = &hf_variant_info[hf_broker_variant(broker)],
		.broker = broker,
		.why = why,
		.why_size = why_size,
	};
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
