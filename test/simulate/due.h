/* SPDX-License-Identifier: BSD-3-Clause */
/* Which entries are due to a reader: topic filters matched by MQTT's own rules, level by level. */
#ifndef HF_TEST_SIMULATE_DUE_H
#define HF_TEST_SIMULATE_DUE_H

#include "world.h"

bool filter_matches(const char *filter, const char *topic);

/* The filters (one bit each) that match this entry and may, wherever they begin. */
unsigned filters_matching(unsigned reader, uint64_t lsn);

/* Does the filter begin before it? */
bool filter_begins_before(const struct filter *filter, uint64_t lsn);

/* Is it too large for this client? And: may the hub think so? */
bool entry_too_large(unsigned reader, uint64_t lsn);
bool entry_unfit(unsigned reader, uint64_t lsn);

/* The filters under which it must still be handed to the reader, now or later; and under which it may. */
unsigned entry_must(unsigned reader, uint64_t lsn);
unsigned entry_may(unsigned reader, uint64_t lsn);

#endif
