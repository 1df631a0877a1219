/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Open responses of which nothing comes. They stand in the order of their last batches, so the first one stalls first,
 * and a batch only moves its response to the end.
 */
#include "session/people/presence.h"

#include <utlist.h>

static void count(struct hf_hub *hub, const struct hf_response *response, int more)
{
	if (response->member && response->member->participant) {
		hf_participant_stalled(hub, response->member->participant, more);
	}
}

void hf_stall_end(struct hf_hub *hub, struct hf_response *response)
{
	if (response->streams) {
		DL_DELETE2(hub->streams, response, stream_prev, stream_next);
		response->streams = false;
	}
	if (response->stalled) {
		count(hub, response, -1);
		response->stalled = false;
	}
}

void hf_stall_begin(struct hf_hub *hub, struct hf_response *response, int64_t now)
{
	if (hub->options.stall_after_ms == 0) {
		return;
	}
	hf_stall_end(hub, response);
	response->batch_ms = now;
	response->streams = true;
	DL_APPEND2(hub->streams, response, stream_prev, stream_next);
	hf_hub_due(hub, HF_TIMER_STALL, hub->options.stall_after_ms);
}

void hf_stalls_due(struct hf_hub *hub)
{
	int64_t now = hub->broker.monotonic_ms(hub->broker.context), after = hub->options.stall_after_ms;

	while (hub->streams && hub->streams->batch_ms + after <= now) {
		struct hf_response *response = hub->streams;
		DL_DELETE2(hub->streams, response, stream_prev, stream_next);
		response->streams = false;
		response->stalled = true;
		count(hub, response, 1);
	}
	if (hub->streams) {
		hf_hub_due(hub, HF_TIMER_STALL, (unsigned int)(hub->streams->batch_ms + after - now));
	}
}
