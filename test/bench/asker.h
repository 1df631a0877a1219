/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client that asks for pages of the log, one request at a time, and waits for the answer. One that is no page fails
 * the loop.
 */
#ifndef HF_BENCH_ASKER_H
#define HF_BENCH_ASKER_H

#include "client.h"

struct hf_asker;

/* Begins to connect. The loop must outlive it. NULL after hf_loop_fail. */
struct hf_asker *hf_asker_open(struct hf_loop *loop, uint16_t port);
void hf_asker_close(struct hf_asker *asker); /* NULL allowed */

bool hf_asker_is_ready(const struct hf_asker *asker);

/* Send a request, CBOR as schemas/history.cddl has it; the one before was answered. */
void hf_asker_ask(struct hf_asker *asker, const void *request, size_t size);
bool hf_asker_is_answered(const struct hf_asker *asker);

int64_t hf_asker_took_ns(const struct hf_asker *asker); /* the last answer, from the request on */

#endif
