/* SPDX-License-Identifier: BSD-3-Clause */
/* The books of groups: what is unfinished in a session, and who has it. */
#include "session/groups/group.h"

#include <utlist.h>

struct hf_lane *hf_lane_find(const struct hf_group *group, struct hf_slice session)
{
	struct hf_lane *lane;

	HASH_FIND(hh, group->lanes, session.data, session.len, lane);
	return lane;
}

struct hf_lane *hf_lane_make(struct hf_group *group, struct hf_slice session)
{
	struct hf_lane *lane = hf_lane_find(group, session);

	if (!lane && (lane = calloc(1, sizeof(*lane)))) {
		lane->group = group;
		memcpy(lane->session, session.data, session.len);
		HASH_ADD_KEYPTR(hh, group->lanes, lane->session, session.len, lane);
	}
	return lane;
}

void hf_lane_dirty(struct hf_lane *lane)
{
	lane->dirty = true;
	hf_group_dirty(lane->group);
}

bool hf_lane_works(const struct hf_lane *lane)
{
	return lane->idle > 0 || lane->next_offset > 0;
}

void hf_lane_queue(struct hf_lane *lane, struct hf_lane **list)
{
	if (lane->list == list) {
		return;
	}
	if (lane->list) {
		DL_DELETE(*lane->list, lane);
	}
	lane->list = list;
	if (list) {
		DL_APPEND(*list, lane);
	}
}

void hf_lanes_queue(struct hf_lane **from, struct hf_lane **to)
{
	struct hf_lane *lane;

	DL_FOREACH(*from, lane)
	{
		lane->list = to;
	}
	if (*from) {
		DL_CONCAT(*to, *from);
		*from = NULL;
	}
}

static void lane_free(struct hf_lane *lane)
{
	struct hf_group *group = lane->group;

	hf_lane_queue(lane, NULL);
	if (lane->stored) {
		/* Should there be no memory for it, what was finished is handed over once more after the next start. */
		hf_share_put(group->hub->store, hf_slice_of(group->key), hf_slice_of(lane->session), NULL);
		hf_hub_due(group->hub, HF_TIMER_CURSORS, group->hub->options.ack_flush_ms);
	}
	HASH_DEL(group->lanes, lane);
	free(lane);
}

void hf_lane_settle(struct hf_lane *lane)
{
	if (!lane->loans && lane->next_offset == 0) {
		lane_free(lane);
	} else if (!hf_lane_works(lane)) {
		hf_lane_queue(lane, NULL);
	}
}

struct hf_device *hf_lane_holder(const struct hf_lane *lane)
{
	struct hf_device *holder = NULL;
	const struct hf_loan *loan;

	DL_FOREACH(lane->loans, loan)
	{
		holder = loan->device ? loan->device : holder;
	}
	return holder;
}

/* ---- loans */

struct hf_loan *hf_loan_find(const struct hf_hub *hub, uint64_t handle)
{
	struct hf_loan *loan;

	HASH_FIND(hh, hub->loans, &handle, sizeof(handle), loan);
	return loan;
}

struct hf_loan *hf_loan_make(struct hf_lane *lane, uint64_t lsn, uint64_t offset)
{
	struct hf_loan *loan = calloc(1, sizeof(*loan));

	if (loan) {
		loan->lane = lane;
		loan->lsn = lsn;
		loan->offset = offset;
		lane->idle++;
		DL_APPEND(lane->loans, loan);
	}
	return loan;
}

void hf_loan_lend(struct hf_loan *loan, struct hf_device *device)
{
	loan->device = device;
	loan->lane->idle--;
	HASH_ADD(hh, loan->lane->group->hub->loans, handle, sizeof(loan->handle), loan);
	DL_APPEND2(device->loans, loan, device_prev, device_next);
	device->loan_count++;
	device->loan_bytes += loan->bytes;
}

static void take_back(struct hf_loan *loan)
{
	struct hf_device *device = loan->device;

	HASH_DEL(loan->lane->group->hub->loans, loan);
	DL_DELETE2(device->loans, loan, device_prev, device_next);
	device->loan_count--;
	device->loan_bytes -= loan->bytes;
	loan->device = NULL;
	loan->lane->idle++;
}

void hf_loan_return(struct hf_loan *loan)
{
	struct hf_lane *lane = loan->lane;

	take_back(loan);
	hf_lane_queue(lane, &lane->group->ready);
	hf_group_pend(lane->group);
}

void hf_loan_free(struct hf_loan *loan)
{
	if (loan->device) {
		take_back(loan);
	}
	loan->lane->idle--;
	DL_DELETE(loan->lane->loans, loan);
	free(loan);
}

void hf_loan_done(struct hf_loan *loan)
{
	struct hf_lane *lane = loan->lane;

	hf_loan_free(loan);
	hf_lane_dirty(lane);
	if (hf_lane_works(lane) && !hf_lane_holder(lane)) {
		hf_lane_queue(lane, &lane->group->ready); /* it may have waited for somebody who is no worker any more */
		hf_group_pend(lane->group);
	}
	hf_lane_settle(lane);
}

void hf_loans_return(struct hf_device *device)
{
	while (device->loans) {
		hf_loan_return(device->loans);
	}
}

/* Whoever had something of it has room for what other groups have for it. */
void hf_lane_drop(struct hf_lane *lane)
{
	while (lane->loans) {
		struct hf_device *device = lane->loans->device;
		hf_loan_free(lane->loans);
		if (device) {
			hf_group_room(lane->group->hub, device);
		}
	}
	lane_free(lane);
}
