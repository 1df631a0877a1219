/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The samples of a whole run: by case, variant and round.
 */
#ifndef HF_BENCH_RESULTS_H
#define HF_BENCH_RESULTS_H

#include "cases.h"

struct hf_results;

struct hf_results *hf_results_new(unsigned rounds); /* NULL when out of memory */
void hf_results_free(struct hf_results *results);   /* NULL allowed */

unsigned hf_results_rounds(const struct hf_results *results);

/* `which` is an index into hf_cases. A sample that failed is put with NULL and the reason. */
void hf_results_put(struct hf_results *results, size_t which, enum hf_variant variant, unsigned round,
	const struct hf_sample *sample, const char *why);

bool hf_results_has(
	const struct hf_results *results, size_t which, enum hf_variant variant); /* a sample or a failure */
unsigned hf_results_failures(const struct hf_results *results, size_t which, enum hf_variant variant);
const char *hf_results_why(
	const struct hf_results *results, size_t which, enum hf_variant variant); /* the last failure */

double hf_results_value(const struct hf_results *results, size_t which, enum hf_variant variant, unsigned round,
	enum hf_metric metric); /* NAN when there is none */
struct hf_figure hf_results_figure(
	const struct hf_results *results, size_t which, enum hf_variant variant, enum hf_metric metric);
struct hf_figure hf_results_ratio(const struct hf_results *results, size_t which, enum hf_variant variant,
	enum hf_variant base, enum hf_metric metric);

/* A goal of the project and how it was met. */
struct hf_goal {
	const char *text;
	size_t which;            /* the case that shows it */
	struct hf_figure figure; /* of the ratio or amount that the goal is about; count 0: not measured */
	bool met;
};

/* Goal number `index`; false behind the last one. */
bool hf_results_goal(const struct hf_results *results, size_t index, struct hf_goal *goal);

#endif
