/* SPDX-License-Identifier: BSD-3-Clause */
/* kill -9 at any moment: every append that returned is there, offsets are dense, LSNs rise, and what derives from
 * the entries is as if nothing had happened. */
#include <signal.h>

#include "store_check.h"

#define SESSIONS 3
#define KILLS 15

/* What the writer has seen return. */
struct seen {
	_Atomic uint64_t heads[SESSIONS];
	_Atomic uint64_t lsn;
	_Atomic bool writing;
};
static struct seen *seen;
static struct hf_store *store;
static const char *const names[SESSIONS] = {"one", "two", "three"};

/* Derived: for each session the offset of its newest entry, as a fact. The writer puts it only when it flushes:
 * until then the replay must do it. */
static void derive(struct hf_slice session, uint64_t offset)
{
	struct hf_slice value = hf_slice_from(&offset, sizeof offset);

	if (hf_fact_put(store, session, 1, hf_slice_of("newest"), &value) != HF_OK)
		ck_abort_msg("hf_fact_put");
}

static void replay(void *context, const struct hf_entry *entry)
{
	uint64_t *replayed = context;

	if (*replayed != 0 && entry->lsn != *replayed + 1)
		ck_abort_msg("replayed %" PRIu64 " after %" PRIu64, entry->lsn, *replayed);
	*replayed = entry->lsn;
	derive(entry->session, entry->offset);
}

static void open_it(enum hf_durability durability)
{
	uint64_t replayed = 0;
	enum hf_reason reason = hf_store_open(&(struct hf_store_options){.path = store_path, .durability = durability},
		replay, &replayed, &store, message, sizeof message);

	ck_assert_msg(reason == HF_OK, "%s", message);
	ck_assert(replayed == 0 || replayed == hf_store_head(store));
}

static void flush(struct hf_log *logs[SESSIONS])
{
	for (unsigned i = 0; i < SESSIONS; i++)
		derive(hf_log_session(logs[i]), hf_log_head(logs[i]));
	if (hf_store_flush(store) != HF_OK)
		ck_abort_msg("flush: %s", hf_store_error(store));
}

static void write_for_ever(void *context)
{
	struct hf_log *logs[SESSIONS];

	chance_state = *(const uint64_t *)context;
	open_it(chance(4) == 0 ? HF_DURABILITY_POWER : HF_DURABILITY_PROCESS);
	uint64_t flush_every = chance(3) == 0 ? 100000 : 1 + chance(400);
	for (unsigned i = 0; i < SESSIONS; i++)
		logs[i] = acquire(store, names[i]);
	seen->writing = true;
	for (;;) {
		unsigned i = (unsigned)chance(SESSIONS);
		char text[64];
		struct hf_entry entry;
		snprintf(text, sizeof text, "%s %" PRIu64, names[i], hf_log_head(logs[i]) + 1);
		if (append_bytes(logs[i], HF_KIND_TOKENS, hf_slice_of(text), 1000, &entry) != HF_OK)
			ck_abort_msg("append: %s", hf_store_error(store));
		seen->heads[i] = entry.offset;
		seen->lsn = entry.lsn;
		if (chance(flush_every) == 0)
			flush(logs);
	}
}

static void check_derived(const char *session, uint64_t head)
{
	struct hf_buffer value = {0};
	bool found;

	ck_assert_ok(hf_fact_get(store, hf_slice_of(session), 1, hf_slice_of("newest"), &value, &found));
	ck_assert(found || head == 0);
	if (found)
		ck_assert_mem_eq(value.data, &head, sizeof head);
	hf_buffer_free(&value);
}

/* Everything that returned is there, and at most the one append that was under way. */
static void check_survivors(void *context)
{
	uint64_t sum = 0;
	uint64_t acknowledged = 0;

	(void)context;
	open_it(HF_DURABILITY_PROCESS);
	for (unsigned i = 0; i < SESSIONS; i++) {
		struct hf_log *log = acquire(store, names[i]);
		ck_assert_uint_ge(hf_log_head(log), seen->heads[i]);
		acknowledged += seen->heads[i];
		sum += hf_log_head(log);
		check_log(store, log, hf_log_head(log));
		check_derived(names[i], hf_log_head(log));
		seen->heads[i] = hf_log_head(log);
		hf_log_release(log);
	}
	ck_assert_uint_ge(hf_store_head(store), seen->lsn);
	ck_assert_uint_eq(hf_store_head(store), sum); /* no LSN without its entry */
	ck_assert_uint_le(sum, acknowledged + 1);
	seen->lsn = sum;
	if (chance(2) == 0)
		hf_store_close(store); /* else as another kill */
}

START_TEST(what_returned_survives)
{
	seen = shared_memory(sizeof *seen);
	chance_seed();
	for (int i = 0; i < KILLS; i++) {
		uint64_t seed = chance(UINT64_MAX);
		int status;
		seen->writing = false;
		pid_t child = check_fork();
		if (child == 0)
			write_for_ever(&seed);
		/* Mostly amid the writing, sometimes amid the opening. */
		for (int wait = 0; !seen->writing && i % 5 != 0 && wait < 10000; wait++)
			usleep(1000);
		/* Now and then long enough for an append to write the index by itself. */
		usleep((useconds_t)chance(i % 4 == 3 ? 150000 : 15000));
		kill(child, SIGKILL);
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the writer ended with %d", status);
		status = run_child(check_survivors, NULL);
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the check ended with %d", status);
		chance(2);
	}
	ck_assert_uint_gt(seen->lsn, KILLS);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store: kill");
	TCase *tests = case_with_directory(suite);

	tcase_add_test(tests, what_returned_survives);
	return run_suite(suite);
}
