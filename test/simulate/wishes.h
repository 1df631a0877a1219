/* SPDX-License-Identifier: BSD-3-Clause */
/* Random publishes and subscriptions. */
#ifndef HF_TEST_SIMULATE_WISHES_H
#define HF_TEST_SIMULATE_WISHES_H

#include "reader.h"
#include "world.h"

void entry_make(unsigned reader, struct entry *out);

/* The next batch of this response. */
void batch_make(unsigned reader, unsigned session, unsigned response, struct entry *out);

/* False: this client has as many filters as this program knows of. */
bool wish_make(unsigned reader, struct wish *out);

/* To join a group. */
void wish_to_join(unsigned group, struct wish *out);

/* One of its filters to unsubscribe from: its plain form is returned, what the client sends is in `filter`. */
const char *wish_to_end(unsigned reader, char *filter, size_t size);

#endif
