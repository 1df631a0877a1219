/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client that stays connected: libmosquitto with reconnection, for one thread and one poll loop.
 *
 * Each connection gets a libmosquitto instance of its own, with a clean message store. So the library never
 * repeats anything by itself after a reconnect: what has to go out again is for the user of this module to say,
 * in `up`. And nothing is written from within a callback, acknowledgements included: whatever is to leave leaves
 * after `flush` has agreed. So what was received is acknowledged only when it is safe.
 */
#ifndef HF_CLI_CONNECTION_H
#define HF_CLI_CONNECTION_H

#include <mosquitto.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "options.h"

struct hf_client;

/* Called from within hf_client_turn. Those may be NULL that are of no interest. */
struct hf_client_handlers {
	/* Connected, for the first time or again: subscribe here. */
	void (*up)(void *context);
	/* The connection is gone: what was not acknowledged may or may not have arrived. */
	void (*down)(void *context);
	/* PUBACK for the publish with this packet id; a reason of 0x80 or more is a refusal. */
	void (*acknowledged)(void *context, int mid, int reason);
	/* SUBACK: the reason code of each filter, 0x80 or more for a refusal. */
	void (*subscribed)(void *context, const int *reasons, size_t count);
	void (*message)(void *context, const struct mosquitto_message *message, const mosquitto_property *properties);
	/* Something is about to be written, perhaps acknowledgements. False: then nothing is. */
	bool (*flush)(void *context);
};

struct hf_client_setup {
	const struct hf_client_options *options;
	const struct hf_client_handlers *handlers;
	void *context;
	const char *purpose;       /* part of a made-up client id */
	bool new_id;               /* a new made-up client id for each connection, not one for all */
	uint32_t session_expiry_s; /* above 0: durable, without clean start */
	const char *will_topic;    /* see hf_connect; NULL: no will */
};

/* Make a client; the first hf_client_turn connects. `setup` is copied, what it points to must outlive the
 * client. NULL, with a message to the user, when out of memory or on a bad option. */
struct hf_client *hf_client_new(const struct hf_client_setup *setup);

/*
 * Do what there is to do, else wait up to timeout_ms (-1: as long as nothing happens, at most a second) for the
 * connection, for the `count` (at most 2) descriptors of `extra`, or for a stop request.
 * False when there is no point in going on (cannot connect at first, refused, taken over); the user was told.
 */
bool hf_client_turn(struct hf_client *client, struct pollfd *extra, nfds_t count, int timeout_ms);

/* Connected, and the broker has accepted it? */
bool hf_client_is_up(const struct hf_client *client);

/* How many QoS 1 publishes the broker wants unacknowledged at most; valid while up. */
unsigned int hf_client_receive_max(const struct hf_client *client);

enum hf_sent {
	HF_SENT,
	HF_SENT_NOT,   /* no connection now; try again when up */
	HF_SENT_NEVER, /* the broker would not take it; the user was told */
};

/* Publish at QoS 1, with these properties (NULL: none). *mid is what `acknowledged` will be called with. */
enum hf_sent hf_client_publish(struct hf_client *client, const char *topic, const void *payload, size_t len,
	const mosquitto_property *properties, int *mid);

/* Subscribe to filters at QoS 1, in one packet. False when the connection is gone. */
bool hf_client_subscribe(struct hf_client *client, char *const *filters, int count);

/* Something got through: the next reconnect begins with a short wait again. */
void hf_client_progress(struct hf_client *client);

/* Write out what is due, take leave of the broker, free. NULL allowed. */
void hf_client_free(struct hf_client *client);

/* Make up a name that nobody else has, for a Response Topic or an idempotency id. False: the system gives no random
 * numbers; that was said. */
#define HF_UNIQUE_NAME_SIZE 40
bool hf_unique_name(char name[HF_UNIQUE_NAME_SIZE]);

#endif
