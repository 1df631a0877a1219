/* SPDX-License-Identifier: BSD-3-Clause */
#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "report.h"

/* cJSON copes with NULL on the way, so a lack of memory shows once, when the text is printed. */

static void add_numbers(cJSON *object, const struct hf_results *results, size_t which, enum hf_variant variant)
{
	for (enum hf_metric metric = 0; metric < HF_METRICS; metric++) {
		struct hf_figure figure = hf_results_figure(results, which, variant, metric);
		cJSON *entry, *samples;

		if (figure.count == 0) {
			continue;
		}
		entry = cJSON_AddObjectToObject(object, hf_metric_info[metric].key);
		cJSON_AddNumberToObject(entry, "median", figure.median);
		cJSON_AddNumberToObject(entry, "min", figure.min);
		cJSON_AddNumberToObject(entry, "max", figure.max);
		samples = cJSON_AddArrayToObject(entry, "samples");
		for (unsigned round = 0; round < hf_results_rounds(results); round++) {
			double value = hf_results_value(results, which, variant, round, metric);

			cJSON_AddItemToArray(samples, isnan(value) ? cJSON_CreateNull() : cJSON_CreateNumber(value));
		}
	}
}

static void add_ratio(cJSON *object, const char *name, const struct hf_figure *ratio)
{
	cJSON *entry;

	if (ratio->count == 0) {
		return;
	}
	entry = cJSON_AddObjectToObject(object, name);
	cJSON_AddNumberToObject(entry, "median", ratio->median);
	cJSON_AddNumberToObject(entry, "min", ratio->min);
	cJSON_AddNumberToObject(entry, "max", ratio->max);
}

static void add_case(cJSON *cases, const struct hf_results *results, size_t which)
{
	cJSON *object = cJSON_CreateObject();
	cJSON *variants;
	bool any = false;

	cJSON_AddStringToObject(object, "name", hf_cases[which].name);
	cJSON_AddStringToObject(object, "title", hf_cases[which].title);
	cJSON_AddStringToObject(object, "primary", hf_metric_info[hf_cases[which].primary].key);
	variants = cJSON_AddObjectToObject(object, "brokers");
	for (enum hf_variant variant = HF_BARE; variant < HF_VARIANTS; variant++) {
		struct hf_figure ratio = hf_results_ratio(results, which, variant, HF_BARE, hf_cases[which].primary);
		cJSON *entry;

		if (!hf_results_has(results, which, variant)) {
			continue;
		}
		any = true;
		entry = cJSON_AddObjectToObject(variants, hf_variant_info[variant].name);
		cJSON_AddNumberToObject(entry, "failures", hf_results_failures(results, which, variant));
		if (hf_results_failures(results, which, variant) > 0) {
			cJSON_AddStringToObject(entry, "failure", hf_results_why(results, which, variant));
		}
		if (variant != HF_BARE) {
			add_ratio(entry, "times_bare", &ratio);
		}
		add_numbers(entry, results, which, variant);
	}
	if (any) {
		cJSON_AddItemToArray(cases, object);
	} else {
		cJSON_Delete(object);
	}
}

static void add_goals(cJSON *root, const struct hf_results *results)
{
	cJSON *goals = cJSON_AddArrayToObject(root, "goals");
	struct hf_goal goal;

	for (size_t i = 0; hf_results_goal(results, i, &goal); i++) {
		cJSON *entry;

		if (goal.figure.count == 0) {
			continue;
		}
		entry = cJSON_CreateObject();
		cJSON_AddStringToObject(entry, "goal", goal.text);
		cJSON_AddStringToObject(entry, "case", hf_cases[goal.which].name);
		add_ratio(entry, "reached", &goal.figure);
		cJSON_AddBoolToObject(entry, "met", goal.met);
		cJSON_AddItemToArray(goals, entry);
	}
}

static cJSON *document_of(
	const struct hf_options *options, const struct hf_results *results, const struct hf_versions *versions)
{
	cJSON *root = cJSON_CreateObject();
	struct utsname system = {0};
	cJSON *plugin_options, *cases;

	uname(&system);
	cJSON_AddStringToObject(root, "mosquitto", versions->text[HF_MOSQUITTO]);
	cJSON_AddStringToObject(root, "redis", versions->text[HF_REDIS]);
	cJSON_AddStringToObject(root, "nats", versions->text[HF_NATS]);
	cJSON_AddStringToObject(root, "kernel", system.release);
	cJSON_AddStringToObject(root, "machine", system.machine);
	cJSON_AddStringToObject(root, "cores", options->cpus);
	cJSON_AddNumberToObject(root, "rounds", options->rounds);
	cJSON_AddNumberToObject(root, "measure_s", options->extent.measure_s);
	cJSON_AddNumberToObject(root, "warm_up_s", options->extent.warm_up_s);
	cJSON_AddNumberToObject(root, "pace_s", options->extent.pace_s);
	cJSON_AddNumberToObject(root, "sessions", options->extent.sessions);
	plugin_options = cJSON_AddArrayToObject(root, "plugin_options");
	for (size_t i = 0; i < options->plugin_options.count; i++) {
		cJSON_AddItemToArray(plugin_options, cJSON_CreateString(options->plugin_options.text[i]));
	}
	cases = cJSON_AddArrayToObject(root, "cases");
	for (size_t which = 0; which < hf_case_count; which++) {
		add_case(cases, results, which);
	}
	add_goals(root, results);
	return root;
}

bool hf_report_write_json(
	const struct hf_options *options, const struct hf_results *results, const struct hf_versions *versions)
{
	cJSON *root = document_of(options, results, versions);
	char *text = cJSON_Print(root);
	FILE *file = text ? fopen(options->json_path, "w") : NULL;
	bool written = file && fprintf(file, "%s\n", text) > 0;

	if (file && fclose(file) != 0) {
		written = false;
	}
	if (!written) {
		fprintf(stderr, "holdfast-bench: %s: %s\n", options->json_path, text ? strerror(errno) : "out of memory");
	}
	cJSON_free(text);
	cJSON_Delete(root);
	return written;
}
