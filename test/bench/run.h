/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One measurement, while it is made. Functions that return bool: false on failure, then hf_load_failure or `why` says
 * what it was.
 */
#ifndef HF_BENCH_RUN_H
#define HF_BENCH_RUN_H

#include "cases.h"
#include "load.h"

struct hf_run {
	const struct hf_case *which;
	const struct hf_extent *extent;
	const struct hf_variant_info *variant;
	struct hf_broker *broker;
	struct hf_load *load;
	double *value; /* by metric */
	char *why;
	size_t why_size;
};

/* run.c */
void hf_run_note_delivery(struct hf_run *run);
/* `messages` is what the server's CPU time is divided by. */
void hf_run_note_cost(struct hf_run *run, const struct hf_interval *interval, uint64_t messages);
double hf_run_rss_at_rest_mib(const struct hf_run *run); /* once it has settled */
int64_t hf_run_ns_of(double seconds);

/* catch_up.c */
bool hf_run_catch_up(struct hf_run *run);
bool hf_run_drain(struct hf_run *run);
bool hf_run_offline(struct hf_run *run);

/* people.c */
bool hf_run_crash(struct hf_run *run);
bool hf_run_upkeep(struct hf_run *run);

/* The other servers, by their own client libraries: put the corpus there; read all of it as a fresh device would.
 * redis.c, nats.c */
struct hf_rival {
	bool (*fill)(struct hf_run *run, const struct hf_corpus *corpus);
	bool (*drain)(struct hf_run *run, const struct hf_corpus *corpus);
};
extern const struct hf_rival hf_redis, hf_nats;

#define HF_RIVAL_WINDOW 1000 /* entries that are read at once, or may be unacknowledged */

/* How large the receipts that are closed are on disk, for each entry and reader. receipts.c */
bool hf_run_note_receipts(struct hf_run *run);

#endif
