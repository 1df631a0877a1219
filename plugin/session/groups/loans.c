/* SPDX-License-Identifier: BSD-3-Clause */
/* What workers have and have not acknowledged: what the broker tells of it, and what becomes of it without them. */
#include "session/groups/group.h"

#include <utlist.h>

bool hf_loan_delivered(struct hf_hub *hub, uint64_t handle, enum hf_outcome outcome)
{
	struct hf_loan *loan = hf_loan_find(hub, handle);

	if (!loan) {
		return false;
	}
	struct hf_device *device = loan->device;
	if (loan->packet > device->packets_read) {
		device->packets_read = loan->packet;
	}
	if (outcome == HF_OUTCOME_UNSENT) {
		hf_loan_return(loan); /* it may fit another */
	} else {
		hf_loan_done(loan);
	}
	hf_group_room(hub, device);
	if (device->online && !device->at_head) { /* its own filters share the room */
		device->tries = 0;
		device->not_before_ms = 0;
		hf_device_pend(hub, device, HF_RETRY_MS);
	}
	return true;
}

/* ---- connections that ended */

/* The broker still has the messages of a durable device, and would send them when it is back, although others have the
 * entries by then. They are taken back in the tick: nothing of the broker is in the middle of anything, and whoever
 * came back to its session at once, or took it over, keeps what it has. */
void hf_loans_lost(struct hf_hub *hub, struct hf_device *device)
{
	if (device->loans && !device->recall_due) {
		device->recall_due = true;
		LL_PREPEND2(hub->recalls, device, recall_next);
	}
}

void hf_loans_recall(struct hf_hub *hub)
{
	struct hf_device *device, *next;
	const struct hf_loan *loan;

	LL_FOREACH_SAFE2(hub->recalls, device, next, recall_next)
	{
		device->recall_due = false;
		if (device->online) {
			continue;
		}
		DL_FOREACH2(device->loans, loan, device_next)
		{
			hub->broker.recall(hub->broker.context, device->id, loan->packet_id);
		}
		hf_loans_return(device);
	}
	hub->recalls = NULL;
}

/* A client that holds an entry for long must not be given its Packet Identifier for another message meanwhile. A
 * handover takes up to four: one to look for room in the socket, one for the message, and leaves out two. */
void hf_loans_spare_packet_ids(struct hf_device *device)
{
	const struct hf_loan *loan = device->loans;

	while (loan) {
		uint16_t ahead = (uint16_t)(loan->packet_id - device->packet_id);
		if (ahead > 0 && ahead <= 4) {
			device->packet_id = loan->packet_id;
			loan = device->loans; /* once more, from there */
		} else {
			loan = loan->device_next;
		}
	}
}
