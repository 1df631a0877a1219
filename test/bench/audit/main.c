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

#define DELIVERIES 10000000
#define QUESTIONS 30

struct bench {
	uint64_t deliveries;
	const char *path;
	char scratch[64]; /* made, and removed at the end; empty: none */
};

/* ---- times */

struct moment {
	int64_t clock_ns, cpu_ns;
};

static struct moment now(void)
{
	return (struct moment){.clock_ns = hf_now_ns(), .cpu_ns = hf_clock_ns(CLOCK_PROCESS_CPUTIME_ID)};
}

static struct moment since(struct moment begin)
{
	struct moment end = now();

	return (struct moment){.clock_ns = end.clock_ns - begin.clock_ns, .cpu_ns = end.cpu_ns - begin.cpu_ns};
}

struct times {
	struct moment took[QUESTIONS];
	size_t count;
};

static int compare(const void *a, const void *b)
{
	const struct moment *one = a, *other = b;

	return (one->clock_ns > other->clock_ns) - (one->clock_ns < other->clock_ns);
}

static double ms(int64_t ns)
{
	return (double)ns / (double)HF_NS_PER_MS;
}

static void print_times(const char *what, struct times *times, const char *limit)
{
	double first = ms(times->took[0].clock_ns);

	qsort(times->took, times->count, sizeof(times->took[0]), compare);
	printf("%-26s  %9.2f  %9.2f  %9.2f  %9.2f  %s\n", what, first, ms(times->took[times->count / 2].clock_ns),
		ms(times->took[times->count - 1].clock_ns), ms(times->took[times->count / 2].cpu_ns), limit);
	fflush(stdout);
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
static enum hf_reason ask(
	struct hf_store *store, const struct hf_query *query, struct moment *first, struct moment *all, uint64_t *rows)
{
	struct hf_cursor *cursor;
	struct hf_item item;
	bool found = true;
	struct moment begin = now();
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
static bool bench_query(const struct bench *bench, bool by_session)
{
	struct times first = {.count = QUESTIONS}, all = {.count = QUESTIONS};
	struct hf_store *store = open_store(bench);
	enum hf_reason reason = store ? HF_OK : HF_STORE_FAILED;
	uint64_t total = 0, rows = 0;

	for (unsigned int i = 0; i < QUESTIONS && reason == HF_OK; i++) {
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
		reason = ask(store, &query, &first.took[i], &all.took[i], &rows);
		total += rows;
	}
	bool bad = !store || failed(store, reason);
	hf_store_close(store);
	if (!bad) {
		print_times(by_session ? "by session: first row" : "by identity: first row", &first, "at most 100");
		print_times(by_session ? "by session: all rows" : "by identity: all rows", &all, "");
		printf("%-26s  %9" PRIu64 "\n", "  rows on average", total / QUESTIONS);
	}
	return !bad;
}

static bool bench_receipts(const struct bench *bench)
{
	struct times times = {.count = 0};
	struct hf_store *store = open_store(bench);
	enum hf_reason reason = store ? HF_OK : HF_STORE_FAILED;
	uint64_t readers_count = 0;

	for (unsigned int i = 0; times.count < QUESTIONS && i < HF_FILL_SESSIONS && reason == HF_OK; i++) {
		struct hf_entry_readers readers;
		char name[32];
		bool found;
		hf_fill_session(i * 977 % HF_FILL_SESSIONS, name);
		struct moment begin = now();
		reason = hf_entry_readers(store, hf_slice_of(name), 1 + i, &readers, &found);
		if (found) { /* a session may have nothing, in a small store */
			times.took[times.count++] = since(begin);
			readers_count += readers.count;
		}
		hf_entry_readers_free(&readers);
	}
	bool bad = !store || failed(store, reason);
	hf_store_close(store);
	if (!bad && times.count > 0) {
		print_times("receipts of one entry", &times, "at most 20");
		printf("%-26s  %9" PRIu64 "\n", "  devices on average", readers_count / times.count);
	}
	return !bad;
}

/* What it takes to check one signature. */
static double signature_seconds(void)
{
	enum { COUNT = 500 };
	static const unsigned char message[110];
	uint8_t signature[HF_SIGNATURE_SIZE];
	struct hf_signer *signer = hf_signer_generate();
	unsigned int good = 0;

	if (!signer || !hf_signer_sign(signer, hf_slice_from(message, sizeof(message)), signature)) {
		hf_signer_free(signer);
		return 0;
	}
	struct moment begin = now();
	for (int i = 0; i < COUNT; i++) {
		good += hf_signature_verify(hf_slice_from(message, sizeof(message)), signature, hf_signer_public_key(signer));
	}
	double each = ms(since(begin).cpu_ns) / 1000 / COUNT;
	hf_signer_free(signer);
	return good == COUNT ? each : 0;
}

static bool bench_verify(const struct bench *bench)
{
	struct hf_verified verified;
	struct hf_store *store = open_store(bench);

	if (!store) {
		return false;
	}
	struct moment begin = now();
	enum hf_reason reason = hf_audit_verify(store, NULL, &verified);
	struct moment took = since(begin);
	double seconds = ms(took.clock_ns) / 1000, cpu_seconds = ms(took.cpu_ns) / 1000;
	bool bad = failed(store, reason);
	hf_store_close(store);
	if (bad || verified.bad[0]) {
		fprintf(stderr, "holdfast-bench-audit: %s\n", verified.bad);
		return false;
	}
	uint64_t records = verified.entries + verified.records;
	double signatures = (double)verified.seals * signature_seconds();
	printf("\nverify: %" PRIu64 " entries and %" PRIu64
		   " records in %.2f s, %.2f s of one core: %.0f a second; it checks %.0f "
		   "deliveries a second\n"
		   "  of that about %.2f s for the signatures of %" PRIu64
		   " seals, %.0f records each; without them %.0f a second "
		   "(at least 500000)\n",
		verified.entries, verified.records, seconds, cpu_seconds, (double)records / cpu_seconds,
		(double)bench->deliveries / cpu_seconds, signatures, verified.seals, (double)records / (double)verified.seals,
		(double)records / (cpu_seconds - signatures));
	return true;
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

static bool bench_open(const struct bench *bench)
{
	struct times times = {.count = 3};

	for (size_t i = 0; i < times.count; i++) {
		struct moment begin = now();
		struct hf_store *store = open_store(bench);
		times.took[i] = since(begin);
		hf_store_close(store);
		if (!store) {
			return false;
		}
	}
	bytes = 0;
	nftw(bench->path, add_size, 8, FTW_PHYS);
	printf("store: %" PRIu64 " deliveries of %" PRIu64
		   " entries; %.1f MB, %.1f bytes an entry with its %d deliveries\n\n",
		bench->deliveries, bench->deliveries / HF_FILL_READERS, (double)bytes / 1e6,
		(double)bytes * HF_FILL_READERS / (double)bench->deliveries, HF_FILL_READERS);
	printf("%-26s  %9s  %9s  %9s  %9s\n", "milliseconds", "first", "median", "worst", "processor");
	print_times("open", &times, "");
	return true;
}

/* ---- */

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct bench *bench = state->input;
	char *end;

	switch (key) {
	case 'd':
		bench->deliveries = strtoull(arg, &end, 10);
		if (*end || bench->deliveries < 1000 || bench->deliveries > UINT64_C(1000000000)) {
			argp_error(state, "--deliveries: a number from 1000 to 1000000000, not '%s'", arg);
		}
		return 0;
	case 's':
		bench->path = arg;
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
	{0},
};

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.doc = "How long the audit of a month takes to answer: by session, by identity, who got an entry; and to verify.",
};

static bool run(struct bench *bench)
{
	int64_t begin = hf_now_ns();
	struct stat status;

	if (stat(bench->path, &status) != 0) {
		if (!hf_fill(bench->path, bench->deliveries)) {
			return false;
		}
		double seconds = (double)(hf_now_ns() - begin) / (double)HF_NS_PER_S;
		printf("made in %.1f s: %.0f deliveries a second\n", seconds, (double)bench->deliveries / seconds);
		fflush(stdout);
	}
	return bench_open(bench) && bench_query(bench, true) && bench_query(bench, false) && bench_receipts(bench) &&
		   bench_verify(bench);
}

int main(int argc, char **argv)
{
	struct bench bench = {.deliveries = DELIVERIES};
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
