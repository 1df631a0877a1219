/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HF_BENCH_OPTIONS_H
#define HF_BENCH_OPTIONS_H

#include <limits.h>

#include "cases.h"

/* What a run is made of, from the command line and the environment. */
struct hf_options {
	unsigned rounds;
	bool quick;
	const char *only;      /* a pattern for the names of cases, or NULL */
	const char *variant;   /* only those whose names match, or NULL */
	const char *json_path; /* or NULL */
	struct hf_plugin_options plugin_options;
	struct hf_extent extent;
	char parent_path[PATH_MAX];          /* where brokers get their directories */
	char program[HF_PROGRAMS][PATH_MAX]; /* "" when there is none */
	char cpus[64];                       /* how the cores are used, in words */
	int broker_cpu;                      /* or -1 */
};

enum hf_options_result {
	HF_OPTIONS_RUN,
	HF_OPTIONS_DONE, /* help or the list of cases was all */
	HF_OPTIONS_BAD,  /* said on stderr */
};

/* Read them, look for the programs, and pin this process to its core. */
enum hf_options_result hf_options_read(int argc, char **argv, struct hf_options *options);

bool hf_options_select(const struct hf_options *options, const struct hf_case *which);

#endif
