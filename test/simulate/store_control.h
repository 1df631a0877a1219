/* SPDX-License-Identifier: BSD-3-Clause */
/* What a schedule may ask of the store besides store.h. The real store (disk_store.c) has no faults to offer. */
#ifndef HF_TEST_SIMULATE_STORE_CONTROL_H
#define HF_TEST_SIMULATE_STORE_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

/* Make the place where stores are, once for the process, and an empty one in it. */
void store_control_make(void);
void store_control_begin(void);
void store_control_end(void);
const char *store_control_path(void);

bool store_control_can_fail(void);
bool store_control_can_truncate(void); /* ... and say so: see log_noticed, log_removed */
void store_control_fail(bool fails);
bool store_control_failed(void); /* does it refuse appends since one failed? */
/* The LSN of the newest record, also of one whose append failed; 0 where the store cannot tell. */
uint64_t store_control_head(void);
/* Is a scan or reader open that should not be? */
bool store_control_idle(void);

#endif
