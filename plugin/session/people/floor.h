/* SPDX-License-Identifier: BSD-3-Clause */
/* What floor.c and floor_rules.c share. */
#ifndef HF_SESSION_FLOOR_H
#define HF_SESSION_FLOOR_H

#include "session/internal.h"

/* Who gives a command: somebody who may hold the floor. */
struct hf_asking {
	struct hf_person *who;
	enum hf_role role;
	struct hf_person *to; /* of a transfer: somebody who may hold the floor */
	bool cold;
};

/* Change the floor as the command says; references are not counted. HF_OK, or why not: then it is as it was.
 * HF_FLOOR_HELD, HF_FLOOR_OPEN, HF_FLOOR_NOT_OFFERED, HF_FLOOR_RECIPIENT. */
enum hf_reason hf_floor_decide(struct hf_floor *floor, enum hf_command command, const struct hf_asking *asking);

/* Nobody holds it any more. */
void hf_floor_open_up(struct hf_floor *floor);

#endif
