/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Handing the entries of a group to its workers, each to one.
 *
 * An entry goes to the worker that has earlier entries of its session unacknowledged; if there is none, to the one with
 * the fewest of all who are connected, have room and may read the session. A message for a worker is never queued
 * behind its Receive Maximum: there it would wait while others have nothing to do.
 *
 * Where those who might take an entry have no room, or are away, its session stays behind (a lane) and the group goes
 * on with others. Only what nobody may read, of all who are or were workers, is passed over.
 */
#include "session/delivery/delivery.h"
#include "session/groups/group.h"

#include <utlist.h>

/* ---- to whom */

static bool has_room(const struct hf_hub *hub, const struct hf_device *device)
{
	return !device->full && device->loan_count < hub->options.window && device->loan_bytes < HF_HANDED_BYTES_MAX;
}

static bool may_read(struct hf_hub *hub, const struct hf_worker *worker, struct hf_slice session)
{
	return hf_role_may_read(hf_device_role(hub, worker->device, session));
}

enum pick {
	PICKED,
	PICK_BUSY,     /* those who might take it have no room ... */
	PICK_ALL_BUSY, /* ... and nobody else has */
	PICK_NOBODY,   /* nobody who is here might take it */
};

/* *out: PICKED: this worker; PICK_BUSY: the one that has to take it, NULL where there is none. */
static enum pick pick(
	struct hf_group *group, struct hf_slice session, const struct hf_device *holder, struct hf_worker **out)
{
	struct hf_worker *worker = holder ? hf_group_worker(group, holder) : NULL;
	bool able = false, room = false;

	*out = NULL;
	if (worker && worker->online && worker->ruled_out != group->errands && may_read(group->hub, worker, session)) {
		*out = worker;
		return has_room(group->hub, worker->device) ? PICKED : PICK_BUSY;
	}
	if (holder && !(worker && worker->ruled_out == group->errands)) {
		return PICK_BUSY; /* it has left, or lost its role, or is just gone: what it has comes first, done or given back
						   */
	}
	DL_FOREACH(group->workers, worker)
	{
		bool has = worker->online && has_room(group->hub, worker->device);
		room = room || has;
		bool better = *out ? has && worker->device->loan_count < (*out)->device->loan_count : has || !able;
		if (!worker->online || worker->ruled_out == group->errands || !better ||
			!may_read(group->hub, worker, session)) {
			continue;
		}
		if (has) {
			*out = worker;
		} else {
			able = true;
		}
	}
	if (*out) {
		return PICKED;
	}
	return !able ? PICK_NOBODY : room ? PICK_BUSY : PICK_ALL_BUSY;
}

/* ---- one entry, to one worker */

static enum hf_handover hand_to(struct hf_hub *hub, struct hf_worker *worker, struct hf_errand *errand)
{
	struct hf_loan *loan = errand->loan;
	struct hf_device *device = worker->device;
	struct hf_message message = {
		.entry = errand->entry,
		.session = hf_slice_of(errand->lane->session),
		.topic = hf_slice_of(hf_kind_name(HF_KIND_MARK)),
		.payload = errand->mark,
		.qos = worker->qos > 0
				   ? 1
				   : 0, /* once more after a failure is all that can be promised: QoS 2 would promise more */
		.single = true,
		.subscription_ids = &worker->identifier,
		.subscription_id_count = worker->identifier ? 1 : 0,
	};
	enum hf_handover outcome = hf_hand_over(hub, device, &message, &loan->handle);

	errand->qos = message.qos; /* its listener may have lowered it */
	loan->packet = device->packets;
	loan->packet_id = device->packet_id;
	loan->bytes = (uint32_t)(errand->entry ? errand->entry->payload.len : errand->mark.len);
	return outcome;
}

bool hf_group_listens_for_marks(const struct hf_group *group)
{
	return group->place.parsed.kinds & HF_KIND_BIT(HF_KIND_MARK);
}

/* Too large for all who are here and might read it: those who listen for marks are told, in its place. */
static bool give_up(struct hf_group *group, struct hf_errand *errand, struct hf_buffer *document)
{
	uint64_t offset = errand->loan->offset;

	hf_say(group->hub, HF_LOG_WARNING,
		"entry %llu of session %s is too large for every worker of the group %s: it is passed over",
		(unsigned long long)offset, errand->lane->session, group->key);
	if (!errand->entry || !hf_group_listens_for_marks(group) ||
		!hf_document_gap(document, offset, offset, "too-large")) {
		return false;
	}
	errand->entry = NULL;
	errand->mark = hf_buffer_slice(document);
	group->errands++; /* for this one, nobody is ruled out */
	return true;
}

/* An entry whose payload was erased is nobody's work: those who listen for marks are told, in its place. */
static bool mark_erased(const struct hf_group *group, struct hf_errand *errand, struct hf_buffer *document)
{
	uint64_t offset = errand->loan->offset;

	if (!hf_group_listens_for_marks(group) || !hf_document_gap(document, offset, offset, "erased")) {
		return false;
	}
	errand->entry = NULL;
	errand->mark = hf_buffer_slice(document);
	return true;
}

/* A group whose filter names its session stands still where nobody may read that, as devices do. */
static enum hf_errand_end outcome_of_pick(
	const struct hf_group *group, struct hf_errand *errand, enum pick picked, struct hf_worker *wants)
{
	errand->wants = wants;
	switch (picked) {
	case PICK_BUSY:
		return HF_ERRAND_LATER;
	case PICK_ALL_BUSY:
		return HF_ERRAND_STOPPED;
	default:
		break;
	}
	bool waits = !group->place.parsed.any_session || hf_group_remembers(group, hf_slice_of(errand->lane->session));
	return waits ? HF_ERRAND_HELD : HF_ERRAND_NEVER;
}

static void no_room(struct hf_hub *hub, struct hf_device *device)
{
	device->full = true;
	hf_hub_due(hub, HF_TIMER_GROUPS, HF_GROUP_RETRY_MS);
}

/* Hand it to whoever is right for it. Every turn rules out one worker, by its room or its limit. */
static enum hf_errand_end try_workers(struct hf_hub *hub, struct hf_errand *errand, struct hf_buffer *document)
{
	struct hf_group *group = errand->lane->group;
	struct hf_worker *worker;
	bool too_large = false;

	group->errands++;
	for (;;) {
		enum pick picked = pick(group, hf_slice_of(errand->lane->session), hf_lane_holder(errand->lane), &worker);
		if (picked == PICK_NOBODY && too_large) {
			if (!give_up(group, errand, document)) {
				return HF_ERRAND_NEVER;
			}
			too_large = false;
			continue;
		}
		if (picked != PICKED) {
			return outcome_of_pick(group, errand, picked, worker);
		}
		switch (hand_to(hub, worker, errand)) {
		case HF_HANDED:
			DL_DELETE(group->workers, worker);
			DL_APPEND(group->workers, worker);
			if (errand->qos > 0) {
				hf_loan_lend(errand->loan, worker->device);
			}
			return HF_ERRAND_DONE;
		case HF_TOO_LARGE:
			too_large = true;
			worker->ruled_out = group->errands;
			break;
		case HF_DROPPED:
			no_room(hub, worker->device);
			break;
		}
	}
}

/* The loan is made before, so that nothing can fail when the entry is on its way. It ends at once where nobody took it,
 * or where nobody will say so (QoS 0). */
enum hf_errand_end hf_group_hand(struct hf_hub *hub, struct hf_errand *errand)
{
	struct hf_group *group = errand->lane->group;
	struct hf_buffer document = {.data = NULL};
	bool fresh = !errand->loan;

	if (fresh && !(errand->loan = hf_loan_make(errand->lane, errand->entry->lsn, errand->entry->offset))) {
		hf_hub_due(hub, HF_TIMER_GROUPS, HF_GROUP_RETRY_MS);
		return HF_ERRAND_STOPPED;
	}
	bool erased = errand->entry && errand->entry->erased;
	enum hf_errand_end end =
		erased && !mark_erased(group, errand, &document) ? HF_ERRAND_NEVER : try_workers(hub, errand, &document);
	bool done = end == HF_ERRAND_DONE || end == HF_ERRAND_NEVER;
	hf_buffer_free(&document);
	group->handed += end == HF_ERRAND_DONE;
	if (done) {
		hf_lane_dirty(errand->lane);
	}
	if (!errand->loan->device && (done || fresh)) {
		hf_loan_free(errand->loan);
	}
	return end;
}

/* ---- the group's way along the log */

bool hf_group_covers(struct hf_group *group, const struct hf_entry *entry)
{
	return hf_subscription_matches(&group->place, entry) && hf_subscription_begun(group->hub, &group->place, entry);
}

/* What nobody went on with is put where it will be found. */
void hf_errand_put_off(struct hf_errand *errand, enum hf_errand_end end)
{
	struct hf_lane *lane = errand->lane, **list = &lane->group->ready;

	if (end == HF_ERRAND_LATER) {
		list = errand->wants ? &errand->wants->waiting : &lane->group->waiting;
	} else if (end == HF_ERRAND_HELD) {
		list = NULL;
	}
	hf_lane_queue(lane, list);
}

/* The next entry of the log under the group's filter. False: it cannot pass now. */
bool hf_group_pass(struct hf_group *group, const struct hf_entry *entry)
{
	if (!hf_group_covers(group, entry)) {
		group->passed = entry->lsn;
		return true;
	}
	if (HASH_COUNT(group->lanes) >= HF_LANES_MAX && !hf_lane_find(group, entry->session)) {
		hf_say(group->hub, HF_LOG_WARNING,
			"the group %s has something unfinished in %d sessions: it waits for some of it to be acknowledged",
			group->key, HF_LANES_MAX);
		return false;
	}
	struct hf_errand errand = {.lane = hf_lane_make(group, entry->session), .entry = entry, .mark = HF_SLICE_NONE};
	if (!errand.lane) {
		hf_hub_due(group->hub, HF_TIMER_GROUPS, HF_GROUP_RETRY_MS);
		return false;
	}
	enum hf_errand_end end = HF_ERRAND_LATER;
	if (!hf_lane_works(errand.lane)) {
		end = hf_group_hand(group->hub, &errand);
		if (end == HF_ERRAND_LATER || end == HF_ERRAND_HELD) {
			errand.lane->next_offset = entry->offset;
			hf_lane_dirty(errand.lane);
			hf_errand_put_off(&errand, end);
		}
	} else if (errand.lane->next_offset == 0) {
		errand.lane->next_offset = entry->offset; /* behind those that are to be handed over again */
		hf_lane_dirty(errand.lane);
	}
	if (end != HF_ERRAND_STOPPED) {
		group->passed = entry->lsn;
		group->beyond = group->session ? entry->offset + 1 : 0;
		hf_group_dirty(group);
	}
	hf_lane_settle(errand.lane);
	return end != HF_ERRAND_STOPPED;
}

static void offer(struct hf_group *group, const struct hf_entry *entry)
{
	if (group->at_head) {
		group->at_head = hf_group_pass(group, entry);
		if (!group->at_head) {
			group->stopped = true;
			group->passed = entry->lsn - 1; /* before it there is nothing that has not passed */
		}
	} else if (!group->stopped) {
		hf_group_pend(group);
	}
}

void hf_groups_offer(struct hf_hub *hub, struct hf_session *session, const struct hf_entry *entry)
{
	struct hf_group *group, *next;

	DL_FOREACH_SAFE(session->groups, group, next)
	{
		offer(group, entry);
	}
	DL_FOREACH_SAFE(hub->any_groups, group, next)
	{
		offer(group, entry);
	}
}
