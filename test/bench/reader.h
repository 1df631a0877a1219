/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A durable device: it subscribes, acknowledges what it gets, and checks that each publisher's messages come
 * complete and in order. A repeat that has DUP set is allowed (QoS 1) and counted; a gap or any other repeat
 * fails the loop.
 */
#ifndef HF_BENCH_READER_H
#define HF_BENCH_READER_H

#include "client.h"
#include "corpus.h"
#include "tally.h"

#define HF_SESSION_EXPIRY_S 3600

struct hf_reader;

struct hf_reader_setup {
	const char *client_id;
	const char *filter; /* NULL: resumes a session without subscribing again, and demands session-present */
	uint8_t qos;
	uint16_t receive_maximum;
	const char *topic;              /* of what publishers send; all else is the broker's own */
	const struct hf_corpus *corpus; /* that they send; NULL: stamped payloads */
};

/* Begins to connect, with a clean start where there is a filter. The loop and the tally must outlive it. NULL
 * after hf_loop_fail. */
struct hf_reader *hf_reader_open(
	struct hf_loop *loop, uint16_t port, const struct hf_reader_setup *setup, struct hf_tally *tally);

/* With a DISCONNECT packet, so that the session stays. NULL allowed. */
void hf_reader_close(struct hf_reader *reader);

bool hf_reader_is_ready(const struct hf_reader *reader);     /* connected and, where it has to, subscribed */
uint64_t hf_reader_received(const struct hf_reader *reader); /* distinct entries of publishers */

#endif
