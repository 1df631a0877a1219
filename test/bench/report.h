/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HF_BENCH_REPORT_H
#define HF_BENCH_REPORT_H

#include "options.h"
#include "results.h"

/* On stdout: how it was measured, a table for each case that was run, and the goals. `version` is Mosquitto's. */
void hf_report_print(const struct hf_options *options, const struct hf_results *results, const char *version);

/* Everything to options->json_path. False when that failed (said on stderr). */
bool hf_report_write_json(const struct hf_options *options, const struct hf_results *results, const char *version);

#endif
