/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HF_BENCH_REPORT_H
#define HF_BENCH_REPORT_H

#include "options.h"
#include "results.h"

#define HF_VERSION_SIZE 32

/* Of the servers that have run, as they say it themselves; else "". */
struct hf_versions {
	char text[HF_PROGRAMS][HF_VERSION_SIZE];
};

/* On stdout: how it was measured, a table for each case that was run, and the goals. */
void hf_report_print(
	const struct hf_options *options, const struct hf_results *results, const struct hf_versions *versions);

/* Everything to options->json_path. False when that failed (said on stderr). */
bool hf_report_write_json(
	const struct hf_options *options, const struct hf_results *results, const struct hf_versions *versions);

#endif
