/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices that were away, or are new, and what there is for them meanwhile. */
#include <stdio.h>

#include "clock.h"
#include "run.h"

#define LIVE_TOPIC "sessions/live/event"
#define LIVE_FILTER "sessions/live/#"
#define HOLDFAST_DEVICES 10000
#define BARE_DEVICES 1000 /* each costs as much as its backlog: ten times as many would be more than a gigabyte */

/* ---- by MQTT */

static struct hf_reader_setup batch_reader(const struct hf_run *run, const struct hf_corpus *corpus, const char *filter)
{
	return (struct hf_reader_setup){
		.filter = filter,
		.qos = run->which->reader_qos,
		.receive_maximum = (uint16_t)run->which->receive_maximum,
		.topic = HF_TOKENS_TOPIC,
		.corpus = corpus,
	};
}

static const char *filter_of(const struct hf_run *run, bool fresh)
{
	bool holdfast = run->variant->plugin == HF_PLUGIN;

	if (fresh) {
		return run->variant->batches ? "$from/earliest,batches/" HF_TOKENS_TOPIC : "$from/earliest/" HF_TOKENS_TOPIC;
	}
	return holdfast && run->variant->batches ? "$resume/latest,batches/" HF_TOKENS_TOPIC : HF_TOKENS_TOPIC;
}

/* Readers 0 to count - 1 subscribe, and go. */
static bool leave_readers(struct hf_run *run, const struct hf_corpus *corpus, unsigned count)
{
	struct hf_reader_setup setup = batch_reader(run, corpus, filter_of(run, false));

	for (unsigned i = 0; i < count; i++) {
		if (!hf_load_add_reader(run->load, i, &setup)) {
			return false;
		}
		hf_load_remove_reader(run->load, i);
	}
	return true;
}

static bool publish_corpus(struct hf_run *run, const struct hf_corpus *corpus)
{
	struct hf_publisher_setup setup = {
		.window = run->which->window,
		.payload_size = run->which->payload_size,
		.stamped = run->variant->stamped,
		.corpus = corpus,
	};

	if (!hf_load_add_publishers(run->load, 1, &setup)) {
		return false;
	}
	hf_load_start(run->load, HF_TOKENS_TOPIC, hf_corpus_count(corpus));
	if (!hf_load_drain(run->load, 0)) {
		return false;
	}
	hf_load_remove_publishers(run->load);
	return true;
}

static bool mqtt_fill(struct hf_run *run, const struct hf_corpus *corpus)
{
	bool fresh = run->which->fresh && run->variant->plugin == HF_PLUGIN;

	return (fresh || leave_readers(run, corpus, 1)) && publish_corpus(run, corpus);
}

static bool mqtt_drain(struct hf_run *run, const struct hf_corpus *corpus)
{
	bool fresh = run->which->fresh && run->variant->plugin == HF_PLUGIN;
	struct hf_reader_setup setup = batch_reader(run, corpus, fresh ? filter_of(run, true) : NULL);

	if (!hf_load_add_reader(run->load, 0, &setup) || !hf_load_drain(run->load, hf_corpus_count(corpus))) {
		return false;
	}
	run->value[HF_MESSAGES] = (double)hf_load_tally(run->load)->messages;
	run->value[HF_BYTES] = (double)hf_load_tally(run->load)->delivered_bytes;
	return true;
}

static const struct hf_rival mqtt = {.fill = mqtt_fill, .drain = mqtt_drain};

/* ---- the cases */

static struct hf_corpus *make_corpus(struct hf_run *run)
{
	struct hf_corpus *corpus = hf_corpus_new(run->which->entries, run->which->payload_size);

	if (!corpus) {
		snprintf(run->why, run->why_size, "out of memory");
	}
	return corpus;
}

static bool catch_up(struct hf_run *run, const struct hf_corpus *corpus)
{
	const struct hf_rival *rival = run->variant->server == HF_REDIS  ? &hf_redis
								   : run->variant->server == HF_NATS ? &hf_nats
																	 : &mqtt;
	struct hf_interval interval;

	if (!rival->fill(run, corpus)) {
		return false;
	}
	hf_load_begin(run->load, &interval);
	if (!rival->drain(run, corpus)) {
		return false;
	}
	hf_load_end(run->load, &interval);
	run->value[HF_DURATION_MS] = (double)interval.duration_ns / (double)HF_NS_PER_MS;
	hf_run_note_cost(run, &interval, hf_corpus_count(corpus));
	return true;
}

bool hf_run_catch_up(struct hf_run *run)
{
	struct hf_corpus *corpus = make_corpus(run);
	bool done = corpus && catch_up(run, corpus);

	hf_corpus_free(corpus);
	return done;
}

static bool drain(struct hf_run *run, const struct hf_corpus *corpus)
{
	unsigned devices = run->which->readers;
	struct hf_reader_setup back = batch_reader(run, corpus, NULL),
						   live = {.filter = LIVE_FILTER, .qos = 1, .receive_maximum = 100, .topic = LIVE_TOPIC};
	struct hf_publisher_setup publisher = {.window = run->which->window, .payload_size = run->which->payload_size};
	struct hf_interval interval;

	if (!leave_readers(run, corpus, devices) || !publish_corpus(run, corpus) ||
		!hf_load_add_reader(run->load, devices, &live) || !hf_load_add_publishers(run->load, 1, &publisher)) {
		return false;
	}
	hf_load_start_paced(run->load, LIVE_TOPIC, run->which->rate_hz, run->which->burst);
	hf_load_begin(run->load, &interval);
	for (unsigned i = 0; i < devices; i++) {
		if (!hf_load_begin_reader(run->load, i, &back)) {
			return false;
		}
	}
	if (!hf_load_drain_readers(run->load, devices, hf_corpus_count(corpus))) {
		return false;
	}
	hf_load_end(run->load, &interval);
	hf_load_stop(run->load);
	/* What is late counts, too. */
	if (!hf_load_drain_readers(run->load, devices, hf_corpus_count(corpus)) || !hf_load_drain(run->load, 0)) {
		return false;
	}
	hf_run_note_delivery(run);
	run->value[HF_DURATION_MS] = (double)interval.duration_ns / (double)HF_NS_PER_MS;
	hf_run_note_cost(run, &interval, (uint64_t)devices * hf_corpus_count(corpus));
	return true;
}

bool hf_run_drain(struct hf_run *run)
{
	struct hf_corpus *corpus = make_corpus(run);
	bool done = corpus && drain(run, corpus);

	hf_corpus_free(corpus);
	return done;
}

bool hf_run_offline(struct hf_run *run)
{
	const unsigned devices = run->variant->plugin == HF_PLUGIN ? HOLDFAST_DEVICES : BARE_DEVICES;
	struct hf_reader_setup device = {
		.filter = HF_SESSION_FILTER, .qos = run->which->reader_qos, .receive_maximum = 100, .topic = HF_EVENT_TOPIC};
	struct hf_publisher_setup publisher = {.window = run->which->window, .payload_size = run->which->payload_size};
	double begun_mib = hf_run_rss_at_rest_mib(run), away_mib;

	if (!hf_load_leave_devices(run->load, devices, &device)) {
		return false;
	}
	away_mib = hf_run_rss_at_rest_mib(run);
	if (!hf_load_add_publishers(run->load, 1, &publisher)) {
		return false;
	}
	hf_load_start(run->load, HF_EVENT_TOPIC, run->which->entries);
	if (!hf_load_drain(run->load, 0)) {
		return false;
	}
	run->value[HF_RSS_MIB] = hf_run_rss_at_rest_mib(run);
	run->value[HF_DEVICE_BYTES] = (away_mib - begun_mib) * 1024 * 1024 / devices;
	run->value[HF_BACKLOG_BYTES] = (run->value[HF_RSS_MIB] - away_mib) * 1024 * 1024 / devices;
	return true;
}
