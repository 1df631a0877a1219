/* SPDX-License-Identifier: BSD-3-Clause */
#include "report.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "../clock.h"

static const struct {
	const char *key, *what, *brings;
} asked[HF_ASKED] = {
	[HF_OPEN] = {"open", "open", NULL},
	[HF_BY_SESSION_FIRST] = {"by_session_first_row", "by session: first row", NULL},
	[HF_BY_SESSION_ALL] = {"by_session_all_rows", "by session: all rows", "rows"},
	[HF_BY_IDENTITY_FIRST] = {"by_identity_first_row", "by identity: first row", NULL},
	[HF_BY_IDENTITY_ALL] = {"by_identity_all_rows", "by identity: all rows", "rows"},
	[HF_RECEIPTS] = {"receipts_of_one_entry", "receipts of one entry", "devices"},
};

/* ---- figures */

static double ms(int64_t ns)
{
	return (double)ns / (double)HF_NS_PER_MS;
}

static int compare(const void *a, const void *b)
{
	const struct hf_moment *one = a, *other = b;

	return (one->clock_ns > other->clock_ns) - (one->clock_ns < other->clock_ns);
}

struct figure {
	double first_ms, median_ms, worst_ms, cpu_ms; /* the last: of the median question, by the processor */
};

static struct figure figure_of(const struct hf_timed *timed)
{
	struct hf_timed sorted = *timed;

	qsort(sorted.took, sorted.count, sizeof(sorted.took[0]), compare);
	return (struct figure){
		.first_ms = ms(timed->took[0].clock_ns),
		.median_ms = ms(sorted.took[sorted.count / 2].clock_ns),
		.worst_ms = ms(sorted.took[sorted.count - 1].clock_ns),
		.cpu_ms = ms(sorted.took[sorted.count / 2].cpu_ns),
	};
}

static double seconds(int64_t ns)
{
	return (double)ns / (double)HF_NS_PER_S;
}

/* By the processor: what else the machine does is not in it. */
static double per_second(const struct hf_checked *checked)
{
	return (double)(checked->entries + checked->records) / seconds(checked->took.cpu_ns);
}

/* ---- goals */

enum { GOALS = 4 };

struct goal {
	const char *text;
	double reached;
	bool met;
};

static struct goal at_most(const char *text, const struct hf_timed *timed, double limit_ms)
{
	double worst_ms = figure_of(timed).worst_ms;

	return (struct goal){text, worst_ms, worst_ms <= limit_ms};
}

static void judge(const struct hf_audit_report *report, struct goal goals[GOALS])
{
	const struct hf_timed *timed = report->asked;
	double rate = per_second(&report->verify);

	goals[0] = at_most("by session in a month: first row within 100 ms", &timed[HF_BY_SESSION_FIRST], 100);
	goals[1] = at_most("by identity in a month: first row within 100 ms", &timed[HF_BY_IDENTITY_FIRST], 100);
	goals[2] = at_most("receipts of one entry within 20 ms", &timed[HF_RECEIPTS], 20);
	goals[3] = (struct goal){"verify: at least 500,000 records a second on one core", rate, rate >= 500000};
}

/* ---- text */

static void print_asked(const struct hf_audit_report *report)
{
	printf("%-26s  %9s  %9s  %9s  %9s\n", "milliseconds", "first", "median", "worst", "processor");
	for (int i = 0; i < HF_ASKED; i++) {
		struct figure figure = figure_of(&report->asked[i]);
		printf("%-26s  %9.2f  %9.2f  %9.2f  %9.2f\n", asked[i].what, figure.first_ms, figure.median_ms, figure.worst_ms,
			figure.cpu_ms);
		if (asked[i].brings) {
			printf("  %-24s  %9.0f\n", asked[i].brings, report->asked[i].mean);
		}
	}
}

static void print_checked(const char *what, const struct hf_checked *checked)
{
	printf("%-26s  %.2f s, %.2f s of one core for %" PRIu64 " signatures of %" PRIu64 " seals: %.0f records a second\n",
		what, seconds(checked->took.clock_ns), seconds(checked->took.cpu_ns), checked->signatures, checked->seals,
		per_second(checked));
}

void hf_audit_report_print(const struct hf_audit_report *report)
{
	struct goal goals[GOALS];

	printf("store: %" PRIu64 " deliveries of %" PRIu64 " entries; %.1f MB, %.1f bytes an entry with its deliveries",
		report->deliveries, report->entries, (double)report->bytes / 1e6,
		(double)report->bytes / (double)report->entries);
	if (report->made_s > 0) {
		printf("; made in %.1f s", report->made_s);
	}
	printf("\n\n");
	print_asked(report);
	printf("\nverify: %" PRIu64 " entries and %" PRIu64 " records\n", report->verify.entries, report->verify.records);
	print_checked("  as it does", &report->verify);
	print_checked("  with --signatures", &report->verify_each);
	puts("\nGoals, and what was reached (milliseconds: the worst)");
	judge(report, goals);
	for (int i = 0; i < GOALS; i++) {
		printf("  %-8s %-56s %.*f\n", goals[i].met ? "met" : "NOT MET", goals[i].text, goals[i].reached < 1000 ? 2 : 0,
			goals[i].reached);
	}
}

/* ---- JSON. cJSON copes with NULL on the way, so a lack of memory shows once, when the text is printed. */

static void add_asked(cJSON *root, const struct hf_audit_report *report)
{
	cJSON *questions = cJSON_AddObjectToObject(root, "asked");

	for (int i = 0; i < HF_ASKED; i++) {
		const struct hf_timed *timed = &report->asked[i];
		struct figure figure = figure_of(timed);
		cJSON *object = cJSON_AddObjectToObject(questions, asked[i].key);
		cJSON_AddNumberToObject(object, "first_ms", figure.first_ms);
		cJSON_AddNumberToObject(object, "median_ms", figure.median_ms);
		cJSON_AddNumberToObject(object, "worst_ms", figure.worst_ms);
		cJSON_AddNumberToObject(object, "median_cpu_ms", figure.cpu_ms);
		if (asked[i].brings) {
			cJSON_AddNumberToObject(object, asked[i].brings, timed->mean);
		}
		cJSON *samples = cJSON_AddArrayToObject(object, "samples_ms");
		for (size_t j = 0; j < timed->count; j++) {
			cJSON_AddItemToArray(samples, cJSON_CreateNumber(ms(timed->took[j].clock_ns)));
		}
	}
}

static void add_checked(cJSON *root, const char *name, const struct hf_checked *checked)
{
	cJSON *object = cJSON_AddObjectToObject(root, name);

	cJSON_AddNumberToObject(object, "entries", (double)checked->entries);
	cJSON_AddNumberToObject(object, "records", (double)checked->records);
	cJSON_AddNumberToObject(object, "seals", (double)checked->seals);
	cJSON_AddNumberToObject(object, "signatures", (double)checked->signatures);
	cJSON_AddNumberToObject(object, "seconds", seconds(checked->took.clock_ns));
	cJSON_AddNumberToObject(object, "cpu_seconds", seconds(checked->took.cpu_ns));
	cJSON_AddNumberToObject(object, "records_per_cpu_second", per_second(checked));
}

static void add_goals(cJSON *root, const struct hf_audit_report *report)
{
	cJSON *array = cJSON_AddArrayToObject(root, "goals");
	struct goal goals[GOALS];

	judge(report, goals);
	for (int i = 0; i < GOALS; i++) {
		cJSON *object = cJSON_CreateObject();
		cJSON_AddStringToObject(object, "goal", goals[i].text);
		cJSON_AddNumberToObject(object, "reached", goals[i].reached);
		cJSON_AddBoolToObject(object, "met", goals[i].met);
		cJSON_AddItemToArray(array, object);
	}
}

static cJSON *document_of(const struct hf_audit_report *report)
{
	cJSON *root = cJSON_CreateObject();
	struct utsname system = {0};

	uname(&system);
	cJSON_AddStringToObject(root, "kernel", system.release);
	cJSON_AddStringToObject(root, "machine", system.machine);
	cJSON_AddNumberToObject(root, "deliveries", (double)report->deliveries);
	cJSON_AddNumberToObject(root, "entries", (double)report->entries);
	cJSON_AddNumberToObject(root, "store_bytes", (double)report->bytes);
	if (report->made_s > 0) {
		cJSON_AddNumberToObject(root, "made_s", report->made_s);
	}
	add_asked(root, report);
	add_checked(root, "verify", &report->verify);
	add_checked(root, "verify_each_signature", &report->verify_each);
	add_goals(root, report);
	return root;
}

bool hf_audit_report_write_json(const struct hf_audit_report *report, const char *path)
{
	cJSON *root = document_of(report);
	char *text = cJSON_Print(root);
	FILE *file = text ? fopen(path, "w") : NULL;
	bool written = file && fprintf(file, "%s\n", text) > 0;

	if (file && fclose(file) != 0) {
		written = false;
	}
	if (!written) {
		fprintf(stderr, "holdfast-bench-audit: %s: %s\n", path, text ? strerror(errno) : "out of memory");
	}
	cJSON_free(text);
	cJSON_Delete(root);
	return written;
}
