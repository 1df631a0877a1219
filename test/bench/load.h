/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The load on one broker: publishers and readers on one loop, and the interval in which they are measured.
 * Calls that return bool return false on failure; hf_load_failure says in words what it was.
 */
#ifndef HF_BENCH_LOAD_H
#define HF_BENCH_LOAD_H

#include "auditor.h"
#include "broker.h"
#include "client.h"
#include "crowd.h"
#include "publisher.h"
#include "reader.h"
#include "tally.h"

#define HF_READERS_MAX 16
#define HF_UNLIMITED UINT64_MAX

struct hf_load;

/* What one measured interval brought. */
struct hf_interval {
	int64_t duration_ns;
	uint64_t acked;
	uint64_t delivered;
	int64_t broker_cpu_ns;
	int64_t broker_main_ns; /* of its main thread */
	int64_t broker_wait_ns; /* it was ready, but others had its core: such an interval says little */
	int64_t load_cpu_ns;    /* of this process: near duration_ns the load generator was the bottleneck */
};

/* The broker must outlive it. NULL when out of memory. */
struct hf_load *hf_load_new(const struct hf_broker *broker, const volatile sig_atomic_t *stop);
void hf_load_free(struct hf_load *load); /* NULL allowed */
const char *hf_load_failure(const struct hf_load *load);
const struct hf_tally *hf_load_tally(const struct hf_load *load);

/* Connect publishers that are set up like this, but for index and client id, and wait until they are connected. */
bool hf_load_add_publishers(struct hf_load *load, unsigned count, const struct hf_publisher_setup *setup);
void hf_load_remove_publishers(struct hf_load *load); /* all of them; nothing of theirs may be on its way */

/* Connect reader number `index`, set up like this, but for the client id, and wait until it is connected and
 * subscribed. */
bool hf_load_add_reader(struct hf_load *load, unsigned index, const struct hf_reader_setup *setup);
void hf_load_remove_reader(struct hf_load *load, unsigned index); /* it goes offline; its session stays */

/* Begin to connect reader number `index`; it gets what is for it while the load runs. */
bool hf_load_begin_reader(struct hf_load *load, unsigned index, const struct hf_reader_setup *setup);

/* So many devices connect, subscribe and go, one after the other. */
bool hf_load_leave_devices(struct hf_load *load, unsigned count, const struct hf_reader_setup *setup);

/* All publishers begin to send to the topic as fast as they can, up to `limit` messages each. */
void hf_load_start(struct hf_load *load, const char *topic, uint64_t limit);

/* The same without a limit, each at `rate_hz` messages a second, `burst` (at least 1) of them at once. */
void hf_load_start_paced(struct hf_load *load, const char *topic, unsigned rate_hz, unsigned burst);
void hf_load_stop(struct hf_load *load);

/* Connect a crowd, and wait until all that it begins with is acknowledged. */
enum hf_crowd_part { HF_WATCHERS, HF_AGENTS, HF_CROWDS };
bool hf_load_add_crowd(struct hf_load *load, enum hf_crowd_part part, const struct hf_crowd_setup *setup);

/* The connection of one of the agents breaks; run until all watchers have noticed. The times are in the tally's
 * delivery_ns. */
bool hf_load_crash(struct hf_load *load, unsigned agent);

/* Publish `count` messages, one to each of `count` sessions named after their number, by the first publisher. */
bool hf_load_publish_sessions(struct hf_load *load, unsigned count);

/* Run for a while: first without measuring, then with, from empty histograms. */
bool hf_load_measure(struct hf_load *load, int64_t warm_up_ns, int64_t duration_ns, struct hf_interval *interval);

/* The same around something else that the caller runs: take a reading before, and turn it into an interval after. */
void hf_load_begin(struct hf_load *load, struct hf_interval *reading);
void hf_load_end(struct hf_load *load, struct hf_interval *reading);

/* Run until everything that was sent is acknowledged and each reader has received `expected` messages (or more).
 * Fails when that makes no progress for some seconds. */
bool hf_load_drain(struct hf_load *load, uint64_t expected);

/* Run until each of the first `count` readers has received so many, whatever publishers do meanwhile. */
bool hf_load_drain_readers(struct hf_load *load, unsigned count, uint64_t expected);

/* Connect who asks for history; then send requests (see hf_asker_ask), one after the other, each until its answer is
 * there. */
bool hf_load_add_asker(struct hf_load *load);
bool hf_load_ask(struct hf_load *load, const void *request, size_t size, int64_t *took_ns);

/* From now on an auditor asks all the time, as the broker's variant says; how many of its questions were answered. */
bool hf_load_add_auditor(struct hf_load *load);
uint64_t hf_load_answers(const struct hf_load *load);

uint64_t hf_load_sent(const struct hf_load *load); /* by all publishers */

#endif
