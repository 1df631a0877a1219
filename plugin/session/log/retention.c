/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Retention. A fact of a session has its own limits, if it has any (integers little-endian):
 *
 *      0  u8   format, 1
 *      1  u64  age, ms; in each, UINT64_MAX: as the options say; 0: without limit
 *      9  u64  bytes
 *     17  u64  count
 */
#include "session/audit/holds.h"
#include "session/audit/notes.h"
#include "session/internal.h"
#include "session/kinds/kinds.h"
#include "session/log/log.h"
#include "session/publish/publish.h"

#include <endian.h>

#define VALUE_SIZE 25
#define VALUE_FORMAT 1

#define SWEEP_STEP_MS 10
#define SWEEP_STEP_LOOKED_AT 512
#define SWEEP_STEP_SESSIONS 16 /* from which something is to be removed */

/* ---- limits */

static enum hf_reason read_limits(struct hf_hub *hub, struct hf_slice session, struct hf_retention *out)
{
	uint64_t limits[3];
	bool found;

	hf_buffer_clear(&hub->fact);
	enum hf_reason reason = hf_fact_get(hub->store, session, HF_FACT_RETENTION, HF_SLICE_NONE, &hub->fact, &found);
	if (reason != HF_OK) {
		return reason;
	}
	if (!found || hub->fact.len != VALUE_SIZE || hub->fact.data[0] != VALUE_FORMAT) {
		return HF_RECORD_CORRUPT;
	}
	memcpy(limits, hub->fact.data + 1, sizeof(limits));
	*out =
		(struct hf_retention){.age_ms = le64toh(limits[0]), .bytes = le64toh(limits[1]), .count = le64toh(limits[2])};
	return HF_OK;
}

static enum hf_reason limits_of(struct hf_hub *hub, struct hf_slice session, uint8_t state, struct hf_retention *out)
{
	const struct hf_retention *defaults = &hub->options.retention;
	struct hf_retention own;

	*out = *defaults;
	if (!(state & HF_STATE_RETAINING)) {
		return HF_OK;
	}
	enum hf_reason reason = read_limits(hub, session, &own);
	if (reason == HF_OK) {
		out->age_ms = own.age_ms == HF_RETENTION_DEFAULT ? defaults->age_ms : own.age_ms;
		out->bytes = own.bytes == HF_RETENTION_DEFAULT ? defaults->bytes : own.bytes;
		out->count = own.count == HF_RETENTION_DEFAULT ? defaults->count : own.count;
	}
	return reason;
}

enum hf_reason hf_retention_load(struct hf_hub *hub, struct hf_session *session)
{
	return limits_of(hub, hf_session_id(session), hf_log_state(session->log), &session->retention);
}

static enum hf_reason put_limits(struct hf_hub *hub, struct hf_slice session, const struct hf_retention *limits)
{
	unsigned char bytes[VALUE_SIZE] = {VALUE_FORMAT};
	uint64_t numbers[3] = {htole64(limits->age_ms), htole64(limits->bytes), htole64(limits->count)};
	struct hf_slice value = hf_slice_from(bytes, sizeof(bytes));

	memcpy(bytes + 1, numbers, sizeof(numbers));
	return hf_fact_put(hub->store, session, HF_FACT_RETENTION, HF_SLICE_NONE, &value);
}

enum hf_reason hf_session_set_retention(struct hf_hub *hub, struct hf_slice id, const struct hf_retention *limits)
{
	bool none = limits->age_ms == HF_RETENTION_DEFAULT && limits->bytes == HF_RETENTION_DEFAULT &&
				limits->count == HF_RETENTION_DEFAULT;
	struct hf_session *session = hf_session_use(hub, id);

	if (!session) {
		return HF_NO_MEMORY;
	}
	if (!session->log) {
		return HF_SESSION_UNKNOWN;
	}
	uint8_t state = hf_log_state(session->log);
	if (state & HF_STATE_ERASED) {
		return HF_SESSION_ERASED;
	}
	enum hf_reason reason =
		none ? hf_fact_put(hub->store, id, HF_FACT_RETENTION, HF_SLICE_NONE, NULL) : put_limits(hub, id, limits);
	if (reason != HF_OK) {
		return reason;
	}
	hf_log_set_state(session->log, (uint8_t)(none ? state & ~HF_STATE_RETAINING : state | HF_STATE_RETAINING));
	reason = hf_hub_flush(hub);
	if (reason == HF_OK) {
		reason = hf_retention_load(hub, session);
		hf_retention_soon(hub);
	}
	return reason;
}

/* ---- what is to go */

/* Is so much more held than the limit promises that a run of it shall go? */
static bool is_beyond(uint64_t held, uint64_t limit, uint64_t more)
{
	return limit > 0 && held > limit && held - limit > limit / 8 + more;
}

static bool is_due(const struct hf_retention *limits, uint64_t count, uint64_t bytes)
{
	return is_beyond(count, limits->count, HF_KEEP_MORE_ENTRIES) || is_beyond(bytes, limits->bytes, HF_KEEP_MORE_BYTES);
}

static bool is_old(const struct hf_retention *limits, int64_t oldest_ms, int64_t now_ms)
{
	return limits->age_ms > 0 && oldest_ms <= now_ms - (int64_t)limits->age_ms;
}

static uint64_t count_of(const struct hf_log *log)
{
	return hf_log_head(log) + 1 - hf_log_tail(log);
}

/* The last offset, within one step, from which on there are at least `limit` bytes. */
static enum hf_reason tail_by_bytes(struct hf_log *log, uint64_t limit, uint64_t *tail)
{
	uint64_t left = hf_log_bytes(log);
	struct hf_scan *scan;
	struct hf_ref ref;
	enum hf_reason reason = hf_scan_open(log, hf_log_tail(log), &scan);

	if (reason != HF_OK) {
		return reason;
	}
	*tail = hf_log_tail(log);
	while (*tail - hf_log_tail(log) < HF_TRUNCATE_MAX && hf_scan_next(scan, &ref) && left - ref.size >= limit) {
		left -= ref.size;
		*tail = ref.offset + 1;
	}
	reason = hf_scan_reason(scan);
	hf_scan_close(scan);
	return reason;
}

/* Where the log should begin. */
static enum hf_reason find_tail(struct hf_hub *hub, const struct hf_session *session, uint64_t *out)
{
	const struct hf_retention *limits = &session->retention;
	struct hf_log *log = session->log;
	uint64_t tail = hf_log_tail(log), other;
	int64_t now = hf_hub_clock_ms(hub);
	enum hf_reason reason = HF_OK;

	if (is_beyond(count_of(log), limits->count, HF_KEEP_MORE_ENTRIES)) {
		tail = hf_log_head(log) + 1 - limits->count;
	}
	if (is_beyond(hf_log_bytes(log), limits->bytes, HF_KEEP_MORE_BYTES)) {
		reason = tail_by_bytes(log, limits->bytes, &other);
		tail = reason == HF_OK && other > tail ? other : tail;
	}
	if (reason == HF_OK && count_of(log) > 0 && is_old(limits, hf_log_oldest(log), now)) {
		reason = hf_log_offset_at(log, now - (int64_t)limits->age_ms + 1, &other);
		tail = reason == HF_OK && other > tail ? other : tail;
	}
	tail = tail - hf_log_tail(log) > HF_TRUNCATE_MAX ? hf_log_tail(log) + HF_TRUNCATE_MAX : tail;
	*out = tail;
	return reason == HF_OK && tail > hf_log_tail(log) ? hf_holds_limit(hub, log, tail, out) : reason;
}

/* ---- its going */

static bool tells_of_truncation(struct hf_records *records, const struct hf_ref *ref)
{
	struct hf_notice notice;
	struct hf_entry entry;

	return hf_records_at(records, ref->lsn, &entry) == HF_OK && hf_notice_decode(entry.payload, &notice) == HF_OK &&
		   notice.kind == HF_NOTICE_TRUNCATED;
}

/* Is there anything below `tail` but notices that something was removed? Else a session at rest would be given a new
 * one for each that goes, for ever. */
static bool is_news(struct hf_hub *hub, struct hf_log *log, uint64_t tail)
{
	struct hf_records *records = NULL;
	struct hf_scan *scan = NULL;
	struct hf_ref ref;
	bool news = hf_scan_open(log, hf_log_tail(log), &scan) != HF_OK || hf_records_open(hub->store, &records) != HF_OK;

	while (!news && hf_scan_next(scan, &ref) && ref.offset < tail) {
		news = ref.kind != HF_KIND_NOTICE || !tells_of_truncation(records, &ref);
	}
	hf_records_close(records);
	hf_scan_close(scan);
	return news;
}

static void note(struct hf_hub *hub, const struct hf_session *session, uint64_t tail)
{
	uint64_t first = hf_log_tail(session->log);

	hf_note(hub, &(struct hf_audit){.kind = HF_AUDIT_TRUNCATED,
					 .session = hf_session_id(session),
					 .first = first,
					 .last = tail - 1,
					 .count = tail - first});
}

/* What says so comes first: should the broker be killed in between, it is done when retention comes by again. */
static enum hf_reason truncate(struct hf_hub *hub, struct hf_session *session, uint64_t tail)
{
	const struct hf_notice notice = {.kind = HF_NOTICE_TRUNCATED, .first = hf_log_tail(session->log), .last = tail - 1};
	bool ended = hf_log_state(session->log) & HF_STATE_CLOSED; /* what it ended with remains the last entry */
	enum hf_reason reason = HF_OK;

	if (!ended && is_news(hub, session->log, tail)) {
		reason = hf_append_notice(hub, session, &notice);
	}
	if (reason == HF_OK) {
		note(hub, session, tail); /* the notice goes one day, too, and a session that has ended has none */
		reason = hf_log_truncate(session->log, tail);
	}
	if (reason == HF_OK) {
		hf_asks_forget(hub, session);
		hf_session_state_changed(hub, session, false);
		(void)hf_ids_forget(
			hub, hf_session_id(session), hf_log_tail(session->log)); /* what it leaves is for the next time */
	}
	return reason;
}

/* One step. *more: there may be another one to make. */
static enum hf_reason retain(struct hf_hub *hub, struct hf_session *session, bool *more)
{
	uint64_t tail, before = hf_log_tail(session->log);
	enum hf_reason reason = find_tail(hub, session, &tail);

	if (reason == HF_OK && tail > before) {
		reason = truncate(hub, session, tail);
	}
	*more = reason == HF_OK && tail - before == HF_TRUNCATE_MAX;
	if (reason == HF_STORE_FAILED) {
		hf_hub_due(hub, HF_TIMER_RECOVER, HF_RECOVER_MS);
	} else if (reason != HF_OK && !session->retention_fails) {
		session->retention_fails = true;
		hf_say(hub, HF_LOG_ERROR, "the oldest entries of session %s cannot be removed: %s", session->id,
			hf_store_error(hub->store));
	}
	return reason;
}

void hf_retention_active(struct hf_hub *hub)
{
	for (struct hf_session *session = hub->sessions; session; session = session->hh.next) {
		bool more;
		if (!session->log || hf_session_held(hub, hf_session_id(session)) ||
			!is_due(&session->retention, count_of(session->log), hf_log_bytes(session->log))) {
			continue;
		}
		if (retain(hub, session, &more) == HF_STORE_FAILED) {
			return;
		}
		if (more) {
			hf_hub_due_by(hub, HF_TIMER_INDEX, HF_RETRY_MS);
		}
	}
}

/* ---- the sweep */

struct step {
	struct hf_hub *hub;
	int64_t now_ms;
	unsigned int looked_at, count;
	enum hf_reason reason;
	struct {
		char id[HF_SESSION_ID_MAX];
		size_t len;
	} found[SWEEP_STEP_SESSIONS];
};

static bool look_at(void *context, const struct hf_session_info *info)
{
	struct step *step = context;
	struct hf_sweep *sweep = &step->hub->sweep;
	struct hf_retention limits;

	if (step->looked_at == SWEEP_STEP_LOOKED_AT || step->count == SWEEP_STEP_SESSIONS) {
		return false;
	}
	step->looked_at++;
	memcpy(sweep->at, info->session.data, info->session.len);
	sweep->at_len = info->session.len;
	sweep->wanted = sweep->wanted || (info->state & HF_STATE_RETAINING);
	if (hf_session_held(step->hub, info->session)) {
		return true;
	}
	if (limits_of(step->hub, info->session, info->state, &limits) != HF_OK) {
		hf_say(step->hub, HF_LOG_ERROR, "the limits of session %.*s cannot be read: it keeps what it has",
			(int)info->session.len, info->session.data);
		return true;
	}
	if (limits.age_ms > 0 && limits.age_ms < sweep->shortest_ms) {
		sweep->shortest_ms = limits.age_ms;
	}
	uint64_t count = info->head + 1 - info->tail;
	if (is_due(&limits, count, info->bytes) || (count > 0 && is_old(&limits, info->oldest_ms, step->now_ms))) {
		memcpy(step->found[step->count].id, info->session.data, info->session.len);
		step->found[step->count++].len = info->session.len;
	}
	return true;
}

/* One step of one session. False: the store takes no writes. */
static bool sweep_session(struct hf_hub *hub, struct hf_slice id)
{
	struct hf_session *session;
	enum hf_reason reason = HF_OK;

	HASH_FIND(hh, hub->sessions, id.data, id.len, session);
	bool at_rest = !session;
	session = hf_session_use(hub, id);
	hub->sweep.unfinished = false;
	if (session && session->log) { /* else what is wrong was said, and the next sweep tries again */
		reason = retain(hub, session, &hub->sweep.unfinished);
	}
	if (session && at_rest) {
		hf_session_leave(hub, session);
	}
	return reason != HF_STORE_FAILED;
}

/* Those that were found; from the first with more to remove the sweep goes on. */
static bool sweep_found(struct hf_hub *hub, const struct step *step)
{
	struct hf_sweep *sweep = &hub->sweep;
	bool good = true;

	for (unsigned int i = 0; i < step->count && good && !sweep->unfinished; i++) {
		good = sweep_session(hub, hf_slice_from(step->found[i].id, step->found[i].len));
		if (sweep->unfinished) {
			memcpy(sweep->at, step->found[i].id, step->found[i].len);
			sweep->at_len = step->found[i].len;
		}
	}
	return good;
}

static unsigned int until_next_sweep(const struct hf_hub *hub)
{
	uint64_t in_ms = hub->sweep.shortest_ms / 8;

	return in_ms < HF_SWEEP_MIN_MS ? HF_SWEEP_MIN_MS : in_ms > HF_SWEEP_MAX_MS ? HF_SWEEP_MAX_MS : (unsigned int)in_ms;
}

static void begin_again(struct hf_sweep *sweep)
{
	*sweep = (struct hf_sweep){.shortest_ms = UINT64_MAX};
}

static void end_of_sweep(struct hf_hub *hub)
{
	const struct hf_retention *limits = &hub->options.retention;

	if (hub->sweep.wanted || limits->age_ms > 0 || limits->bytes > 0 || limits->count > 0) {
		hf_hub_due(hub, HF_TIMER_SWEEP, until_next_sweep(hub));
	}
	begin_again(&hub->sweep);
}

void hf_retention_sweep(struct hf_hub *hub)
{
	struct hf_sweep *sweep = &hub->sweep;
	struct step step = {.hub = hub, .now_ms = hf_hub_clock_ms(hub)};
	/* What is not flushed cannot be removed. */
	enum hf_reason reason = hf_store_dirty(hub->store) ? hf_hub_flush(hub) : HF_OK;

	bool was_unfinished = sweep->unfinished, good = reason == HF_OK;
	if (good && was_unfinished) {
		good = sweep_session(hub, hf_slice_from(sweep->at, sweep->at_len));
	} else if (good) {
		good = hf_session_each(hub->store, hf_slice_from(sweep->at, sweep->at_len), look_at, &step) == HF_OK &&
			   sweep_found(hub, &step);
	}
	if (!good) {
		hf_hub_due(hub, HF_TIMER_SWEEP, HF_SWEEP_MIN_MS);
	} else if (was_unfinished || sweep->unfinished || step.looked_at == SWEEP_STEP_LOOKED_AT ||
			   step.count == SWEEP_STEP_SESSIONS) {
		hf_hub_due(hub, HF_TIMER_SWEEP, SWEEP_STEP_MS);
	} else {
		end_of_sweep(hub);
	}
}

void hf_retention_soon(struct hf_hub *hub)
{
	begin_again(&hub->sweep);
	hf_hub_due_by(hub, HF_TIMER_SWEEP, HF_SWEEP_MIN_MS);
}
