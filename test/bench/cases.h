/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the benchmark runs: the table of cases, and one measurement of one case on one server.
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
	HF_CASE_DRAIN,    /* how the others fare while several do so */
	HF_CASE_OFFLINE,  /* what devices cost that are away */
	HF_CASE_HISTORY,  /* pages of a long log */
	HF_CASE_REST,     /* what sessions cost that nobody uses */
	HF_CASE_CRASH,    /* how soon people learn that an agent is lost */
	HF_CASE_UPKEEP,   /* saturated streaming, while presence and state are kept for people */
	HF_CASE_KINDS,
};

struct hf_case {
	const char *name;
	const char *title;
	enum hf_case_kind kind;
	enum hf_metric primary; /* the one that ratios and goals are about */
	unsigned variants;      /* for which it is measured: HF_VARIANT_BIT */
	unsigned publishers, payload_size, window;
	unsigned readers;
	unsigned entries; /* of the session that is caught up with, that devices miss, or that are there first */
	unsigned rate_hz, burst;
	unsigned receive_maximum; /* of readers; also the broker's limit */
	uint8_t reader_qos;
	bool offline_reader; /* PUBLISH: one durable reader is subscribed and offline */
	bool fresh;          /* CATCH_UP: with Holdfast a new device from the earliest entry, not one that was offline */
	bool nagle;          /* without set_tcp_nodelay */
	bool asked;          /* DELIVER, PACE: an auditor asks meanwhile, if the variant has one, about so many entries */
	bool quick;          /* also part of a quick run */
};

extern const struct hf_case hf_cases[];
extern const size_t hf_case_count;

struct hf_extent {
	double measure_s, warm_up_s; /* of a saturated case */
	double pace_s;               /* of a case at a fixed rate */
	unsigned sessions;           /* at rest */
	unsigned history;            /* entries of the session whose pages are asked for */
};

/* Measure. The broker must be fresh. On failure false, and `why` says what it was. */
bool hf_case_run(const struct hf_case *which, struct hf_broker *broker, const struct hf_extent *extent,
	const volatile sig_atomic_t *stop, struct hf_sample *sample, char *why, size_t why_size);

#endif
