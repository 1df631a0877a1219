/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client that asks by a publish with a Response Topic, one request at a time, and waits for the answer. One that is
 * not what it should be fails the loop.
 */
#ifndef HF_BENCH_ASKER_H
#define HF_BENCH_ASKER_H

#include "client.h"

struct hf_asker;

struct hf_asker_setup {
	const char *client_id;
	const char *user;    /* NULL: anonymous */
	const char *topic;   /* of requests */
	const char *answers; /* the Response Topic; nobody has to subscribe to it */
	bool (*take)(void *context, const struct hf_publish *answer); /* false: it is a refusal */
};

/* Begins to connect. The loop and the setup must outlive it. The context is handed to setup->take. NULL after
 * hf_loop_fail. */
struct hf_asker *hf_asker_open(struct hf_loop *loop, uint16_t port, const struct hf_asker_setup *setup, void *context);
void hf_asker_close(struct hf_asker *asker); /* NULL allowed */

bool hf_asker_is_ready(const struct hf_asker *asker);

/* Send a request; the one before was answered. */
void hf_asker_ask(struct hf_asker *asker, const void *request, size_t size);
bool hf_asker_is_answered(const struct hf_asker *asker);

int64_t hf_asker_took_ns(const struct hf_asker *asker); /* the last answer, from the request on */

#endif
