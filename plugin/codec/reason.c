/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec/reason.h"

struct words {
	bool limit;
	const char *name;
	const char *sentence;
};

static const struct words table[HF_REASON_COUNT] = {
#define HF_REASON_WORDS(number, limit, name, sentence) [HF_##number] = {limit, name, sentence},
	HF_REASON_TABLE(HF_REASON_WORDS)
#undef HF_REASON_WORDS
};

const char *hf_reason_name(enum hf_reason reason)
{
	return (unsigned int)reason < HF_REASON_COUNT ? table[reason].name : "unknown";
}

const char *hf_reason_sentence(enum hf_reason reason)
{
	return (unsigned int)reason < HF_REASON_COUNT ? table[reason].sentence : "a reason without a name";
}

bool hf_reason_is_limit(enum hf_reason reason)
{
	return (unsigned int)reason < HF_REASON_COUNT && table[reason].limit;
}
