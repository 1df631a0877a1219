/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec/presence.h"

static const char *const states[HF_PRESENCE_COUNT] = {
#define HF_PRESENCE_NAME(number, name) [HF_PRESENCE_##number] = name,
	HF_PRESENCE_TABLE(HF_PRESENCE_NAME)
#undef HF_PRESENCE_NAME
};

static const char *const whys[HF_WHY_COUNT] = {
#define HF_WHY_NAME(number, name) [HF_WHY_##number] = name,
	HF_WHY_TABLE(HF_WHY_NAME)
#undef HF_WHY_NAME
};

const char *hf_presence_name(enum hf_presence presence)
{
	return (unsigned int)presence < HF_PRESENCE_COUNT ? states[presence] : "";
}

const char *hf_why_name(enum hf_why why)
{
	return (unsigned int)why < HF_WHY_COUNT ? whys[why] : "";
}

enum hf_presence hf_presence_parse(struct hf_slice name)
{
	unsigned int presence = 0;

	while (presence < HF_PRESENCE_COUNT && !hf_slice_is(name, states[presence]))
		presence++;
	return (enum hf_presence)presence;
}

enum hf_why hf_why_parse(struct hf_slice name)
{
	unsigned int why = 0;

	while (why < HF_WHY_COUNT && !hf_slice_is(name, whys[why]))
		why++;
	return (enum hf_why)why;
}
