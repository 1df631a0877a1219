/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * All that the session logic asks of a broker: a dozen calls. plugin/broker implements them on Mosquitto, the
 * tests on a fake. Every call comes from inside one of the functions of hub.h, on the same thread.
 */
#ifndef HF_SESSION_BROKER_H
#define HF_SESSION_BROKER_H

#include <stdint.h>

#include "codec/entry.h"

/* What became of a message handed to a connected client. */
enum hf_handover {
	HF_HANDED,    /* in flight: written at the next flush at the latest; QoS 0: written, or in the socket's queue */
	HF_DROPPED,   /* the client's Receive Maximum is used up, the broker has no room for it, or it is gone: nothing
					 happened */
	HF_TOO_LARGE, /* larger than max_packet: nothing happened */
};

/* One message for one client. Everything is borrowed for the time of the call. */
struct hf_message {
	const struct hf_entry *entry;   /* a stored entry: its topic, payload and properties, stamped; or NULL */
	uint64_t first_offset;          /* not 0: it stands for several, joined; the offset of the first of them */
	struct hf_slice session, topic; /* without an entry: root/{session}/{topic} ... */
	const char *full_topic;         /* ... or, when not NULL, this very topic (a Response Topic) */
	struct hf_slice payload;
	struct hf_slice correlation; /* Correlation Data of an answer; empty: none */
	uint8_t qos;
	uint16_t *packet_id; /* the last Packet Identifier this client was given; hand moves it on, to that of a message of
							QoS 1 or 2 */
	uint32_t max_packet; /* Maximum Packet Size of the client; 0: none, or not known */
	bool check_room;  /* nothing that comes later would tell: find out now if the socket's queue has room (HF_DROPPED)
						 ... */
	bool check_size;  /* ... and, max_packet being a guess, if the client may be sent it (HF_TOO_LARGE) ... */
	bool single;      /* a message of this client alone: what becomes of it is told (hf_released), of every client */
	bool *outgrown;   /* ... setting this where it is larger than max_packet and may be */
	uint8_t *max_qos; /* not NULL: find out at which QoS it is really sent, and set that if it is lower than `qos` */
	const uint32_t *subscription_ids; /* of the matching filters that have one */
	size_t subscription_id_count;
};

enum hf_log_level {
	HF_LOG_INFO,
	HF_LOG_WARNING,
	HF_LOG_ERROR,
};

struct hf_broker {
	void *context; /* first argument of every call */

	/* Put a message behind everything handed to this client before; `device` is its client id. The broker
	 * keeps the order of what it is handed. *handle names the message in later events (hf_delivered ...). */
	enum hf_handover (*hand)(void *context, const char *device, const struct hf_message *message, uint64_t *handle);

	/* Does the broker still have this message of QoS 1 or 2 for the client: is it not acknowledged yet? Not for
	 * entries. */
	bool (*holds)(void *context, const char *device, uint64_t handle);

	/* Take back a message of QoS 1 that was handed to a client that is not connected now. */
	void (*recall)(void *context, const char *device, uint16_t packet_id);

	/* End the connection of this client. Its end is told (hf_disconnected) before this returns. */
	void (*kick)(void *context, const char *device);

	/* Write what was handed to this client and may go now. */
	void (*flush)(void *context, const char *device);

	/* Set the retained message of root/{session}/{topic} without sending it to subscribers that are there. */
	void (*retain)(void *context, struct hf_slice session, struct hf_slice topic, struct hf_slice payload);
	/* The same for a stored entry: its topic, payload and properties, stamped. */
	void (*retain_entry)(void *context, const struct hf_entry *entry);
	/* Set it, and send it to them. */
	void (*announce)(void *context, struct hf_slice session, struct hf_slice topic, struct hf_slice payload);
	/* Send it to them, and do not retain it. QoS 1. */
	void (*send)(void *context, struct hf_slice session, struct hf_slice topic, struct hf_slice payload);
	/* Remove it, silently. */
	void (*unretain)(void *context, struct hf_slice session, struct hf_slice topic);

	/* Call hf_hub_tick within about this many milliseconds, also when nothing else happens. */
	void (*wake)(void *context, unsigned int in_ms);

	int64_t (*now_ms)(void *context);       /* wall clock, Unix ms */
	int64_t (*monotonic_ms)(void *context); /* never steps */

	void (*log)(void *context, enum hf_log_level level, const char *text);
};

#endif
