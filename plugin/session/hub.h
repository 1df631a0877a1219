/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The session logic: what happens when a client connects, publishes, subscribes, acknowledges or goes. It knows
 * no Mosquitto: plugin/broker translates the broker's events into these calls, the tests make them up.
 *
 * The rule at its heart: **an entry is handed to a device only if it is the next one that the device must see.**
 * Holdfast alone hands out entries, always from the end of what the device was handed before, either at once
 * when an entry is stored (the device is at the head) or from the log (it is not). The broker's own fan-out
 * never carries an entry. So order, completeness and uniqueness hold by construction; there is one way out.
 *
 * One thread; no function blocks on anything but the store. Strings are borrowed for the time of the call.
 */
#ifndef HF_SESSION_HUB_H
#define HF_SESSION_HUB_H

#include "codec/conditions.h"
#include "codec/presence.h"
#include "session/broker.h"
#include "session/options.h"

struct hf_hub;

/* Open the store and take up the sessions where they were. On failure *out is NULL and `message` says why. */
enum hf_reason hf_hub_open(const struct hf_options *options, const struct hf_broker *broker, struct hf_hub **out,
	char *message, size_t message_size);

/* Write what is pending, close the store, free everything. NULL allowed. */
void hf_hub_close(struct hf_hub *hub);

/* Read the roles file again. On failure the old rules stay and `message` says why. */
enum hf_reason hf_hub_reload(struct hf_hub *hub, char *message, size_t message_size);

/* Due work: write cursors and indexes, go on with devices that wait, publish states. Cheap when there is none. */
void hf_hub_tick(struct hf_hub *hub);

/* The wake-up asked for last has come: ask for the next one that is due. */
void hf_hub_rewake(struct hf_hub *hub);

/* ---- connections ---------------------------------------------------------------------------------------- */

struct hf_connection {
	const char *device;   /* client id */
	const char *identity; /* user name; NULL when anonymous */
	const char *address;  /* the client's; NULL when not known */
	const char *protocol; /* such as "MQTT 5" */
	unsigned int port;    /* of the listener */
	const void *token;    /* tells this connection of the client id from others; never followed */
	bool clean;           /* clean start: nothing of an earlier session of this client id may be left */
	bool unsubscribed;    /* the broker holds no subscription of it: nor may we */
	bool unlimited;       /* its protocol has no Maximum Packet Size (MQTT 3) */
};

/*
 * May a client that logs in as `identity` have this client id? False where it is that of a durable device that reads
 * sessions as somebody else: it would take its place in the log, its messages in flight, or with a clean start all of
 * it. Then *owner is who, NULL for an anonymous client. To be asked before the broker takes over or resumes the
 * session.
 */
bool hf_may_connect(const struct hf_hub *hub, const char *device, const char *identity, const char **owner);

/* A client has connected. If its identity may not have the client id, and nobody could be asked, it begins anew. */
enum hf_reason hf_connected(struct hf_hub *hub, const struct hf_connection *connection);

/* A connection has ended. A durable device is kept, another one forgotten. Ignored unless `token` is the
 * connection that hf_connected last saw for this client id (failed logins and take-overs come here too). */
void hf_disconnected(struct hf_hub *hub, const char *device, const void *token, enum hf_why why);

/* Somebody could not log in: what it said it was, which nobody has checked, and what the broker said. For the audit. */
void hf_refused(struct hf_hub *hub, const char *device, const char *user_name, const char *address, const char *why);

/* The broker will send the will of this client, whose connection ends or has ended, in so many seconds, unless it comes
 * back. And: the broker sends it now. */
void hf_will_waits(struct hf_hub *hub, const char *device, uint32_t delay_s);
void hf_will_sent(struct hf_hub *hub, const char *device);

/* The token of the live connection of this client id, NULL when it has none. */
const void *hf_connection_of(const struct hf_hub *hub, const char *device);

/* What the broker must be told to have a durable client again after a restart (Mosquitto: struct mosquitto_client). */
struct hf_durable {
	const char *device;
	const char *identity;
	int64_t will_delay_time;
	int64_t session_expiry_time;
	uint32_t will_delay_interval;
	uint32_t session_expiry_interval;
	uint32_t max_packet_size;
	uint16_t listener_port;
	uint8_t max_qos;
	bool retain_available;
};

/* The broker will keep this client's session; or, the facts of one changed. On disk when it returns HF_OK. */
enum hf_reason hf_durable_set(struct hf_hub *hub, const struct hf_durable *durable);

/* The broker has ended this client's session (expiry, clean start): forget subscriptions and cursors. */
void hf_durable_end(struct hf_hub *hub, const char *device);

/* Visit the durable devices found in the store that have a subscription under the root, with all of their
 * subscriptions, to hand them to the broker at start. */
struct hf_restore {
	void *context;
	bool (*client)(void *context, const struct hf_durable *durable);
	bool (*subscription)(void *context, const char *device, const char *filter, uint8_t options, uint32_t identifier);
};
enum hf_reason hf_hub_restore(struct hf_hub *hub, const struct hf_restore *restore);

/* ---- publishing ------------------------------------------------------------------------------------------ */

struct hf_publish {
	const char *device;
	const char *identity; /* NULL when anonymous */
	const char *address;  /* of the client, NULL when not known */
	const char *topic;
	struct hf_slice payload;
	struct hf_slice properties; /* those that readers get too, without the names that Holdfast stamps */
	const char *response_topic; /* NULL when there is none */
	struct hf_slice correlation;
	struct hf_conditions conditions;
	uint8_t qos;
	bool again;           /* the caller knows that this very publish was stored already */
	bool will;            /* of a client that is gone, or as good as gone */
	enum hf_reason unfit; /* not HF_OK: why the caller cannot even pass it on; it is refused, and told so */
};

/* What the broker shall do with the publish. */
enum hf_verdict {
	HF_VERDICT_OUTSIDE, /* not under the root: none of our business */
	HF_VERDICT_STORED,  /* an entry now, or a repeat of one, or a request that was answered: acknowledge */
	HF_VERDICT_PASS,    /* live only: let the broker pass it on */
	HF_VERDICT_REFUSED, /* see *reason; the publisher was told on S/error where it listens */
	HF_VERDICT_FAILED,  /* the store failed: do not acknowledge */
};
enum hf_verdict hf_publish(struct hf_hub *hub, const struct hf_publish *publish, enum hf_reason *reason);

/* ---- administration ------------------------------------------------------------------------------------- */

/*
 * A request of administrators and auditors, published on HF_ADMIN_TOPIC: commands in JSON (plugin/CONTROL.md). It is
 * carried out and answered on its Response Topic, or on HF_ADMIN_ANSWERS, to this client alone; refusals are answers,
 * too. Of `request`, conditions and properties mean nothing.
 */
#define HF_ADMIN_TOPIC "$CONTROL/holdfast/v1"
#define HF_ADMIN_ANSWERS HF_ADMIN_TOPIC "/response"
void hf_administer(struct hf_hub *hub, const struct hf_publish *request);

/* ---- reading --------------------------------------------------------------------------------------------- */

/* May this client subscribe? HF_OK, HF_TOPIC_OUTSIDE (not ours to say), or why not; it is told on S/error.
 * Also puts retained state, and values of shared state, in place that the subscription is about to look up. */
enum hf_reason hf_may_subscribe(struct hf_hub *hub, const char *device, const char *filter);

/* The subscription that hf_may_subscribe allowed. `options` are MQTT 5's (QoS in bits 0-1, No Local in bit 2). *kept is
 * what the broker shall keep, valid until the next call. HF_TOPIC_OUTSIDE: none of ours, untouched. */
enum hf_reason hf_subscribe(struct hf_hub *hub, const char *device, const char *filter, uint8_t options,
	uint32_t identifier, struct hf_slice *kept);

/* The broker holds this subscription of a durable device: on disk when it returns HF_OK. `filter` is as the broker
 * keeps it. One that is none of ours is kept only to restore it; see hf_hub_restore. */
enum hf_reason hf_subscription_keep(
	struct hf_hub *hub, const char *device, const char *filter, uint8_t options, uint32_t identifier);

/* The subscription is gone, and its cursor with it. As above for *kept; HF_TOPIC_OUTSIDE likewise. */
enum hf_reason hf_unsubscribe(struct hf_hub *hub, const char *device, const char *filter, struct hf_slice *kept);

/* May the broker itself deliver this message to this client (its own fan-out, or retained)? HF_OK for live-only and
 * retained topics of sessions it may read; HF_NOT_PERMITTED for entries, but for `retained` values of shared state, and
 * for a retained document that a newer one has overtaken on its way; HF_TOPIC_OUTSIDE. */
enum hf_reason hf_may_receive(struct hf_hub *hub, const char *device, const char *identity, const char *topic,
	struct hf_slice payload, bool retained);

/* The broker itself gives this client a message with a Packet Identifier of its own choice: ours must stay clear of it.
 */
void hf_packet_sent(struct hf_hub *hub, const char *device);

/* May a client that is just coming back keep a message under the root that the broker has in flight for it? */
enum hf_reason hf_may_keep(struct hf_hub *hub, const char *identity, const char *topic);

/* May the broker keep a message for a client that is away? Of what is under the root only wake-ups (people/wake.h). */
enum hf_reason hf_may_wait(struct hf_hub *hub, const char *identity, const char *topic);

/* The broker sends a message on this topic once more to a client that is coming back; the entry has this offset. */
void hf_resent(struct hf_hub *hub, const char *device, const char *address, const char *topic, uint64_t offset);

/* ---- delivery events, by the handle of struct hf_broker's hand --------------------------------------------- */

/* How a message to a durable device, QoS 1 or 2, left the broker's books. */
enum hf_outcome {
	HF_OUTCOME_ACKNOWLEDGED, /* PUBACK, or PUBCOMP */
	HF_OUTCOME_REJECTED,     /* a failing PUBREC: the client will not have it */
	HF_OUTCOME_UNSENT,       /* given up by the broker: larger than the client's Maximum Packet Size */
};
void hf_delivered(struct hf_hub *hub, const char *device, uint64_t handle, enum hf_outcome outcome);

/* The broker has let go of a message that was handed over as `single`: its client has acknowledged it, or is gone.
 * (Then hf_disconnected came before; and hf_delivered, where there was something to tell.) */
void hf_released(struct hf_hub *hub, uint64_t handle);

#endif
