/* SPDX-License-Identifier: BSD-3-Clause */
/* What a command does to the floor, by whoever gives it: the table in plugin/FLOOR.md. */
#include "session/people/floor.h"

/* The floor changes hands. Then an offer has been taken, or is of no use any more. */
static void take(struct hf_floor *floor, struct hf_person *who)
{
	floor->previous = floor->holder == who ? floor->previous : floor->holder;
	floor->holder = who;
	floor->to = NULL;
	floor->epoch++;
}

/* An offer stays: who it is made to may still take it. */
void hf_floor_open_up(struct hf_floor *floor)
{
	floor->holder = floor->previous = NULL;
	floor->epoch++;
}

static enum hf_reason claim(struct hf_floor *floor, const struct hf_asking *asking)
{
	if (floor->holder && floor->holder != asking->who) {
		return HF_FLOOR_HELD;
	}
	take(floor, asking->who);
	return HF_OK;
}

static bool may_give(const struct hf_floor *floor, const struct hf_asking *asking)
{
	return !floor->holder || floor->holder == asking->who || asking->role == HF_ROLE_OPERATOR;
}

static enum hf_reason transfer(struct hf_floor *floor, const struct hf_asking *asking)
{
	if (!may_give(floor, asking)) {
		return HF_FLOOR_HELD;
	}
	if (asking->to == floor->holder) {
		return HF_FLOOR_RECIPIENT;
	}
	if (asking->cold) {
		take(floor, asking->to);
	} else {
		floor->to = asking->to;
	}
	return HF_OK;
}

static enum hf_reason accept(struct hf_floor *floor, const struct hf_asking *asking)
{
	if (floor->to != asking->who) {
		return HF_FLOOR_NOT_OFFERED;
	}
	take(floor, asking->who);
	return HF_OK;
}

/* Also by whoever could have made the offer: it is withdrawn. */
static enum hf_reason decline(struct hf_floor *floor, const struct hf_asking *asking)
{
	if (!floor->to || (floor->to != asking->who && !may_give(floor, asking))) {
		return HF_FLOOR_NOT_OFFERED;
	}
	floor->to = NULL;
	return HF_OK;
}

static enum hf_reason own(const struct hf_floor *floor, const struct hf_asking *asking)
{
	if (!floor->holder) {
		return HF_FLOOR_OPEN;
	}
	return floor->holder == asking->who ? HF_OK : HF_FLOOR_HELD;
}

static enum hf_reason handback(struct hf_floor *floor, const struct hf_asking *asking)
{
	enum hf_reason reason = own(floor, asking);

	if (reason == HF_OK && floor->previous) {
		take(floor, floor->previous);
		floor->previous = NULL;
	} else if (reason == HF_OK) {
		hf_floor_open_up(floor);
	}
	return reason;
}

static enum hf_reason release(struct hf_floor *floor, const struct hf_asking *asking)
{
	enum hf_reason reason = own(floor, asking);

	if (reason == HF_OK) {
		hf_floor_open_up(floor);
	}
	return reason;
}

static enum hf_reason (*const rules[HF_COMMAND_COUNT])(struct hf_floor *floor, const struct hf_asking *asking) = {
	[HF_COMMAND_CLAIM] = claim,
	[HF_COMMAND_TRANSFER] = transfer,
	[HF_COMMAND_ACCEPT] = accept,
	[HF_COMMAND_DECLINE] = decline,
	[HF_COMMAND_HANDBACK] = handback,
	[HF_COMMAND_RELEASE] = release,
};

enum hf_reason hf_floor_decide(struct hf_floor *floor, enum hf_command command, const struct hf_asking *asking)
{
	return rules[command](floor, asking);
}
