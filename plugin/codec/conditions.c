/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec/conditions.h"

#include "codec/number.h"

static bool take_id(struct hf_conditions *conditions, struct hf_slice value)
{
	if (conditions->id.len > 0 || value.len == 0 || value.len > HF_ID_MAX)
		return false;
	conditions->id = value;
	return true;
}

static bool take_number(struct hf_slice value, bool *has, uint64_t *number)
{
	if (*has)
		return false;
	*has = hf_number_parse(value, number);
	return *has;
}

bool hf_condition_take(
	struct hf_conditions *conditions, struct hf_slice name, struct hf_slice value, enum hf_reason *reason)
{
	bool taken;

	if (hf_slice_is(name, "id"))
		taken = take_id(conditions, value);
	else if (hf_slice_is(name, "expect-offset"))
		taken = take_number(value, &conditions->has_expect_offset, &conditions->expect_offset);
	else if (hf_slice_is(name, "epoch"))
		taken = take_number(value, &conditions->has_epoch, &conditions->epoch);
	else
		return false;
	if (!taken)
		*reason = HF_CONDITION_INVALID;
	return true;
}
