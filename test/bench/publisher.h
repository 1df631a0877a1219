/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A QoS 1 publisher: closed loop (as fast as its window of unacknowledged messages allows) or at a fixed rate.
 *
 * At a fixed rate a message counts from the time when it was due, also when the window or the broker held it
 * back: otherwise a stall would be measured once and not by each message that it delayed.
 */
#ifndef HF_BENCH_PUBLISHER_H
#define HF_BENCH_PUBLISHER_H

#include "client.h"
#include "corpus.h"
#include "tally.h"

struct hf_publisher;

struct hf_publisher_setup {
	const char *client_id;
	uint32_t index; /* below HF_PUBLISHERS_MAX; goes into the stamps */
	unsigned window;
	unsigned payload_size;          /* at least a stamp */
	bool stamped;                   /* with the User Properties that Holdfast would give it */
	const struct hf_corpus *corpus; /* publishes that, from its beginning, instead of stamped payloads; or NULL */
};

/* When messages are due: `burst` together (at least 1), in the mean one every `interval_ns`; an interval of 0:
 * as fast as the window allows. */
struct hf_pace {
	int64_t interval_ns;
	unsigned burst;
};

/* Begins to connect. The loop and the tally must outlive it. NULL after hf_loop_fail. */
struct hf_publisher *hf_publisher_open(
	struct hf_loop *loop, uint16_t port, const struct hf_publisher_setup *setup, struct hf_tally *tally);
void hf_publisher_close(struct hf_publisher *publisher); /* NULL allowed */

bool hf_publisher_is_ready(const struct hf_publisher *publisher);

/* Publish from now on to `topic` (the pointer is kept), `limit` messages in all. May be called again, also to
 * change the topic. */
void hf_publisher_run(struct hf_publisher *publisher, const char *topic, uint64_t limit, struct hf_pace pace);
void hf_publisher_stop(struct hf_publisher *publisher);

/* Send what is due. */
void hf_publisher_poll(struct hf_publisher *publisher);

/* When hf_publisher_poll is to be called next; INT64_MAX when only an acknowledgement can bring more. */
int64_t hf_publisher_due_ns(const struct hf_publisher *publisher);

bool hf_publisher_has_room(const struct hf_publisher *publisher); /* its window is not full */
bool hf_publisher_is_idle(const struct hf_publisher *publisher);  /* it sends no more, and all is acknowledged */
uint64_t hf_publisher_sent(const struct hf_publisher *publisher);

#endif
