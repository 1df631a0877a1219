/* SPDX-License-Identifier: BSD-3-Clause */
#include "results.h"

#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define WHY_SIZE 512

struct outcome {
	bool ran;
	unsigned failures;
	char why[WHY_SIZE];
	struct hf_sample *samples; /* one per round */
};

struct hf_results {
	unsigned rounds;
	struct outcome *outcomes; /* [case][variant] */
	struct hf_sample *samples;
};

struct hf_results *hf_results_new(unsigned rounds)
{
	struct hf_results *results = calloc(1, sizeof(*results));
	size_t count = hf_case_count * HF_VARIANTS;

	if (!results) {
		return NULL;
	}
	results->rounds = rounds;
	results->outcomes = calloc(count, sizeof(*results->outcomes));
	results->samples = calloc(count * rounds, sizeof(*results->samples));
	if (!results->outcomes || !results->samples) {
		hf_results_free(results);
		return NULL;
	}
	for (size_t i = 0; i < count; i++) {
		results->outcomes[i].samples = results->samples + i * rounds;
	}
	for (size_t i = 0; i < count * rounds; i++) {
		hf_sample_clear(&results->samples[i]);
	}
	return results;
}

void hf_results_free(struct hf_results *results)
{
	if (!results) {
		return;
	}
	free(results->samples);
	free(results->outcomes);
	free(results);
}

static struct outcome *outcome_of(const struct hf_results *results, size_t which, enum hf_variant variant)
{
	return &results->outcomes[which * HF_VARIANTS + variant];
}

unsigned hf_results_rounds(const struct hf_results *results)
{
	return results->rounds;
}

void hf_results_put(struct hf_results *results, size_t which, enum hf_variant variant, unsigned round,
	const struct hf_sample *sample, const char *why)
{
	struct outcome *outcome = outcome_of(results, which, variant);

	outcome->ran = true;
	if (sample) {
		outcome->samples[round] = *sample;
	} else {
		outcome->failures++;
		snprintf(outcome->why, sizeof(outcome->why), "%s", why);
	}
}

bool hf_results_has(const struct hf_results *results, size_t which, enum hf_variant variant)
{
	return outcome_of(results, which, variant)->ran;
}

unsigned hf_results_failures(const struct hf_results *results, size_t which, enum hf_variant variant)
{
	return outcome_of(results, which, variant)->failures;
}

const char *hf_results_why(const struct hf_results *results, size_t which, enum hf_variant variant)
{
	return outcome_of(results, which, variant)->why;
}

double hf_results_value(
	const struct hf_results *results, size_t which, enum hf_variant variant, unsigned round, enum hf_metric metric)
{
	return outcome_of(results, which, variant)->samples[round].value[metric];
}

static void values_of(
	const struct hf_results *results, size_t which, enum hf_variant variant, enum hf_metric metric, double *values)
{
	for (unsigned round = 0; round < results->rounds; round++) {
		values[round] = hf_results_value(results, which, variant, round, metric);
	}
}

struct hf_figure hf_results_figure(
	const struct hf_results *results, size_t which, enum hf_variant variant, enum hf_metric metric)
{
	double values[HF_ROUNDS_MAX];

	values_of(results, which, variant, metric, values);
	return hf_figure_of(values, results->rounds);
}

struct hf_figure hf_results_ratio(const struct hf_results *results, size_t which, enum hf_variant variant,
	enum hf_variant base, enum hf_metric metric)
{
	double values[HF_ROUNDS_MAX], bases[HF_ROUNDS_MAX];

	values_of(results, which, variant, metric, values);
	values_of(results, which, base, metric, bases);
	return hf_figure_of_ratio(values, bases, results->rounds);
}

/* ---- goals --------------------------------------------------------------------------------------------- */

/* Of the ratio of the variant to its base, or, where that is the same, of the amount itself. */
struct goal_rule {
	const char *text;
	const char *cases; /* a pattern for their names */
	enum hf_variant variant, base;
	double limit;          /* at most where less is better, else at least */
	enum hf_metric metric; /* HF_METRICS: the case's primary one */
};

#define PRIMARY HF_METRICS

static const struct goal_rule goal_rules[] = {
	{"one unacknowledged at a time: PUBACK p50, times bare, at most 1.2", "*-1x*-w1", HF_HOLDFAST, HF_BARE, 1.2,
		PRIMARY},
	{"saturated, stored for an offline reader: rate, times bare, at least 0.6", "store-*-w100", HF_HOLDFAST, HF_BARE,
		0.6, PRIMARY},
	{"delivered to durable readers: rate, times bare, at least 0.6", "deliver-*", HF_HOLDFAST, HF_BARE, 0.6, PRIMARY},
	{"stored or delivered: never slower than persist-sqlite", "store-*", HF_HOLDFAST, HF_SQLITE, 1, PRIMARY},
	{"stored or delivered: never slower than persist-sqlite", "deliver-*", HF_HOLDFAST, HF_SQLITE, 1, PRIMARY},
	{"at a fixed rate: delivery p50 never slower than persist-sqlite", "pace-*", HF_HOLDFAST, HF_SQLITE, 1, PRIMARY},
	{"catch-up: never slower than persist-sqlite", "catch-up-offline", HF_HOLDFAST, HF_SQLITE, 1, PRIMARY},
	{"no reader (persist-sqlite stores nothing then): never slower than it", "publish-*", HF_HOLDFAST, HF_SQLITE, 1,
		PRIMARY},
	{"100 people know of a crash within a second: p99 in ms", "crash-*", HF_HOLDFAST, HF_HOLDFAST, 1000, PRIMARY},
	{"presence and state cost at most 5 % of the rate", "upkeep-*", HF_HOLDFAST, HF_NO_UPKEEP, 0.95, PRIMARY},
	{"the audit costs at most 15 % of the rate", "*-w100", HF_HOLDFAST, HF_NO_AUDIT, 0.85, PRIMARY},
	{"the audit costs at most 15 % of the rate", "deliver-*", HF_HOLDFAST, HF_NO_AUDIT, 0.85, PRIMARY},
	/* Which on a core of its own is the same. */
	{"the same by CPU time, which other programs disturb less: times that without, at most 1 / 0.85", "*-w100",
		HF_HOLDFAST, HF_NO_AUDIT, 1 / 0.85, HF_CPU_US},
	{"the same by CPU time, which other programs disturb less: times that without, at most 1 / 0.85", "deliver-*",
		HF_HOLDFAST, HF_NO_AUDIT, 1 / 0.85, HF_CPU_US},
	{"the audit: p50, times that without, at most 1.2", "*-1x*-w1", HF_HOLDFAST, HF_NO_AUDIT, 1.2, PRIMARY},
	{"the audit: p50, times that without, at most 1.2", "pace-*", HF_HOLDFAST, HF_NO_AUDIT, 1.2, PRIMARY},
	{"the audit: delivery p99 at a fixed rate, times that without, at most 1.2", "pace-2000", HF_HOLDFAST, HF_NO_AUDIT,
		1.2, HF_DELIVERY_P99_US},
	{"an auditor who asks all the time (holdfast audit) costs at most 5 % of the rate", "asked-deliver",
		HF_ASKED_COMMAND, HF_HOLDFAST, 0.95, PRIMARY},
	{"an auditor who asks all the time ($CONTROL) costs at most 5 % of the rate", "asked-deliver", HF_ASKED_CONTROL,
		HF_HOLDFAST, 0.95, PRIMARY},
	{"an auditor who asks all the time (holdfast audit): delivery p99, times that without, at most 1.2",
		"asked-pace-2000", HF_ASKED_COMMAND, HF_HOLDFAST, 1.2, PRIMARY},
	{"an auditor who asks all the time ($CONTROL): delivery p99, times that without, at most 1.2", "asked-pace-2000",
		HF_ASKED_CONTROL, HF_HOLDFAST, 1.2, PRIMARY},
	{"the same: CPU time of the thread that serves all clients, for a message, times that without, at most 1.2",
		"asked-*", HF_ASKED_COMMAND, HF_HOLDFAST, 1.2, HF_MAIN_US},
	{"the same: CPU time of the thread that serves all clients, for a message, times that without, at most 1.2",
		"asked-*", HF_ASKED_CONTROL, HF_HOLDFAST, 1.2, HF_MAIN_US},
	{"a receipt on disk: at most 6 bytes for an entry and reader", "deliver-*", HF_HOLDFAST, HF_HOLDFAST, 6,
		HF_RECEIPT_BYTES},
	{"catch-up, nothing joined: at most 1.25 times as long as Mosquitto's queue", "catch-up-*k", HF_BATCHES, HF_BARE,
		1.25, PRIMARY},
	{"the same, both without set_tcp_nodelay", "catch-up-*k", HF_BATCHES_NAGLE, HF_BARE_NAGLE, 1.25, PRIMARY},
	{"the same, where the queue's messages have the User Properties of entries", "catch-up-*k", HF_BATCHES, HF_STAMPED,
		1.25, PRIMARY},
	{"the same, both without set_tcp_nodelay", "catch-up-*k", HF_BATCHES_NAGLE, HF_STAMPED_NAGLE, 1.25, PRIMARY},
	{"catch-up: at least 3 times as fast as Mosquitto's queue", "catch-up-*k", HF_HOLDFAST, HF_BARE, 1. / 3, PRIMARY},
	{"the same, both without set_tcp_nodelay", "catch-up-*k", HF_HOLDFAST_NAGLE, HF_BARE_NAGLE, 1. / 3, PRIMARY},
	{"catch-up: ahead of JetStream", "catch-up-*k", HF_HOLDFAST, HF_JETSTREAM, 1, PRIMARY},
	{"catch-up: ahead of Redis, with a group", "catch-up-*k", HF_HOLDFAST, HF_XREADGROUP, 1, PRIMARY},
	{"catch-up: ahead of Redis, which then knows no places of readers", "catch-up-*k", HF_HOLDFAST, HF_XREAD, 1,
		PRIMARY},
	{"others meanwhile: delivery p99 at most twice that beside Mosquitto's queues", "drain-*", HF_HOLDFAST, HF_BARE, 2,
		PRIMARY},
	{"the same, nothing joined", "drain-*", HF_BATCHES, HF_BARE, 2, PRIMARY},
	{"a device that is away: at most 300 bytes, whatever it misses", "offline", HF_HOLDFAST, HF_HOLDFAST, 300, PRIMARY},
	{"a page of a session of a million entries: p50 at most 10 ms, whichever way", "history", HF_HOLDFAST, HF_HOLDFAST,
		10, PRIMARY},
	/* "None", as far as it can be told: what the store caches after a start, a MiB or two in all, is in it too. */
	{"memory of a session at rest: none (below 64 bytes)", "rest", HF_HOLDFAST, HF_HOLDFAST, 64, PRIMARY},
};

static void judge(const struct hf_results *results, const struct goal_rule *rule, struct hf_goal *goal)
{
	enum hf_metric metric = rule->metric == PRIMARY ? hf_cases[goal->which].primary : rule->metric;

	goal->text = rule->text;
	goal->figure = rule->variant == rule->base
					   ? hf_results_figure(results, goal->which, rule->variant, metric)
					   : hf_results_ratio(results, goal->which, rule->variant, rule->base, metric);
	if (hf_metric_info[metric].more_is_better) {
		goal->met = goal->figure.median >= rule->limit;
	} else {
		goal->met = goal->figure.median <= rule->limit;
	}
}

bool hf_results_goal(const struct hf_results *results, size_t index, struct hf_goal *goal)
{
	for (size_t i = 0; i < sizeof(goal_rules) / sizeof(goal_rules[0]); i++) {
		for (size_t which = 0; which < hf_case_count; which++) {
			if (fnmatch(goal_rules[i].cases, hf_cases[which].name, 0) != 0 || index-- > 0) {
				continue;
			}
			goal->which = which;
			judge(results, &goal_rules[i], goal);
			return true;
		}
	}
	return false;
}
