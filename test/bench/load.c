/* SPDX-License-Identifier: BSD-3-Clause */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "asker.h"
#include "clock.h"

#define ANSWER_NS_MAX (10 * HF_NS_PER_S)
#define PROGRESS_NS_MAX (5 * HF_NS_PER_S)
#define SLICE_NS (20 * HF_NS_PER_MS)
#define LATENCY_NS_MAX (600 * HF_NS_PER_S)
#define SIGNIFICANT_FIGURES 3
#define NAME_SIZE 32

struct hf_load {
	const struct hf_broker *broker;
	struct hf_loop *loop;
	struct hf_tally tally;
	unsigned publisher_count;
	struct hf_publisher *publishers[HF_PUBLISHERS_MAX];
	char publisher_names[HF_PUBLISHERS_MAX][NAME_SIZE];
	struct hf_reader *readers[HF_READERS_MAX];
	char reader_names[HF_READERS_MAX][NAME_SIZE];
	struct hf_asker *asker;
	struct hf_auditor *auditor;
	struct hf_crowd *crowds[HF_CROWDS];
};

typedef bool (*condition_fn)(const struct hf_load *load, uint64_t argument);

struct hf_load *hf_load_new(const struct hf_broker *broker, const volatile sig_atomic_t *stop)
{
	struct hf_load *load = calloc(1, sizeof(*load));

	if (!load) {
		return NULL;
	}
	load->broker = broker;
	load->loop = hf_loop_new(stop);
	if (!load->loop || hdr_init(1, LATENCY_NS_MAX, SIGNIFICANT_FIGURES, &load->tally.ack_ns) != 0 ||
		hdr_init(1, LATENCY_NS_MAX, SIGNIFICANT_FIGURES, &load->tally.delivery_ns) != 0) {
		hf_load_free(load);
		return NULL;
	}
	return load;
}

void hf_load_free(struct hf_load *load)
{
	if (!load) {
		return;
	}
	for (unsigned i = 0; i < load->publisher_count; i++) {
		hf_publisher_close(load->publishers[i]);
	}
	for (unsigned i = 0; i < HF_READERS_MAX; i++) {
		hf_reader_close(load->readers[i]);
	}
	hf_asker_close(load->asker);
	hf_auditor_close(load->auditor);
	for (unsigned i = 0; i < HF_CROWDS; i++) {
		hf_crowd_close(load->crowds[i]);
	}
	if (load->tally.ack_ns) {
		hdr_close(load->tally.ack_ns);
	}
	if (load->tally.delivery_ns) {
		hdr_close(load->tally.delivery_ns);
	}
	hf_loop_free(load->loop);
	free(load);
}

const char *hf_load_failure(const struct hf_load *load)
{
	return hf_loop_failure(load->loop);
}

const struct hf_tally *hf_load_tally(const struct hf_load *load)
{
	return &load->tally;
}

uint64_t hf_load_sent(const struct hf_load *load)
{
	uint64_t sent = 0;

	for (unsigned i = 0; i < load->publisher_count; i++) {
		sent += hf_publisher_sent(load->publishers[i]);
	}
	return sent;
}

/* ---- running ------------------------------------------------------------------------------------------- */

/* One turn of the loop, not longer than until `until_ns`. */
static bool turn(struct hf_load *load, int64_t until_ns)
{
	for (unsigned i = 0; i < load->publisher_count; i++) {
		int64_t due_ns = hf_publisher_due_ns(load->publishers[i]);

		if (due_ns <= hf_now_ns()) {
			hf_publisher_poll(load->publishers[i]);
		}
		due_ns = hf_publisher_due_ns(load->publishers[i]);
		if (due_ns < until_ns) {
			until_ns = due_ns;
		}
	}
	if (load->auditor) {
		hf_auditor_poll(load->auditor);
	}
	return hf_loop_turn(load->loop, until_ns);
}

static bool run_until(struct hf_load *load, int64_t end_ns)
{
	while (hf_now_ns() < end_ns) {
		if (!turn(load, end_ns)) {
			return false;
		}
	}
	return true;
}

/* Run until the condition holds; give up when acknowledgements and deliveries stand still for so long. */
static bool run_while_progress(
	struct hf_load *load, condition_fn condition, uint64_t argument, int64_t patience_ns, const char *what)
{
	uint64_t progress = 0;
	int64_t deadline_ns = hf_now_ns() + patience_ns;

	while (!condition(load, argument)) {
		if (load->tally.acked + load->tally.delivered != progress) {
			progress = load->tally.acked + load->tally.delivered;
			deadline_ns = hf_now_ns() + patience_ns;
		}
		if (hf_now_ns() > deadline_ns) {
			hf_loop_fail(load->loop, "%s: nothing more for %lld s", what, (long long)(patience_ns / HF_NS_PER_S));
		}
		if (!turn(load, hf_now_ns() + SLICE_NS)) {
			return false;
		}
	}
	return true;
}

static bool all_ready(const struct hf_load *load, uint64_t argument)
{
	(void)argument;
	for (unsigned i = 0; i < load->publisher_count; i++) {
		if (!hf_publisher_is_ready(load->publishers[i])) {
			return false;
		}
	}
	for (unsigned i = 0; i < HF_READERS_MAX; i++) {
		if (load->readers[i] && !hf_reader_is_ready(load->readers[i])) {
			return false;
		}
	}
	for (unsigned i = 0; i < HF_CROWDS; i++) {
		if (load->crowds[i] && !hf_crowd_is_ready(load->crowds[i])) {
			return false;
		}
	}
	return !load->asker || hf_asker_is_ready(load->asker);
}

static bool has_noticed(const struct hf_load *load, uint64_t argument)
{
	(void)argument;
	return hf_crowd_has_noticed(load->crowds[HF_WATCHERS]);
}

static bool is_answered(const struct hf_load *load, uint64_t argument)
{
	(void)argument;
	return hf_asker_is_answered(load->asker);
}

static bool first_has_room(const struct hf_load *load, uint64_t argument)
{
	(void)argument;
	return hf_publisher_has_room(load->publishers[0]);
}

static bool all_done(const struct hf_load *load, uint64_t expected)
{
	for (unsigned i = 0; i < load->publisher_count; i++) {
		if (!hf_publisher_is_idle(load->publishers[i])) {
			return false;
		}
	}
	for (unsigned i = 0; i < HF_READERS_MAX; i++) {
		if (load->readers[i] && hf_reader_received(load->readers[i]) < expected) {
			return false;
		}
	}
	return true;
}

/* ---- public -------------------------------------------------------------------------------------------- */

bool hf_load_add_publishers(struct hf_load *load, unsigned count, const struct hf_publisher_setup *setup)
{
	for (unsigned i = 0; i < count && i < HF_PUBLISHERS_MAX; i++) {
		struct hf_publisher_setup own = *setup;

		snprintf(load->publisher_names[i], NAME_SIZE, "bench-publisher-%u", i);
		own.index = i;
		own.client_id = load->publisher_names[i];
		load->publishers[i] = hf_publisher_open(load->loop, hf_broker_port(load->broker), &own, &load->tally);
		if (!load->publishers[i]) {
			return false;
		}
		load->publisher_count = i + 1;
	}
	return run_while_progress(load, all_ready, 0, ANSWER_NS_MAX, "connecting publishers");
}

void hf_load_remove_publishers(struct hf_load *load)
{
	for (unsigned i = 0; i < load->publisher_count; i++) {
		hf_publisher_close(load->publishers[i]);
		load->publishers[i] = NULL;
	}
	load->publisher_count = 0;
}

bool hf_load_begin_reader(struct hf_load *load, unsigned index, const struct hf_reader_setup *setup)
{
	struct hf_reader_setup own = *setup;

	if (!own.client_id) {
		snprintf(load->reader_names[index], NAME_SIZE, "bench-reader-%u", index);
		own.client_id = load->reader_names[index];
	}
	load->readers[index] = hf_reader_open(load->loop, hf_broker_port(load->broker), &own, &load->tally);
	return load->readers[index] != NULL;
}

bool hf_load_add_reader(struct hf_load *load, unsigned index, const struct hf_reader_setup *setup)
{
	return hf_load_begin_reader(load, index, setup) &&
		   run_while_progress(load, all_ready, 0, ANSWER_NS_MAX, "connecting a reader");
}

void hf_load_remove_reader(struct hf_load *load, unsigned index)
{
	hf_reader_close(load->readers[index]);
	load->readers[index] = NULL;
}

bool hf_load_leave_devices(struct hf_load *load, unsigned count, const struct hf_reader_setup *setup)
{
	struct hf_reader_setup own = *setup;
	char name[NAME_SIZE];

	own.client_id = name;
	for (unsigned i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "bench-device-%u", i);
		if (!hf_load_add_reader(load, 0, &own)) {
			return false;
		}
		hf_load_remove_reader(load, 0);
	}
	return true;
}

/* A page is a map whose first key is this; a refusal's is another (schemas/history.cddl). */
#define PAGE_KEY "\x64head"

static bool is_page(void *context, const struct hf_publish *answer)
{
	(void)context;
	return answer->payload_size >= 1 + strlen(PAGE_KEY) && memcmp(answer->payload + 1, PAGE_KEY, strlen(PAGE_KEY)) == 0;
}

static const struct hf_asker_setup history_asker = {
	.client_id = "bench-asker",
	.topic = "sessions/" HF_SESSION "/history",
	.answers = "bench-answers",
	.take = is_page,
};

bool hf_load_add_asker(struct hf_load *load)
{
	load->asker = hf_asker_open(load->loop, hf_broker_port(load->broker), &history_asker, NULL);
	return load->asker && run_while_progress(load, all_ready, 0, ANSWER_NS_MAX, "connecting who asks for history");
}

bool hf_load_ask(struct hf_load *load, const void *request, size_t size, int64_t *took_ns)
{
	hf_asker_ask(load->asker, request, size);
	if (!run_while_progress(load, is_answered, 0, ANSWER_NS_MAX, "waiting for a page")) {
		return false;
	}
	*took_ns = hf_asker_took_ns(load->asker);
	return true;
}

bool hf_load_add_auditor(struct hf_load *load)
{
	load->auditor = hf_auditor_open(load->loop, load->broker);
	return load->auditor != NULL;
}

uint64_t hf_load_answers(const struct hf_load *load)
{
	return hf_auditor_answers(load->auditor);
}

bool hf_load_add_crowd(struct hf_load *load, enum hf_crowd_part part, const struct hf_crowd_setup *setup)
{
	load->crowds[part] = hf_crowd_open(load->loop, hf_broker_port(load->broker), setup, &load->tally);
	return load->crowds[part] && run_while_progress(load, all_ready, 0, ANSWER_NS_MAX, "connecting a crowd");
}

bool hf_load_crash(struct hf_load *load, unsigned agent)
{
	hf_crowd_expect(load->crowds[HF_WATCHERS], hf_now_ns());
	hf_crowd_break(load->crowds[HF_AGENTS], agent);
	return run_while_progress(load, has_noticed, 0, PROGRESS_NS_MAX, "waiting for the notice of a crash");
}

static const struct hf_pace unpaced = {.interval_ns = 0, .burst = 1};

void hf_load_start(struct hf_load *load, const char *topic, uint64_t limit)
{
	for (unsigned i = 0; i < load->publisher_count; i++) {
		hf_publisher_run(load->publishers[i], topic, limit, unpaced);
	}
}

void hf_load_start_paced(struct hf_load *load, const char *topic, unsigned rate_hz, unsigned burst)
{
	struct hf_pace pace = {.interval_ns = HF_NS_PER_S / rate_hz, .burst = burst};

	for (unsigned i = 0; i < load->publisher_count; i++) {
		hf_publisher_run(load->publishers[i], topic, HF_UNLIMITED, pace);
	}
}

void hf_load_stop(struct hf_load *load)
{
	for (unsigned i = 0; i < load->publisher_count; i++) {
		hf_publisher_stop(load->publishers[i]);
	}
}

bool hf_load_publish_sessions(struct hf_load *load, unsigned count)
{
	char topic[64];

	for (unsigned i = 0; i < count; i++) {
		snprintf(topic, sizeof(topic), "sessions/" HF_SESSION "-%u/event", i);
		hf_publisher_run(load->publishers[0], topic, 1, unpaced);
		if (!run_while_progress(load, first_has_room, 0, PROGRESS_NS_MAX, "publishing to many sessions")) {
			return false;
		}
	}
	return hf_load_drain(load, 0);
}

void hf_load_begin(struct hf_load *load, struct hf_interval *reading)
{
	hdr_reset(load->tally.ack_ns);
	hdr_reset(load->tally.delivery_ns);
	*reading = (struct hf_interval){
		.duration_ns = hf_now_ns(),
		.acked = load->tally.acked,
		.delivered = load->tally.delivered,
		.broker_cpu_ns = hf_broker_cpu_ns(load->broker),
		.broker_main_ns = hf_broker_main_ns(load->broker),
		.broker_wait_ns = hf_broker_wait_ns(load->broker),
		.load_cpu_ns = hf_clock_ns(CLOCK_PROCESS_CPUTIME_ID),
	};
}

void hf_load_end(struct hf_load *load, struct hf_interval *reading)
{
	reading->duration_ns = hf_now_ns() - reading->duration_ns;
	reading->acked = load->tally.acked - reading->acked;
	reading->delivered = load->tally.delivered - reading->delivered;
	reading->broker_cpu_ns = hf_broker_cpu_ns(load->broker) - reading->broker_cpu_ns;
	reading->broker_main_ns = hf_broker_main_ns(load->broker) - reading->broker_main_ns;
	reading->broker_wait_ns = hf_broker_wait_ns(load->broker) - reading->broker_wait_ns;
	reading->load_cpu_ns = hf_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - reading->load_cpu_ns;
}

bool hf_load_measure(struct hf_load *load, int64_t warm_up_ns, int64_t duration_ns, struct hf_interval *interval)
{
	if (!run_until(load, hf_now_ns() + warm_up_ns)) {
		return false;
	}
	hf_load_begin(load, interval);
	if (!run_until(load, interval->duration_ns + duration_ns)) {
		return false;
	}
	hf_load_end(load, interval);
	return true;
}

bool hf_load_drain(struct hf_load *load, uint64_t expected)
{
	return run_while_progress(load, all_done, expected, PROGRESS_NS_MAX, "waiting for what was published");
}

static bool first_have(const struct hf_load *load, uint64_t count_and_expected)
{
	uint64_t count = count_and_expected >> 32, expected = count_and_expected & UINT32_MAX;

	for (uint64_t i = 0; i < count; i++) {
		if (hf_reader_received(load->readers[i]) < expected) {
			return false;
		}
	}
	return true;
}

bool hf_load_drain_readers(struct hf_load *load, unsigned count, uint64_t expected)
{
	return run_while_progress(
		load, first_have, (uint64_t)count << 32 | expected, PROGRESS_NS_MAX, "waiting for the readers");
}
