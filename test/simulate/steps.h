/* SPDX-License-Identifier: BSD-3-Clause */
/* A schedule: one random thing after another. */
#ifndef HF_TEST_SIMULATE_STEPS_H
#define HF_TEST_SIMULATE_STEPS_H

#include <stdbool.h>

/* The roles file; `revoked`: without some of the rules. */
void roles_make(const char *directory);
void roles_write(bool revoked);
const char *roles_path(void);

/* One step. False: the life ends here (world->ending says how). */
bool step(void);

/* Let everybody read, answer all but `keep` messages, and be woken, until nothing happens any more; then everybody whom
 * those do not hold up must be at the head. */
void settle(unsigned keep);

/* The end of a schedule: all come back, and a new one reads the whole log. */
void finale(void);

#endif
