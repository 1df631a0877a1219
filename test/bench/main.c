/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * holdfast-bench: Mosquitto bare, Mosquitto with persist-sqlite, and Holdfast, side by side; for catch-up also Redis
 * Streams and NATS JetStream.
 *
 * Each sample has a broker of its own, fresh, on its own core. The brokers take turns within each case, and the
 * turns rotate from round to round, so that whatever else the machine does falls on all of them alike.
 *
 * Exit status: 0, however fast or slow; 1 when something could not be measured (a broker failed, a message was
 * lost); 2 for a wrong command line; 130 when interrupted.
 */
#include <fnmatch.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "options.h"
#include "report.h"
#include "results.h"

#define WHY_SIZE 768

static volatile sig_atomic_t stop_signal;

static void on_signal(int number)
{
	stop_signal = number;
}

static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

static void say_progress(unsigned round, unsigned rounds, const struct hf_case *which, enum hf_variant variant)
{
	if (isatty(STDERR_FILENO)) {
		fprintf(
			stderr, "\r\033[Kround %u of %u: %s, %s ", round + 1, rounds, which->name, hf_variant_info[variant].name);
	}
}

static void end_progress(void)
{
	if (isatty(STDERR_FILENO)) {
		fputs("\r\033[K", stderr);
	}
}

/* One sample. False when it failed. */
static bool measure(const struct hf_options *options, const struct hf_case *which, enum hf_variant variant,
	struct hf_sample *sample, struct hf_versions *versions, char *why)
{
	char *version = versions->text[hf_variant_info[variant].server];
	struct hf_broker_setup setup = {
		.variant = variant,
		.parent_path = options->parent_path,
		.cpu = options->broker_cpu,
		.nagle = which->nagle,
		.window = which->receive_maximum,
		.options = &options->plugin_options,
	};
	char why_ended[WHY_SIZE];
	bool done;

	for (int i = 0; i < HF_PROGRAMS; i++) {
		setup.program[i] = options->program[i];
	}
	struct hf_broker *broker = hf_broker_start(&setup, why, WHY_SIZE);
	if (!broker) {
		return false;
	}
	if (!version[0]) {
		hf_broker_version(broker, version, HF_VERSION_SIZE);
	}
	done = hf_case_run(which, broker, &options->extent, &stop_signal, sample, why, WHY_SIZE);
	if (!hf_broker_free(broker, why_ended, sizeof(why_ended))) {
		/* A broker that died tells more than the connection that was lost by it. */
		memcpy(why, why_ended, WHY_SIZE);
		done = false;
	}
	return done;
}

static bool wanted(const struct hf_options *options, const struct hf_case *which, enum hf_variant variant)
{
	const struct hf_variant_info *info = &hf_variant_info[variant];

	if (!options->program[info->server][0] || !options->program[info->plugin][0] ||
		(info->auditor == HF_BY_COMMAND && !options->program[HF_COMMAND][0]) ||
		!(which->variants & HF_VARIANT_BIT(variant)) || !hf_options_select(options, which)) {
		return false;
	}
	return !options->variant || fnmatch(options->variant, info->name, FNM_EXTMATCH) == 0;
}

/* True when no sample failed. */
static bool run_all(const struct hf_options *options, struct hf_results *results, struct hf_versions *versions)
{
	bool well = true;

	for (unsigned round = 0; round < options->rounds; round++) {
		for (size_t i = 0; i < hf_case_count * HF_VARIANTS && !stop_signal; i++) {
			size_t which = i / HF_VARIANTS;
			enum hf_variant variant = (enum hf_variant)((i + round) % HF_VARIANTS);
			struct hf_sample sample;
			char why[WHY_SIZE];
			bool done;

			if (!wanted(options, &hf_cases[which], variant)) {
				continue;
			}
			say_progress(round, options->rounds, &hf_cases[which], variant);
			done = measure(options, &hf_cases[which], variant, &sample, versions, why);
			if (stop_signal) {
				break;
			}
			hf_results_put(results, which, variant, round, done ? &sample : NULL, why);
			well = well && done;
		}
	}
	end_progress();
	return well;
}

int main(int argc, char **argv)
{
	static struct hf_options options;
	struct hf_results *results;
	struct hf_versions versions = {0};
	bool well;

	switch (hf_options_read(argc, argv, &options)) {
	case HF_OPTIONS_RUN:
		break;
	case HF_OPTIONS_DONE:
		return 0;
	case HF_OPTIONS_BAD:
		return 2;
	}
	/* Timers to the microsecond; by default the kernel lets them be 50 us late. */
	prctl(PR_SET_TIMERSLACK, 1);
	catch_signals();
	results = hf_results_new(options.rounds);
	if (!results) {
		fputs("holdfast-bench: out of memory\n", stderr);
		return 1;
	}
	well = run_all(&options, results, &versions);
	if (stop_signal) {
		fputs("holdfast-bench: interrupted\n", stderr);
	} else {
		hf_report_print(&options, results, &versions);
		if (options.json_path && !hf_report_write_json(&options, results, &versions)) {
			well = false;
		}
	}
	hf_results_free(results);
	if (stop_signal) {
		return 128 + stop_signal;
	}
	return well ? 0 : 1;
}
