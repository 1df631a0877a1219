/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a publisher may ask of the log, by MQTT 5 User Properties of its publish:
 *
 *     id             idempotency key: the publish is stored once for each identity, session and id
 *     expect-offset  store it only if this is the newest offset
 *     epoch          store it only if this is the epoch of the floor
 */
#ifndef HF_CODEC_CONDITIONS_H
#define HF_CODEC_CONDITIONS_H

#include <stdint.h>

#include "codec/reason.h"
#include "codec/slice.h"

#define HF_ID_MAX 255 /* bytes; the record has one for the length */

struct hf_conditions {
	struct hf_slice id; /* empty: none */
	bool has_expect_offset;
	bool has_epoch;
	uint64_t expect_offset;
	uint64_t epoch;
};

#define HF_CONDITIONS_NONE ((struct hf_conditions){.id = HF_SLICE_NONE})

/* Is this one of the three? Then it is taken up into *conditions (the id as a slice of `value`), or *reason says why
 * not: HF_CONDITION_INVALID for one that is there twice, an id that is empty or too long, a number that is none
 * (number.h). Otherwise *reason is left as it is. */
bool hf_condition_take(
	struct hf_conditions *conditions, struct hf_slice name, struct hf_slice value, enum hf_reason *reason);

#endif
