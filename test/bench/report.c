/* SPDX-License-Identifier: BSD-3-Clause */
#include "report.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "reader.h"

#define COLUMN_WIDTH 11
#define NAME_WIDTH 16

static void print_settings(const struct hf_options *options, const struct hf_versions *versions)
{
	static const char *const names[HF_PROGRAMS] = {
		[HF_MOSQUITTO] = "Mosquitto", [HF_REDIS] = "Redis", [HF_NATS] = "NATS"};
	struct utsname system = {0};

	uname(&system);
	for (int i = 0; i < HF_PROGRAMS; i++) {
		if (versions->text[i][0]) {
			printf("%s %s, ", names[i], versions->text[i]);
		}
	}
	printf("%s %s %s; %s.\n", system.sysname, system.release, system.machine, options->cpus);
	printf("Medians of %u round(s); in brackets the smallest and largest ratio of a round.\n", options->rounds);
	printf(
		"All at QoS 1 with set_tcp_nodelay unless said otherwise; durable readers: session expiry %d s. Receive "
		"Maximum,\n"
		"max_inflight_messages and Holdfast's window 100, in catch-up-* and drain-* 1,000. Mosquitto without "
		"Holdfast:\n"
		"max_queued_messages 0 (by default it drops above 1,000). persist-sqlite and holdfast otherwise with their\n"
		"default options. Saturated cases last %g s after %g s of warm-up, fixed rates %g s; latency at a fixed rate\n"
		"counts from when a message was due.\n"
		"CPU is the server's, all threads, for each message acknowledged, or entry delivered where there are readers.\n"
		"It waits while it is ready and not yet on its core. At 100 unacknowledged that is the work of other "
		"programs,\n"
		"and more than a few percent of it spoil the figures; at 1 it is mostly the core waking up.\n"
		"Variants: no-audit: Holdfast with audit off; no-upkeep: its clients take no part in the session;\n"
		"batches: read with the filter option `batches`, so that nothing is joined; bare-stamped: messages with the\n"
		"User Properties that entries have; -nagle: without set_tcp_nodelay, as Mosquitto is by default;\n"
		"redis-xread: XREAD COUNT 1000, nothing is acknowledged; redis-group: XREADGROUP COUNT 1000 and XACK;\n"
		"jetstream: a durable consumer that acknowledges each, max ack pending 1,000. Redis has appendonly, without\n"
		"fsync, and JetStream a file store.\n",
		HF_SESSION_EXPIRY_S, options->extent.measure_s, options->extent.warm_up_s, options->extent.pace_s);
	for (size_t i = 0; i < options->plugin_options.count; i++) {
		printf("Holdfast with %s.\n", options->plugin_options.text[i]);
	}
	printf("history: a session of %u entries. rest: %u sessions of one entry.\n", options->extent.history,
		options->extent.sessions);
}

static bool is_measured(const struct hf_results *results, size_t which, enum hf_metric metric)
{
	for (enum hf_variant variant = HF_BARE; variant < HF_VARIANTS; variant++) {
		if (hf_results_figure(results, which, variant, metric).count > 0) {
			return true;
		}
	}
	return false;
}

/* Line 0 or 1 of a heading. */
static void print_heading(const char *heading, int line)
{
	const char *second = strchr(heading, '\n') + 1;

	if (line == 0) {
		printf("%*.*s", COLUMN_WIDTH, (int)(second - 1 - heading), heading);
	} else {
		printf("%*s", COLUMN_WIDTH, second);
	}
}

static bool has_ratio(const struct hf_results *results, size_t which)
{
	enum hf_metric metric = hf_cases[which].primary;

	for (enum hf_variant variant = HF_BARE + 1; variant < HF_VARIANTS; variant++) {
		if (hf_results_ratio(results, which, variant, HF_BARE, metric).count > 0) {
			return true;
		}
	}
	return false;
}

static void print_headings(const struct hf_results *results, size_t which)
{
	for (int line = 0; line < 2; line++) {
		printf("%*s", NAME_WIDTH, "");
		for (enum hf_metric metric = 0; metric < HF_METRICS; metric++) {
			if (is_measured(results, which, metric)) {
				print_heading(hf_metric_info[metric].heading, line);
			}
		}
		puts(line == 1 && has_ratio(results, which) ? "   times bare; CPU" : "");
	}
}

static void print_value(double value, int decimals)
{
	if (isnan(value)) {
		printf("%*s", COLUMN_WIDTH, "-");
	} else {
		printf("%*.*f", COLUMN_WIDTH, decimals, value);
	}
}

static void print_ratio(const struct hf_figure *ratio)
{
	printf("%.2f (%.2f..%.2f)", ratio->median, ratio->min, ratio->max);
}

/* On a machine that others use as well this tells more. */
static void print_cpu_ratio(const struct hf_results *results, size_t which, enum hf_variant variant)
{
	struct hf_figure ratio = hf_results_ratio(results, which, variant, HF_BARE, HF_CPU_US);

	if (ratio.count > 0) {
		printf("; ");
		print_ratio(&ratio);
	}
}

static void print_row(const struct hf_results *results, size_t which, enum hf_variant variant)
{
	unsigned failures = hf_results_failures(results, which, variant);
	struct hf_figure ratio = hf_results_ratio(results, which, variant, HF_BARE, hf_cases[which].primary);

	printf("  %-*s", NAME_WIDTH - 2, hf_variant_info[variant].name);
	for (enum hf_metric metric = 0; metric < HF_METRICS; metric++) {
		if (is_measured(results, which, metric)) {
			print_value(hf_results_figure(results, which, variant, metric).median, hf_metric_info[metric].decimals);
		}
	}
	if (ratio.count > 0 && variant != HF_BARE) {
		printf("   ");
		print_ratio(&ratio);
		print_cpu_ratio(results, which, variant);
	}
	putchar('\n');
	if (failures > 0) {
		printf("  %-*s failed %u time(s): %s\n", NAME_WIDTH - 2, "", failures, hf_results_why(results, which, variant));
	}
}

static bool case_has_run(const struct hf_results *results, size_t which)
{
	for (enum hf_variant variant = HF_BARE; variant < HF_VARIANTS; variant++) {
		if (hf_results_has(results, which, variant)) {
			return true;
		}
	}
	return false;
}

static void print_case(const struct hf_results *results, size_t which)
{
	printf("\n%s: %s\n", hf_cases[which].name, hf_cases[which].title);
	print_headings(results, which);
	for (enum hf_variant variant = HF_BARE; variant < HF_VARIANTS; variant++) {
		if (hf_results_has(results, which, variant)) {
			print_row(results, which, variant);
		}
	}
}

static void print_goals(const struct hf_results *results)
{
	const char *text = "";
	struct hf_goal goal;
	unsigned met = 0, judged = 0;

	puts("\nGoals, and what holdfast reached");
	for (size_t i = 0; hf_results_goal(results, i, &goal); i++) {
		if (goal.figure.count == 0) {
			continue;
		}
		if (strcmp(text, goal.text) != 0) {
			printf("  %s\n", goal.text);
		}
		text = goal.text;
		printf("    %-8s %-22s ", goal.met ? "met" : "NOT MET", hf_cases[goal.which].name);
		print_ratio(&goal.figure);
		putchar('\n');
		judged++;
		met += goal.met;
	}
	if (judged == 0) {
		puts("  not measured");
	} else {
		printf("  %u of %u met\n", met, judged);
	}
}

void hf_report_print(
	const struct hf_options *options, const struct hf_results *results, const struct hf_versions *versions)
{
	print_settings(options, versions);
	for (size_t which = 0; which < hf_case_count; which++) {
		if (case_has_run(results, which)) {
			print_case(results, which);
		}
	}
	print_goals(results);
}
