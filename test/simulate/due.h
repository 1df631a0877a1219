/* SPDX-License-Identifier: BSD-3-Clause */
/* Which entries are due to a reader: topic filters matched by MQTT's own rules, level by level. */
#ifndef HF_TEST_SIMULATE_DUE_H
#define HF_TEST_SIMULATE_DUE_H

#include "world.h"

bool filter_matches(const char *filter, const char *topic);

/* The filters (one bit each) under which this entry is due, where they begin put aside ... */
unsigned filters_matching(unsigned reader, uint64_t lsn);
/* ... or not. */
unsigned filters_due(unsigned reader, uint64_t lsn);

/* Those under which an entry is handed over, as far as that can be told after a kill. */
unsigned filters_owing(unsigned reader, uint64_t lsn);

/* Is it too large for this client, which the hub can only find out by trying? */
bool entry_unfit(unsigned reader, uint64_t lsn);

/* Must it still be handed to the reader, now or later? And may it? */
bool entry_must(unsigned reader, uint64_t lsn);
bool entry_may(unsigned reader, uint64_t lsn);

#endif
