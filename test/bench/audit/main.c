/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * holdfast-bench-audit: how long the audit of a month takes to answer.
 *
 * The store is made first, or taken as it was left by --store. For each kind of question it is opened anew, so that
 * RocksDB has nothing of it in its memory when the first one is asked; what the kernel has of the files is in its page
 * cache. Times are of the clock, and, of the median question, of the processor: on a machine that does other things
 * too, the latter is what counts.
 *
 * Exit status: 0, however fast or slow; 1 when something could not be measured; 2 for a wrong command line.
 */
#include <argp.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../clock.h"
#include "fill.h"
#include "query/query.h"
#include "query/readers.h"
#include "report.h"
#include "store/audit.h"

#define DELIVERIES 10000000

struct bench {
	const char *path;
	const char *json_path; /* or NULL */
	char scratch[64];      /* made, and removed at the end; empty: none */
	struct hf_audit_report report;
};

static struct hf_moment now(void)
{
	return (struct hf_moment){.clock_ns = hf_now_ns(), .cpu_ns = hf_clock_ns(CLOCK_PROCESS_CPUTIME_ID)};
}

static struct hf_moment since(struct hf_moment begin)
{
	struct hf_moment end = now();

	return (struct hf_moment){.clock_ns = end.clock_ns - begin.clock_ns, .cpu_ns = end.cpu_ns - begin.cpu_ns};
}

/* ---- questions */

static struct hf_store *open_store(const struct bench *bench)
{
	const struct hf_store_options options = {.path = bench->path, .read_only = true};
	struct hf_store *store;
	char message[512];

	if (hf_store_open(&options, NULL, NULL, &store, message, sizeof(message)) != HF_OK) {
		fprintf(stderr, "holdfast-bench-audit: %s\n", message);
		return NULL;
	}
	return store;
}

static bool failed(struct hf_store *store, enum hf_reason reason)
{
	if (reason != HF_OK) {
		fprintf(stderr, "holdfast-bench-audit: %s: %s\n", hf_reason_sentence(reason), hf_store_error(store));
	}
	return reason != HF_OK;
}

/* Until the first row, and until the last of `rows`. */
static enum hf_reason ask(struct hf_store *store, const struct hf_query *query, struct hf_moment *first,
	struct hf_moment *all, uint64_t *rows)
{
	struct hf_cursor *cursor;
	struct hf_item item;
	bool found = true;
	struct hf_moment begin = now();
	enum hf_reason reason = hf_query_open(store, query, HF_SLICE_NONE, &cursor);

	*rows = 0;
	while (reason == HF_OK && found) {
		reason = hf_query_next(cursor, &item, &found);
		if (*rows == 0) {
			*first = since(begin);
		}
		*rows += found;
	}
	*all = since(begin);
	hf_query_close(cursor);
	return reason;
}

/* By session, or by identity; every other time in the month from its middle on. */
static bool bench_query(struct bench *bench, bool by_session)
{
	struct hf_timed *first = &bench->report.asked[by_session ? HF_BY_SESSION_FIRST : HF_BY_IDENTITY_FIRST];
	struct hf_timed *all = &bench->report.asked[by_session ? HF_BY_SESSION_ALL : HF_BY_IDENTITY_ALL];
	struct hf_store *store = open_store(bench);
	enum hf_reason reason = store ? HF_OK : HF_STORE_FAILED;
	uint64_t total = 0, rows = 0;

	for (unsigned int i = 0; i < HF_QUESTIONS && reason == HF_OK; i++) {
		struct hf_query query = hf_query_any();
		char name[32];
		if (by_session) {
			hf_fill_session(i * 331 % HF_FILL_SESSIONS, name);
			query.session = hf_slice_of(name);
		} else {
			hf_fill_identity(i * 61 % HF_FILL_PEOPLE, name);
			query.identity = hf_slice_of(name);
		}
		query.from_ms = HF_FILL_BEGIN_MS + (i % 2 ? HF_FILL_DURATION_MS / 2 : 0);
		query.to_ms = HF_FILL_BEGIN_MS + HF_FILL_DURATION_MS;
		reason = ask(store, &query, &first->took[i], &all->took[i], &rows);
		total += rows;
	}
	first->count = all->count = HF_QUESTIONS;
	all->mean = (double)total / HF_QUESTIONS;
	bool bad = !store || failed(store, reason);
	hf_store_close(store);
	return !bad;
}

static bool bench_receipts(struct bench *bench)
{
	struct hf_timed *timed = &bench->report.asked[HF_RECEIPTS];
	struct hf_store *store = open_store(bench);
	enum hf_reason reason = store ? HF_OK : HF_STORE_FAILED;
	uint64_t total = 0;

	for (unsigned int i = 0; timed->count < HF_QUESTIONS && i < HF_FILL_SESSIONS && reason == HF_OK; i++) {
		struct hf_entry_readers readers;
		char name[32];
		bool found;
		hf_fill_session(i * 977 % HF_FILL_SESSIONS, name);
		struct hf_moment begin = now();
		reason = hf_entry_readers(store, hf_slice_of(name), 1 + i % HF_FILL_BURST, &readers, &found);
		if (found) { /* a session may have nothing, in a small store */
			timed->took[timed->count++] = since(begin);
			total += readers.count;
		}
		hf_entry_readers_free(&readers);
	}
	bool bad = !store || failed(store, reason);
	hf_store_close(store);
	if (!bad && timed->count == 0) {
		fputs("holdfast-bench-audit: the store has none of the entries that are asked for\n", stderr);
	}
	timed->mean = (double)total / (double)timed->count;
	return !bad && timed->count > 0;
}

static bool bench_verify(const struct bench *bench, bool each_signature, struct hf_checked *checked)
{
	const struct hf_verify_options how = {.each_signature = each_signature};
	struct hf_verified verified;
	struct hf_store *store = open_store(bench);

	if (!store) {
		return false;
	}
	struct hf_moment begin = now();
	enum hf_reason reason = hf_audit_verify(store, &how, &verified);
	*checked = (struct hf_checked){
		.entries = verified.entries,
		.records = verified.records,
		.seals = verified.seals,
		.signatures = verified.signatures,
		.took = since(begin),
	};
	bool bad = failed(store, reason);
	hf_store_close(store);
	if (!bad && verified.bad[0]) {
		fprintf(stderr, "holdfast-bench-audit: %s\n", verified.bad);
	}
	return !bad && !verified.bad[0];
}

/* ---- what it takes on disk */

static uint64_t bytes;

static int add_size(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
	(void)path;
	(void)ftw;
	bytes += type == FTW_F ? (uint64_t)status->st_size : 0;
	return 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
	(void)status;
	(void)type;
	(void)ftw;
	return remove(path);
}

static bool bench_open(struct bench *bench)
{
	struct hf_timed *timed = &bench->report.asked[HF_OPEN];

	for (timed->count = 0; timed->count < 3; timed->count++) {
		struct hf_moment begin = now();
		struct hf_store *store = open_store(bench);
		timed->took[timed->count] = since(begin);
		hf_store_close(store);
		if (!store) {
			return false;
		}
	}
	bytes = 0;
	nftw(bench->path, add_size, 8, FTW_PHYS);
	bench->report.bytes = bytes;
	return true;
}

/* ---- */

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct bench *bench = state->input;
	char *end;

	switch (key) {
	case 'd':
		bench->report.deliveries = strtoull(arg, &end, 10);
		if (*end || bench->report.deliveries < 1000 || bench->report.deliveries > UINT64_C(1000000000)) {
			argp_error(state, "--deliveries: a number from 1000 to 1000000000, not '%s'", arg);
		}
		return 0;
	case 's':
		bench->path = arg;
		return 0;
	case 'j':
		bench->json_path = arg;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "too many arguments: %s", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{.name = "deliveries", .key = 'd', .arg = "N", .doc = "How many the store has (10000000)"},
	{.name = "store",
		.key = 's',
		.arg = "FOLDER",
		.doc = "Where to make the store, and leave it; or one that was left there, of as many deliveries"},
	{.name = "json", .key = 'j', .arg = "FILE", .doc = "Write all of it there, too"},
	{0},
};

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.doc = "How long the audit of a month takes to answer: by session, by identity, who got an entry; and to verify.",
};

static bool run(struct bench *bench)
{
	struct hf_audit_report *report = &bench->report;
	int64_t begin = hf_now_ns();
	struct stat status;

	report->entries = report->deliveries / HF_FILL_READERS;
	if (stat(bench->path, &status) != 0) {
		if (!hf_fill(bench->path, report->deliveries)) {
			return false;
		}
		report->made_s = (double)(hf_now_ns() - begin) / (double)HF_NS_PER_S;
	}
	if (!bench_open(bench) || !bench_query(bench, true) || !bench_query(bench, false) || !bench_receipts(bench) ||
		!bench_verify(bench, false, &report->verify) || !bench_verify(bench, true, &report->verify_each)) {
		return false;
	}
	hf_audit_report_print(report);
	return !bench->json_path || hf_audit_report_write_json(report, bench->json_path);
}

int main(int argc, char **argv)
{
	static struct bench bench = {.report.deliveries = DELIVERIES};
	char path[sizeof(bench.scratch) + 8];

	if (argp_parse(&argp, argc, argv, 0, NULL, &bench)) {
		return 2;
	}
	if (!bench.path) {
		snprintf(bench.scratch, sizeof(bench.scratch), "/var/tmp/holdfast-bench-XXXXXX");
		if (!mkdtemp(bench.scratch)) {
			perror(bench.scratch);
			return 1;
		}
		snprintf(path, sizeof(path), "%s/store", bench.scratch);
		bench.path = path;
	}
	bool measured = run(&bench);
	if (bench.scratch[0]) {
		nftw(bench.scratch, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	}
	return measured ? 0 : 1;
}
