/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the benchmark runs: the table of cases, and one measurement of one case on one broker.
 */
#ifndef HF_BENCH_CASES_H
#define HF_BENCH_CASES_H

#include <signal.h>

#include "broker.h"
#include "sample.h"

enum hf_case_kind {
	HF_CASE_PUBLISH,  /* saturated publishing, with no reader or for one that is offline */
	HF_CASE_DELIVER,  /* saturated publishing to readers that are connected */
	HF_CASE_PACE,     /* publishing at a fixed rate to one reader */
	HF_CASE_CATCH_UP, /* a reader comes to a session that is already there */
	HF_CASE_HISTORY,  /* pages of a long log */
	HF_CASE_REST,     /* what sessions cost that nobody uses */
};

struct hf_case {
	const char *name;
	const char *title;
	enum hf_case_kind kind;
	enum hf_metric primary; /* the one that ratios and goals are about */
	unsigned publishers, payload_size, window;
	unsigned readers;
	unsigned rate_hz, burst;
	uint8_t reader_qos;
	bool offline_reader; /* PUBLISH: one durable reader is subscribed and offline */
	bool fresh;          /* CATCH_UP: a new device from the earliest entry, instead of one that was offline */
	bool nagle;          /* without set_tcp_nodelay */
	bool quick;          /* also part of a quick run */
};

extern const struct hf_case hf_cases[];
extern const size_t hf_case_count;

/* Fresh devices, history and sessions at rest are things that only Holdfast has. */
bool hf_case_suits(const struct hf_case *which, enum hf_variant variant);

struct hf_extent {
	double measure_s, warm_up_s; /* of a saturated case */
	double pace_s;               /* of a case at a fixed rate */
	unsigned entries;            /* of the session that is caught up with */
	unsigned sessions;           /* at rest */
	unsigned history;            /* entries of the session whose pages are asked for */
};

/* Measure. The broker must be fresh. On failure false, and `why` says what it was. */
bool hf_case_run(const struct hf_case *which, struct hf_broker *broker, const struct hf_extent *extent,
	const volatile sig_atomic_t *stop, struct hf_sample *sample, char *why, size_t why_size);

#endif
