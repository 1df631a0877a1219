/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MQTT connections on non-blocking loopback sockets, and the epoll loop that serves all of them from one thread.
 *
 * Failures (the broker closed a connection, sent what is not MQTT, refused something) belong to the loop: the
 * first one is kept in words, and from then on hf_loop_turn returns false. So a measurement has one place to
 * look at. Stopping by signal is a failure too.
 */
#ifndef HF_BENCH_CLIENT_H
#define HF_BENCH_CLIENT_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "packet.h"

struct hf_loop;
struct hf_client;

struct hf_client_events {
	void (*packet)(void *context, const struct hf_packet *packet);
	/* After the packets that one read brought: the place to answer them all with one write. May be NULL. */
	void (*settled)(void *context);
};

/* `stop` ends the loop when it is not 0. NULL when out of memory or descriptors. */
struct hf_loop *hf_loop_new(const volatile sig_atomic_t *stop);
void hf_loop_free(struct hf_loop *loop); /* its clients must be closed; NULL allowed */

/* Serve what is ready, waiting for it until `wake_ns` of the monotonic clock. It is exact to microseconds: the
 * end of the wait is spun, since a sleeping timer comes late by more than what is measured. False on failure. */
bool hf_loop_turn(struct hf_loop *loop, int64_t wake_ns);

void hf_loop_fail(struct hf_loop *loop, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *hf_loop_failure(const struct hf_loop *loop); /* NULL while there is none */

/* Connect to 127.0.0.1. The context is handed to the events. NULL after hf_loop_fail. */
struct hf_client *hf_client_open(
	struct hf_loop *loop, uint16_t port, const struct hf_client_events *events, void *context);
void hf_client_close(struct hf_client *client); /* not from inside an event; NULL allowed */

/* Room for one packet of at most `size` bytes; NULL when out of memory, after hf_loop_fail. */
uint8_t *hf_client_room(struct hf_client *client, size_t size);
void hf_client_wrote(struct hf_client *client, size_t size); /* so many bytes of the room are a packet */
void hf_client_flush(struct hf_client *client);              /* send what the socket takes now, the rest later */

#endif
