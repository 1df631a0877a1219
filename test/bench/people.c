/* SPDX-License-Identifier: BSD-3-Clause */
/* How fast people learn of a crash, and what it costs to keep presence and state for them while an agent streams. */
#include "run.h"

#include <stdio.h>

#include "clock.h"

#define S "sessions/" HF_SESSION
#define PEOPLE 100
#define AGENTS 20
#define BATCH_SIZE 64

static double percentile_ms(const struct hf_run *run, double percentile)
{
	return (double)hdr_value_at_percentile(hf_load_tally(run->load)->delivery_ns, percentile) / (double)HF_NS_PER_MS;
}

/* One agent after the other, each in the middle of a response, loses its connection. */
bool hf_run_crash(struct hf_run *run)
{
	const struct hf_crowd_setup people = {.count = PEOPLE, .name = "person", .filters = {S "/#"}},
								agents = {
									.count = AGENTS, .name = "agent", .filters = {S "/signal"}, .tokens = S "/tokens"};
	struct hf_interval interval;

	if (!hf_load_add_crowd(run->load, HF_WATCHERS, &people) || !hf_load_add_crowd(run->load, HF_AGENTS, &agents)) {
		return false;
	}
	/* Of one identity there is a notice every 250 ms, and all have just come. */
	if (!hf_load_measure(run->load, 500 * HF_NS_PER_MS, 0, &interval)) {
		return false;
	}
	hf_load_begin(run->load, &interval);
	for (unsigned i = 0; i < AGENTS; i++) {
		if (!hf_load_crash(run->load, i)) {
			return false;
		}
	}
	hf_load_end(run->load, &interval);
	hf_run_note_cost(run, &interval, (uint64_t)PEOPLE * AGENTS);
	run->value[HF_CRASH_P50_MS] = percentile_ms(run, 50);
	run->value[HF_CRASH_P99_MS] = percentile_ms(run, 99);
	run->value[HF_CRASH_MAX_MS] = percentile_ms(run, 100);
	return true;
}

/* With the upkeep, all name the session: they take part in it, and are shown its state and how the others are; the
 * agents among them have each a response open. Without, the same clients get the same entries by a wildcard, which
 * makes nobody a participant, nobody looks at state and presence, and no other response is open. */
static bool add_people(struct hf_run *run)
{
	bool upkeep = !run->variant->no_upkeep;
	struct hf_crowd_setup people = {.count = PEOPLE, .name = "person", .filters = {"sessions/+/input"}},
						  agents = {.count = AGENTS, .name = "agent", .filters = {"sessions/+/input"}};

	if (upkeep) {
		people.filters[0] = agents.filters[0] = S "/input";
		people.filters[1] = S "/state";
		people.filters[2] = S "/presence/+";
		agents.tokens = S "/tokens";
	}
	return hf_load_add_crowd(run->load, HF_WATCHERS, &people) && hf_load_add_crowd(run->load, HF_AGENTS, &agents);
}

static bool stream(struct hf_run *run, const struct hf_corpus *corpus)
{
	const struct hf_publisher_setup setup = {
		.window = run->which->window, .payload_size = run->which->payload_size, .corpus = corpus};
	struct hf_interval interval;

	if (!hf_load_add_publishers(run->load, 1, &setup)) {
		return false;
	}
	hf_load_begin(run->load, &interval);
	hf_load_start(run->load, HF_TOKENS_TOPIC, hf_corpus_count(corpus));
	if (!hf_load_drain(run->load, 0)) {
		return false;
	}
	hf_load_end(run->load, &interval);
	run->value[HF_ACKED_PER_S] = (double)interval.acked * (double)HF_NS_PER_S / (double)interval.duration_ns;
	hf_run_note_cost(run, &interval, interval.acked);
	return true;
}

bool hf_run_upkeep(struct hf_run *run)
{
	struct hf_corpus *corpus = hf_corpus_new(run->which->entries, BATCH_SIZE);
	bool done = corpus && add_people(run) && stream(run, corpus);

	if (!corpus) {
		snprintf(run->why, run->why_size, "out of memory");
	}
	hf_corpus_free(corpus);
	return done;
}
