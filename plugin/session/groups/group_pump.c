/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Groups that go on from the log: first the sessions in which something is unfinished, then everything behind the
 * group's position. In the tick, like the pump of devices; what makes them do so is at the end.
 */
#include "session/groups/group.h"
#include "session/log/ending.h"

#include <utlist.h>

struct pump {
	struct hf_hub *hub;
	struct hf_group *group;
	struct hf_records *records;
	uint64_t handed_max; /* group->handed at which the go ends */
	unsigned int refs;   /* that it may still pass over */
};

enum gone {
	GONE_ON,
	GONE_PAUSED,  /* it had its share of this turn */
	GONE_STOPPED, /* no room, or the store cannot be read: a worker, or a retry, goes on */
};

static enum gone unreadable(struct pump *pump, const char *session)
{
	hf_say(pump->hub, HF_LOG_ERROR, "session %s cannot be read for the group %s: %s", session, pump->group->key,
		hf_store_error(pump->hub->store));
	hf_hub_due(pump->hub, HF_TIMER_GROUPS, HF_GROUP_RETRY_MS);
	return GONE_STOPPED;
}

/* One entry, or mark, of a lane. GONE_ON: it is done with, or the lane waits on another list now. */
static enum gone go_on_with(struct pump *pump, struct hf_errand *errand, bool *waits)
{
	if (pump->group->handed >= pump->handed_max) {
		return GONE_PAUSED;
	}
	enum hf_errand_end end = hf_group_hand(pump->hub, errand);
	if (end == HF_ERRAND_LATER || end == HF_ERRAND_HELD) {
		*waits = true;
		hf_errand_put_off(errand, end);
	}
	return end == HF_ERRAND_STOPPED ? GONE_STOPPED : GONE_ON;
}

/* What of a lane is gone from the log becomes one idle loan, the first of it, if the group listens for marks. */
static bool join_truncated(struct pump *pump, struct hf_lane *lane, uint64_t tail)
{
	struct hf_loan *loan, *next, *kept = NULL;
	uint64_t first = lane->next_offset > 0 && lane->next_offset < tail ? lane->next_offset : tail;

	DL_FOREACH_SAFE(lane->loans, loan, next)
	{
		if (loan->device || loan->offset >= tail) {
			continue;
		}
		first = loan->offset < first ? loan->offset : first;
		if (kept || !hf_group_listens_for_marks(pump->group)) {
			hf_loan_free(loan);
		} else {
			kept = loan;
		}
	}
	if (first == tail) {
		return true;
	}
	if (!kept && hf_group_listens_for_marks(pump->group) && !hf_loan_make(lane, 0, first)) {
		return false;
	}
	if (lane->next_offset > 0 && lane->next_offset < tail) {
		lane->next_offset = tail;
	}
	hf_say(pump->hub, HF_LOG_WARNING,
		"entries %llu to %llu of session %s left the log before a worker of the group %s had them",
		(unsigned long long)first, (unsigned long long)tail - 1, lane->session, pump->group->key);
	hf_lane_dirty(lane);
	return true;
}

/* The mark in the place of all that is gone from the log, which this loan is the first of. */
static enum gone go_on_with_gap(struct pump *pump, struct hf_loan *loan, const struct hf_log *log, bool *waits)
{
	struct hf_buffer document = {.data = NULL};
	enum gone gone = GONE_STOPPED;

	if (hf_document_gap(&document, loan->offset, hf_log_tail(log) - 1, hf_log_why_gone(log))) {
		struct hf_errand errand = {.lane = loan->lane, .loan = loan, .mark = hf_buffer_slice(&document)};
		gone = go_on_with(pump, &errand, waits);
	}
	hf_buffer_free(&document);
	return gone;
}

static enum gone go_on_with_idle(struct pump *pump, struct hf_lane *lane, const struct hf_log *log, bool *waits)
{
	struct hf_loan *loan, *next;
	enum gone gone = GONE_ON;

	DL_FOREACH_SAFE(lane->loans, loan, next)
	{
		struct hf_entry entry;
		if (loan->device) {
			continue;
		}
		if (loan->offset < hf_log_tail(log)) {
			gone = go_on_with_gap(pump, loan, log, waits);
		} else if (hf_records_at(pump->records, loan->lsn, &entry) == HF_OK) {
			struct hf_errand errand = {.lane = lane, .entry = &entry, .loan = loan, .mark = HF_SLICE_NONE};
			gone = go_on_with(pump, &errand, waits);
		} else {
			gone = unreadable(pump, lane->session);
		}
		if (gone != GONE_ON || *waits) {
			break;
		}
	}
	return gone;
}

/* From next_offset to where the group is. */
static enum gone go_on_behind(struct pump *pump, struct hf_lane *lane, struct hf_scan *scan, bool *waits)
{
	struct hf_group *group = pump->group;
	enum gone gone = GONE_ON;
	struct hf_ref ref;

	while (hf_scan_next(scan, &ref) && ref.lsn <= group->passed) { /* what follows has its turn in the log */
		struct hf_entry entry;
		if (pump->refs-- == 0) {
			return GONE_PAUSED;
		}
		if (group->place.parsed.kinds & HF_KIND_BIT(ref.kind)) {
			if (hf_records_at(pump->records, ref.lsn, &entry) != HF_OK) {
				return unreadable(pump, lane->session);
			}
			if (hf_group_covers(group, &entry)) {
				struct hf_errand errand = {.lane = lane, .entry = &entry, .mark = HF_SLICE_NONE};
				gone = go_on_with(pump, &errand, waits);
			}
			if (gone != GONE_ON || *waits) {
				return gone;
			}
		}
		lane->next_offset = ref.offset + 1;
	}
	if (hf_scan_reason(scan) != HF_OK) {
		return unreadable(pump, lane->session);
	}
	lane->next_offset = 0;
	return GONE_ON;
}

static enum gone go_on_with_lane(struct pump *pump, struct hf_lane *lane)
{
	struct hf_session *session = hf_session_use(pump->hub, hf_slice_of(lane->session));
	uint64_t before = lane->next_offset;
	struct hf_scan *scan;
	bool waits = false;

	if (session && !session->log) {
		hf_lane_drop(lane); /* the session is no more */
		return GONE_ON;
	}
	if (!session || !join_truncated(pump, lane, hf_log_tail(session->log))) {
		return unreadable(pump, lane->session);
	}
	enum gone gone = go_on_with_idle(pump, lane, session->log, &waits);
	if (gone == GONE_ON && !waits && lane->next_offset > 0) {
		if (hf_scan_open(session->log, lane->next_offset, &scan) != HF_OK) {
			return unreadable(pump, lane->session);
		}
		gone = go_on_behind(pump, lane, scan, &waits);
		hf_scan_close(scan);
	}
	if (lane->next_offset != before) {
		hf_lane_dirty(lane);
	}
	hf_lane_settle(lane);
	return gone;
}

/* A group whose filter names a session has no need to look through the log of all others. */
static enum gone go_on_in_session(struct pump *pump)
{
	struct hf_group *group = pump->group;
	struct hf_session *session = hf_session_use(pump->hub, group->place.parsed.session);

	if (!session) {
		return unreadable(pump, "of its filter");
	}
	if (session->log && hf_log_head_lsn(session->log) > group->passed) {
		struct hf_lane *lane = hf_lane_make(group, hf_session_id(session));
		if (!lane) {
			return unreadable(pump, session->id);
		}
		lane->next_offset = lane->next_offset > 0 ? lane->next_offset : group->beyond;
		hf_lane_dirty(lane);
		hf_lane_queue(lane, lane->list ? lane->list : &group->ready);
	}
	group->passed = hf_store_head(pump->hub->store);
	group->beyond = hf_session_head(session) + 1;
	hf_group_dirty(group);
	return GONE_ON;
}

/* ---- what retention has removed before the group had it, as for devices (gaps.c) */

/* The first offset of a session that the group should have had behind its position; 0: it has missed none. */
static uint64_t first_missed(const struct hf_group *group, struct hf_log *log)
{
	uint64_t first = group->place.floor > 0 ? group->place.floor : 1, behind;

	if (hf_log_gone_lsn(log, group->place.parsed.kinds) <= group->passed) {
		return 0;
	}
	if (group->place.last_n > 0 && hf_log_gone_lsn(log, HF_KINDS_LOGGED) > group->place.last_lsn) {
		first = 1; /* what would tell is gone, too */
	} else if (group->place.last_n > 0 && hf_log_offset_after(log, group->place.last_lsn, &behind) == HF_OK) {
		first = behind > group->place.last_n ? behind - group->place.last_n : 1;
	}
	return first < hf_log_tail(log) ? first : 0;
}

static bool look_at(void *context, uint64_t stamp, struct hf_slice id)
{
	struct pump *pump = context;
	struct hf_group *group = pump->group;
	struct hf_session *session = hf_group_remembers(group, id) ? hf_session_use(pump->hub, id) : NULL;
	uint64_t first = session && session->log ? first_missed(group, session->log) : 0;

	if (pump->refs-- == 0) {
		return false;
	}
	if (first > 0) {
		struct hf_lane *lane = hf_lane_make(group, id);
		if (!lane) {
			return false;
		}
		lane->next_offset = lane->next_offset > 0 ? lane->next_offset : first;
		hf_lane_dirty(lane);
		hf_lane_queue(lane, lane->list ? lane->list : &group->ready);
	}
	group->told = stamp;
	return true;
}

/* Before it goes on, a group that listens for marks takes up the sessions of which it has missed something. */
static enum gone look_for_truncated(struct pump *pump)
{
	struct hf_group *group = pump->group;
	uint64_t stamp = hf_store_stamp(pump->hub->store);

	if (group->at_head || !group->place.parsed.any_session || !hf_group_listens_for_marks(group)) {
		group->told = group->at_head ? stamp : group->told;
		return GONE_ON;
	}
	if (group->told < group->passed) {
		group->told = group->passed;
	}
	if (stamp > group->told && hf_truncated_each(pump->hub->store, group->told, look_at, pump) != HF_OK) {
		return unreadable(pump, "of those truncated");
	}
	return stamp > group->told ? GONE_PAUSED : GONE_ON;
}

static enum gone go_on_in_log(struct pump *pump)
{
	struct hf_group *group = pump->group;

	for (;;) {
		struct hf_entry entry;
		bool found = false;
		if (hf_records_after(pump->records, group->passed, &entry, &found) != HF_OK) {
			return unreadable(pump, "of the log");
		}
		if (!found) {
			return GONE_ON;
		}
		if (pump->refs-- == 0 || group->handed >= pump->handed_max) {
			return GONE_PAUSED;
		}
		if (!hf_group_pass(group, &entry)) {
			return GONE_STOPPED;
		}
	}
}

static enum gone go_on_with_lanes(struct pump *pump)
{
	enum gone gone = GONE_ON;

	while (pump->group->ready && gone == GONE_ON) {
		gone = go_on_with_lane(pump, pump->group->ready);
	}
	return gone;
}

/* Its way along the log: all that is behind it, or in lanes. */
static enum gone go_on_to_the_head(struct pump *pump)
{
	struct hf_group *group = pump->group;
	bool named = !group->place.parsed.any_session;
	enum gone gone = look_for_truncated(pump);

	if (gone == GONE_ON && named && !group->at_head) {
		gone = go_on_in_session(pump); /* first, so that it is told once of all that it has missed */
		group->at_head = gone == GONE_ON;
	}
	if (gone == GONE_ON) {
		gone = go_on_with_lanes(pump);
	}
	if (gone == GONE_ON && !group->at_head) {
		gone = go_on_in_log(pump);
		group->at_head = gone == GONE_ON;
	}
	return gone;
}

static void go_on(struct hf_hub *hub, struct hf_group *group)
{
	struct pump pump = {
		.hub = hub, .group = group, .handed_max = group->handed + HF_SLICE_ENTRIES, .refs = HF_SLICE_REFS};
	enum gone gone = GONE_STOPPED;

	if (group->online == 0) {
		return;
	}
	if (hf_erasure_runs(hub, group->session)) {
		group->stopped = true;
		hf_hub_due(hub, HF_TIMER_GROUPS, HF_GROUP_RETRY_MS);
		return;
	}
	if (hf_records_open(hub->store, &pump.records) == HF_OK) {
		gone = go_on_to_the_head(&pump);
		hf_records_close(pump.records);
	} else {
		hf_hub_due(hub, HF_TIMER_GROUPS, HF_GROUP_RETRY_MS);
	}
	group->stopped = gone == GONE_STOPPED;
	if (gone == GONE_PAUSED) {
		hf_group_pend(group);
	}
}

void hf_groups_go_on(struct hf_hub *hub)
{
	struct hf_group *waiting = hub->pending_groups, *group, *next;

	hub->pending_groups = NULL; /* as with devices: who pends again has its turn at the next tick */
	LL_FOREACH2(waiting, group, pending_next)
	{
		group->pending = false;
	}
	LL_FOREACH_SAFE2(waiting, group, next, pending_next)
	{
		go_on(hub, group);
	}
}

/* ---- what makes them go on */

void hf_group_pend(struct hf_group *group)
{
	struct hf_hub *hub = group->hub;

	if (group->pending || group->online == 0) {
		return;
	}
	group->pending = true;
	LL_PREPEND2(hub->pending_groups, group, pending_next);
	hub->broker.wake(hub->broker.context, HF_RETRY_MS);
}

void hf_group_room(struct hf_hub *hub, struct hf_device *device)
{
	(void)hub;
	device->full = false;
	for (size_t i = 0; i < device->subscription_count; i++) {
		struct hf_worker *worker = device->subscriptions[i].worker;
		if (!worker || !worker->online) {
			continue;
		}
		struct hf_group *group = worker->group;
		hf_lanes_queue(&worker->waiting, &group->ready);
		hf_lanes_queue(&group->waiting, &group->ready);
		group->stopped = false;
		if (group->ready || !group->at_head) {
			hf_group_pend(group);
		}
	}
}

/* Nothing else tells when the socket of a worker, or its Receive Maximum that other messages fill, has room again; or
 * when the store can be read. */
void hf_groups_retry(struct hf_hub *hub)
{
	struct hf_worker *worker;

	for (struct hf_group *group = hub->groups; group; group = group->hh.next) {
		DL_FOREACH(group->workers, worker)
		{
			if (worker->online && worker->device->full) {
				hf_group_room(hub, worker->device);
			}
		}
		if (group->stopped) {
			group->stopped = false;
			hf_group_pend(group);
		}
	}
}

void hf_groups_rewind(struct hf_hub *hub)
{
	for (struct hf_group *group = hub->groups; group; group = group->hh.next) {
		if (group->online > 0) {
			group->at_head = false;
			hf_group_pend(group);
		}
	}
}
