/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long the audit is kept (option audit_keep). What is too old goes by blocks (store/expiry.c), a few records at a
 * time, when this timer comes by: within an eighth of the age, and within an hour.
 */
#include "session/audit/holds.h"
#include "session/audit/notes.h"
#include "session/internal.h"

#define STEP_RECORDS 2048 /* looked at in one go */
#define STEP_MS 10
#define LOOK_MIN_MS 1000
#define LOOK_MAX_MS (60u * 60 * 1000)

static unsigned int until_next_look(const struct hf_hub *hub)
{
	uint64_t in_ms = hub->options.audit_keep_ms / 8;

	return in_ms < LOOK_MIN_MS ? LOOK_MIN_MS : in_ms > LOOK_MAX_MS ? LOOK_MAX_MS : (unsigned int)in_ms;
}

static enum hf_reason find_old(struct hf_hub *hub, bool *unfinished)
{
	struct hf_hold *holds;
	/* By the clock that does not step: one that was set wrong for a minute must not cost years. */
	struct hf_expire expire = {
		.before_ms = hf_hub_clock_ms(hub) - (int64_t)hub->options.audit_keep_ms,
		.why = hf_slice_of("older than audit_keep"),
		.now_ms = hub->broker.now_ms(hub->broker.context),
	};

	*unfinished = false;
	if (hub->options.audit_keep_ms == 0) {
		return HF_OK;
	}
	if (!hf_holds_list(hub, &holds, &expire.hold_count)) {
		return HF_NO_MEMORY;
	}
	expire.holds = holds;
	enum hf_reason reason = hf_audit_expire(hub->store, &expire, unfinished);
	free(holds);
	return reason;
}

void hf_audit_keep_look(struct hf_hub *hub)
{
	bool unfinished;
	enum hf_reason reason = hf_audit_remove(hub->store, STEP_RECORDS, &unfinished);

	if (reason == HF_OK && !unfinished) {
		reason = find_old(hub, &unfinished);
	}
	if (reason == HF_OK && unfinished) {
		hf_hub_due(hub, HF_TIMER_AUDIT_KEEP, STEP_MS);
		return;
	}
	if (reason == HF_STORE_FAILED) {
		hf_hub_due(hub, HF_TIMER_RECOVER, HF_RECOVER_MS);
	} else if (reason != HF_OK) {
		hf_say(hub, HF_LOG_ERROR, "nothing is removed from the audit: %s",
			reason == HF_RECORD_CORRUPT ? hf_store_error(hub->store) : hf_reason_sentence(reason));
	}
	if (hub->options.audit_keep_ms > 0 || unfinished) {
		hf_hub_due(hub, HF_TIMER_AUDIT_KEEP, until_next_look(hub));
	}
}

void hf_audit_keep_soon(struct hf_hub *hub)
{
	hf_hub_due_by(hub, HF_TIMER_AUDIT_KEEP, LOOK_MIN_MS);
}
