/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The store against a plain model in memory: random calls, and after each the store must say what the model says.
 * A life is a child process that opens the store, does random things and ends by closing it or by being killed; the
 * model is in memory that all lives share. HOLDFAST_SEED repeats a run.
 */
#include <signal.h>

#include "store_check.h"

#define SESSIONS 5
#define DEVICES 7
#define ENTRIES_MAX 40000 /* of all sessions */
#define LIVES 12
#define CALLS 700

struct model {
	uint64_t head;
	uint64_t indexed; /* up to here entries may be removed */
	uint64_t stamp;
	uint64_t lowest; /* all LSNs below are gone */
	struct {
		uint8_t session;
		uint8_t kind;
		uint64_t offset;
		int64_t time_ms;
	} entries[ENTRIES_MAX + 1]; /* by LSN */
	struct {
		uint64_t head;
		uint64_t tail;
		uint64_t stamp;
		uint64_t gone[HF_KIND_LOGGED_LAST + 1];
		uint8_t state;
		uint64_t lsns[ENTRIES_MAX + 1]; /* by offset */
	} sessions[SESSIONS];
	uint64_t chance;
	uint64_t replayed; /* LSN that the replay of this life has come to; 0 before */
};

static struct model *model;
static struct hf_store *store;
static struct hf_log *logs[SESSIONS]; /* those that this life holds */
static unsigned users[SESSIONS];
static const char *const names[SESSIONS] = {"s", "s0", "s-1", "t", "S"};
static const uint8_t by_name[SESSIONS] = {4, 0, 2, 1, 3};

/* What the layers above would derive from an entry: each device knows the last LSN that was its own. */
static void derive(uint64_t lsn)
{
	char device[8];
	struct hf_slice value = hf_slice_from(&lsn, sizeof lsn);

	snprintf(device, sizeof device, "d%d", (int)(lsn % DEVICES));
	check(hf_device_put(store, hf_slice_of(device), &value) == HF_OK);
}

static bool is_gone(uint64_t lsn)
{
	return model->entries[lsn].offset < model->sessions[model->entries[lsn].session].tail;
}

static void check_entry_of_model(const struct hf_entry *entry, uint64_t lsn)
{
	check(lsn >= 1 && lsn <= model->head && !is_gone(lsn));
	check(entry->lsn == lsn);
	check(entry->offset == model->entries[lsn].offset);
	check(entry->time_ms == model->entries[lsn].time_ms);
	check(entry->kind == (enum hf_kind)model->entries[lsn].kind);
	check(hf_slice_is(entry->session, names[model->entries[lsn].session]));
	check(entry->payload.len == sizeof lsn && memcmp(entry->payload.data, &lsn, sizeof lsn) == 0);
}

static void replay(void *context, const struct hf_entry *entry)
{
	(void)context;
	check(model->replayed == 0 || entry->lsn == model->replayed + 1);
	check_entry_of_model(entry, entry->lsn);
	derive(entry->lsn);
	model->replayed = entry->lsn;
}

static void open_again(void)
{
	model->replayed = 0;
	enum hf_reason reason =
		hf_store_open(&(struct hf_store_options){.path = store_path}, replay, NULL, &store, message, sizeof message);
	ck_assert_msg(reason == HF_OK, "%s", message);
	check(model->replayed == 0 || model->replayed == model->head);
	check(hf_store_head(store) == model->head);
	check(!hf_store_dirty(store));
	check(hf_store_stamp(store) == model->stamp);
	model->indexed = model->head;
}

static struct hf_log *hold(unsigned session)
{
	if (users[session]++ == 0 || chance(2) == 0) {
		struct hf_log *log;
		bool create = model->sessions[session].head == 0;
		check(hf_log_acquire(store, hf_slice_of(names[session]), create, &log) == HF_OK);
		check(logs[session] == NULL || logs[session] == log);
		logs[session] = log;
	} else {
		users[session]--;
	}
	check(hf_log_head(logs[session]) == model->sessions[session].head);
	check(hf_log_tail(logs[session]) == model->sessions[session].tail);
	check(hf_log_state(logs[session]) == model->sessions[session].state);
	check(hf_log_head_lsn(logs[session]) == model->sessions[session].lsns[model->sessions[session].head]);
	for (enum hf_kind kind = 1; kind <= HF_KIND_LOGGED_LAST; kind++)
		check(hf_log_gone_lsn(logs[session], HF_KIND_BIT(kind)) == model->sessions[session].gone[kind]);
	return logs[session];
}

static void let_go(unsigned session)
{
	if (users[session] == 0)
		return;
	hf_log_release(logs[session]);
	if (--users[session] == 0)
		logs[session] = NULL;
}

/* ---- calls ----------------------------------------------------------------------------------------------- */

static void call_append(unsigned session)
{
	struct hf_log *log = hold(session);
	uint64_t count = chance(10) == 0 ? 1 + chance(300) : 1 + chance(8);

	for (; count > 0 && model->head < ENTRIES_MAX; count--) {
		struct hf_entry entry;
		uint64_t lsn = model->head + 1;
		uint64_t offset = model->sessions[session].head + 1;
		uint64_t before = model->sessions[session].lsns[offset - 1];
		int64_t now_ms = (int64_t)(lsn * 3 + chance(200)) - 100;
		enum hf_kind kind = (enum hf_kind)(1 + chance(HF_KIND_LOGGED_LAST));
		check(append_bytes(log, kind, hf_slice_from(&lsn, sizeof lsn), now_ms, &entry) == HF_OK);
		if (offset > 1 && model->entries[before].time_ms > now_ms)
			now_ms = model->entries[before].time_ms;
		check(entry.lsn == lsn && entry.offset == offset && entry.time_ms == now_ms);
		model->entries[lsn].session = (uint8_t)session;
		model->entries[lsn].kind = (uint8_t)kind;
		model->entries[lsn].offset = offset;
		model->entries[lsn].time_ms = now_ms;
		model->sessions[session].lsns[offset] = lsn;
		model->sessions[session].head = offset;
		model->head = lsn;
		derive(lsn);
	}
}

static void call_scan(unsigned session)
{
	struct hf_log *log = hold(session);
	struct hf_scan *scan;
	struct hf_ref ref;
	uint64_t head = model->sessions[session].head;
	uint64_t tail = model->sessions[session].tail;
	uint64_t offset = chance(head + 3);

	check(hf_scan_open(log, offset, &scan) == HF_OK);
	if (offset < tail)
		offset = tail;
	uint64_t end = chance(3) == 0 ? UINT64_MAX : offset + chance(600);
	while (offset < end && hf_scan_next(scan, &ref)) {
		check(ref.offset == offset);
		check(ref.lsn == model->sessions[session].lsns[offset]);
		check(ref.kind == (enum hf_kind)model->entries[ref.lsn].kind);
		offset++;
	}
	check(hf_scan_reason(scan) == HF_OK);
	check(offset >= end || offset > head);
	hf_scan_close(scan);
}

static void call_scan_down(unsigned session)
{
	struct hf_log *log = hold(session);
	struct hf_scan *scan;
	struct hf_ref ref;
	uint64_t head = model->sessions[session].head;
	uint64_t tail = model->sessions[session].tail;
	uint64_t end = chance(head + 3);
	uint64_t left = chance(3) == 0 ? UINT64_MAX : chance(600);

	check(hf_scan_open_down(log, end, &scan) == HF_OK);
	end = end > head ? head + 1 : end;
	for (; left > 0 && hf_scan_next(scan, &ref); left--) {
		check(ref.offset == --end);
		check(ref.lsn == model->sessions[session].lsns[end]);
		check(ref.kind == (enum hf_kind)model->entries[ref.lsn].kind);
	}
	check(hf_scan_reason(scan) == HF_OK);
	check(left == 0 || end <= tail);
	hf_scan_close(scan);
}

static void call_search(unsigned session)
{
	struct hf_log *log = hold(session);
	const uint64_t *lsns = model->sessions[session].lsns;
	uint64_t head = model->sessions[session].head;
	uint64_t tail = model->sessions[session].tail;
	uint64_t lsn = chance(model->head + 3);
	uint64_t wanted = tail;
	uint64_t offset;

	while (wanted <= head && lsns[wanted] <= lsn)
		wanted++;
	check(hf_log_offset_after(log, lsn, &offset) == HF_OK);
	check(offset == wanted);

	int64_t time_ms = (int64_t)chance(model->head * 3 + 300) - 150;
	wanted = tail;
	while (wanted <= head && model->entries[lsns[wanted]].time_ms < time_ms)
		wanted++;
	check(hf_log_offset_at(log, time_ms, &offset) == HF_OK);
	check(offset == wanted);

	if (head >= tail) {
		offset = tail + chance(head + 1 - tail);
		check(hf_log_lsn_of(log, offset, &lsn) == HF_OK);
		check(lsn == lsns[offset]);
	}
}

static void call_records(void)
{
	struct hf_records *records;
	struct hf_entry entry;
	bool found;

	if (model->head == 0)
		return;
	check(hf_records_open(store, &records) == HF_OK);
	while (model->lowest <= model->head && is_gone(model->lowest))
		model->lowest++;
	bool down = chance(2) == 0;
	/* Mostly where something is left: RocksDB walks over what was removed, and takes its time. */
	uint64_t lsn = chance(20) == 0 ? 1 : model->lowest;
	lsn += chance(model->head + 1 - (lsn < model->head ? lsn : model->head));
	for (uint64_t left = chance(60); left > 0 && lsn <= model->head; left--) {
		if (chance(2) == 0) {
			check(hf_records_at(records, lsn, &entry) == (is_gone(lsn) ? HF_RECORD_CORRUPT : HF_OK));
			if (!is_gone(lsn))
				check_entry_of_model(&entry, lsn);
			uint64_t step = chance(20);
			lsn = down && step < lsn ? lsn - step : lsn + 1 + step;
		} else {
			uint64_t next = lsn + 1 > model->lowest ? lsn + 1 : model->lowest;
			while (next <= model->head && is_gone(next))
				next++;
			check(hf_records_after(records, lsn, &entry, &found) == HF_OK);
			check(found == (next <= model->head));
			if (found)
				check_entry_of_model(&entry, next);
			lsn++;
		}
	}
	hf_records_close(records);
}

static void call_truncate(unsigned session)
{
	struct hf_log *log = hold(session);
	uint64_t head = model->sessions[session].head;
	uint64_t tail = model->sessions[session].tail;
	uint64_t wanted = tail + chance(chance(3) == 0 ? 700 : 20);
	bool any = false;

	if (wanted > head + 1)
		wanted = head + 1;
	check(hf_log_truncate(log, wanted) == HF_OK);
	for (; tail < wanted && model->sessions[session].lsns[tail] <= model->indexed; tail++) {
		uint64_t lsn = model->sessions[session].lsns[tail];
		model->sessions[session].gone[model->entries[lsn].kind] = lsn;
		any = true;
	}
	if (any) {
		model->stamp = model->stamp >= model->head ? model->stamp + 1 : model->head;
		model->sessions[session].stamp = model->stamp;
	}
	model->sessions[session].tail = tail;
	check(hf_log_tail(log) == tail);
	check(hf_store_stamp(store) == model->stamp);
}

static bool visit_truncated(void *context, uint64_t stamp, struct hf_slice name)
{
	uint64_t *last = context;
	unsigned session = 0;

	while (!hf_slice_is(name, names[session]))
		check(++session < SESSIONS);
	check(stamp > *last && stamp == model->sessions[session].stamp);
	*last = stamp;
	return true;
}

static bool visit_session(void *context, const struct hf_session_info *info)
{
	unsigned *next = context;

	while (*next < SESSIONS && model->sessions[by_name[*next]].head == 0)
		++*next;
	check(*next < SESSIONS);
	unsigned session = by_name[(*next)++];
	const uint64_t *lsns = model->sessions[session].lsns;
	check(hf_slice_is(info->session, names[session]));
	check(info->head == model->sessions[session].head && info->tail == model->sessions[session].tail);
	check(info->state == model->sessions[session].state);
	if (info->tail <= info->head)
		check(info->oldest_ms == model->entries[lsns[info->tail]].time_ms);
	check(info->created_ms == model->entries[lsns[1]].time_ms);
	check(info->changed_ms == model->entries[lsns[info->head]].time_ms);
	return true;
}

static void call_lists(void)
{
	struct hf_buffer value = {0};
	unsigned next = 0;
	bool found;

	check(hf_session_each(store, HF_SLICE_NONE, visit_session, &next) == HF_OK);
	for (; next < SESSIONS; next++)
		check(model->sessions[by_name[next]].head == 0);
	uint64_t last = chance(model->stamp + 2);
	check(hf_truncated_each(store, last, visit_truncated, &last) == HF_OK);
	check(last >= model->stamp);
	for (uint64_t lsn = model->head; lsn > 0 && lsn + DEVICES > model->head; lsn--) {
		char device[8];
		snprintf(device, sizeof device, "d%d", (int)(lsn % DEVICES));
		hf_buffer_clear(&value);
		check(hf_device_get(store, hf_slice_of(device), &value, &found) == HF_OK);
		check(found && value.len == sizeof lsn && memcmp(value.data, &lsn, sizeof lsn) == 0);
	}
	hf_buffer_free(&value);
}

static void call_reopen(void)
{
	for (unsigned session = 0; session < SESSIONS; session++) {
		while (users[session] > 0)
			let_go(session);
	}
	bool flushed = chance(2) == 0;
	if (flushed)
		check(hf_store_flush(store) == HF_OK);
	hf_store_close(store);
	open_again();
	check(!flushed || model->replayed == 0);
}

static void live(void *context)
{
	(void)context;
	chance_state = model->chance;
	open_again();
	call_lists();
	for (int i = 0; i < CALLS; i++) {
		unsigned session = (unsigned)chance(SESSIONS);
		switch (chance(20)) {
		case 0:
		case 1:
			let_go(session);
			break;
		case 2:
			check(hf_store_flush(store) == HF_OK);
			check(!hf_store_dirty(store));
			model->indexed = model->head;
			break;
		case 3:
		case 4:
			call_scan(session);
			break;
		case 5:
		case 6:
			call_search(session);
			break;
		case 7:
		case 8:
			call_records();
			break;
		case 9:
			call_lists();
			break;
		case 10:
			if (chance(20) == 0)
				call_reopen();
			break;
		case 11:
			call_truncate(session);
			break;
		case 12:
			call_scan_down(session);
			break;
		case 13:
			if (model->sessions[session].head > 0) {
				struct hf_log *log = hold(session);
				model->sessions[session].state = (uint8_t)chance(256);
				hf_log_set_state(log, model->sessions[session].state);
				check(hf_store_flush(store) == HF_OK); /* else a kill forgets it */
				model->indexed = model->head;
			}
			break;
		default:
			call_append(session);
			break;
		}
	}
	call_lists();
	model->chance = chance_state;
	if (chance(3) != 0)
		raise(SIGKILL); /* with whatever is not flushed */
	call_reopen();
	hf_store_close(store);
}

START_TEST(the_store_is_what_the_model_is)
{
	model = shared_memory(sizeof *model);
	chance_seed();
	model->chance = chance_state;
	model->lowest = 1;
	for (unsigned i = 0; i < SESSIONS; i++)
		model->sessions[i].tail = 1;
	for (int i = 0; i < LIVES; i++) {
		int status = run_child(live, NULL);
		ck_assert_msg(
			(WIFEXITED(status) && WEXITSTATUS(status) == 0) || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL),
			"life %d ended with %d", i, status);
		model->chance += (uint64_t)i;
	}
	ck_assert_uint_gt(model->head, 5000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store: model");
	TCase *tests = case_with_directory(suite);

	tcase_add_test(tests, the_store_is_what_the_model_is);
	return run_suite(suite);
}
