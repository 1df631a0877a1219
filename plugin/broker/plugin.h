/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The thin layer between Mosquitto and the session logic: the only code that includes Mosquitto's headers.
 *
 *     plugin.c       entry points: options, registration, cleanup
 *     port.c         struct hf_broker on Mosquitto: handing messages over, retained state, time, the wake-up
 *     properties.c   MQTT properties, to and from what an entry stores
 *     connections.c  CONNECT, DISCONNECT, CLIENT_OFFLINE, BASIC_AUTH
 *     publishing.c   ACL WRITE, MESSAGE_IN, refusals
 *     control.c      CONTROL, and the access checks of its topics
 *     wills.c        PERSIST_WILL_ADD, and the wills among the ACL WRITEs
 *     reading.c      ACL READ and SUBSCRIBE, MESSAGE_OUT, SUBSCRIBE, UNSUBSCRIBE
 *     persistence.c  PERSIST_*: durable clients, acknowledgements, restore
 *     limited_log.c  the broker's log, without floods
 */
#ifndef HF_BROKER_PLUGIN_H
#define HF_BROKER_PLUGIN_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <mosquitto.h>
#include <mosquitto/broker.h>
#include <mosquitto/broker_plugin.h>

#include "codec/filter.h"
#include "session/hub.h"

/* Store ids of our own messages have a node id that Mosquitto's own (database.c, db__new_msg_id) do not have. The
 * broker keeps one copy of an entry for all devices under the id made of its LSN; of a message for one client alone
 * (hf_message, single) it says when it has let go of it. */
#define HF_STORE_ID_NODE_SHIFT 54
#define HF_STORE_ID_SINGLE (UINT64_C(1021) << HF_STORE_ID_NODE_SHIFT)
#define HF_STORE_ID_ENTRY (UINT64_C(1023) << HF_STORE_ID_NODE_SHIFT)
#define HF_STORE_ID_OTHER (UINT64_C(1022) << HF_STORE_ID_NODE_SHIFT)

struct hf_refused; /* the last refused publish of a 3.1.1 client */
struct hf_resumed; /* a QoS 2 publish the broker still holds for a client that is coming back */
struct hf_will;    /* where the broker keeps the will of a connected client */

struct hf_plugin {
	mosquitto_plugin_id_t *id;
	struct hf_hub *hub;
	struct hf_options options;
	size_t root_len;
	uint64_t other_id;                /* counts HF_STORE_ID_OTHER */
	bool watching;                    /* port.c is, at which QoS a message goes out ... */
	uint8_t seen_qos;                 /* ... this one */
	bool taking_back;                 /* port.c is undoing a handover: its event is none */
	const struct mosquitto *checked;  /* whose PUBLISH passed ACL WRITE; its MESSAGE_IN comes next */
	const struct mosquitto *newcomer; /* that is logging in */
	const struct mosquitto *resuming; /* that is coming back, and will be sent again what is in flight */
	char *authenticating;             /* its client id; a will that goes out now is of its predecessor */
	struct hf_refused *refused;
	struct hf_resumed *resumed;
	struct hf_will *wills;
	uint32_t will_delay_s;       /* of the client whose PERSIST_CLIENT_UPDATE came last; 0: none */
	struct hf_buffer properties; /* scratch */
	struct hf_buffer packed;     /* scratch */
	struct hf_buffer topic;      /* scratch */
	timer_t timer;
	bool has_timer;
	int64_t wake_at_ms; /* 0: the timer is not set */
	int64_t log_window_ms;
	unsigned int log_count;
};

/* Is the topic, or filter, under the root, or the root itself? */
bool hf_under_root(const struct hf_plugin *plugin, const char *topic);

/* port.c */
void hf_port(struct hf_plugin *plugin, struct hf_broker *out);
bool hf_port_timer(struct hf_plugin *plugin);
void hf_port_timer_end(struct hf_plugin *plugin);
bool hf_port_woken(struct hf_plugin *plugin); /* did the time asked for last come? */

/* properties.c */
struct hf_publish_properties {
	struct hf_slice stored; /* in plugin->properties */
	const char *response_topic;
	struct hf_slice correlation;
	struct hf_conditions conditions;
};
/* Pick apart the properties of a publish. HF_OK, HF_NO_MEMORY, HF_PROPERTIES_TOO_LARGE, HF_CONDITION_INVALID. */
enum hf_reason hf_properties_read(
	struct hf_plugin *plugin, const mosquitto_property *list, struct hf_publish_properties *out);
/* The properties of a message to a client, those of an entry packed into one; the caller owns the list. False: no
 * memory, *out is NULL. */
bool hf_properties_write(struct hf_plugin *plugin, const struct hf_message *message, mosquitto_property **out);
/* How many bytes they will be in a packet, when unpacked, without the length in front. */
size_t hf_properties_len(const mosquitto_property *list);
/* The list as it is to be sent: a new one, owned by the caller, or `list` itself where nothing is packed in it. Without
 * memory that, too: the client will take the packet for malformed, and come back for the message. */
mosquitto_property *hf_properties_unpack(mosquitto_property *list);
/* The offset of the entry; 0: it is none. */
uint64_t hf_properties_offset(const mosquitto_property *list);
/* The properties of a live-only message: the stored ones of its publish, and who it is from. As above. */
bool hf_properties_stamp_live(const char *identity, struct hf_slice stored, mosquitto_property **out);

/* limited_log.c */
void hf_log_limited(struct hf_plugin *plugin, int level, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The callbacks, by the file they are in. Each is a MOSQ_FUNC_generic_callback with a struct hf_plugin. */
int hf_on_basic_auth(int event, void *data, void *userdata);
int hf_on_connect(int event, void *data, void *userdata);
int hf_on_disconnect(int event, void *data, void *userdata);
int hf_on_client_offline(int event, void *data, void *userdata);
int hf_on_control(int event, void *data, void *userdata);
int hf_on_message_in(int event, void *data, void *userdata);
int hf_on_message_out(int event, void *data, void *userdata);
int hf_on_acl_check(int event, void *data, void *userdata);
int hf_on_subscribe(int event, void *data, void *userdata);
int hf_on_unsubscribe(int event, void *data, void *userdata);
int hf_on_persist_client(int event, void *data, void *userdata);
int hf_on_persist_client_delete(int event, void *data, void *userdata);
int hf_on_persist_subscription_add(int event, void *data, void *userdata);
int hf_on_persist_client_msg_delete(int event, void *data, void *userdata);
int hf_on_persist_base_msg_delete(int event, void *data, void *userdata);
int hf_on_persist_will_add(int event, void *data, void *userdata);
int hf_on_persist_restore(int event, void *data, void *userdata);

/* How a publish came to us. */
enum hf_way {
	HF_WAY_PUBLISH,
	HF_WAY_AGAIN, /* that very one was stored already */
	HF_WAY_WILL,
};

/* control.c: may a client use this topic, or filter, of ours under $CONTROL? MOSQ_ERR_PLUGIN_IGNORE: it is none. */
int hf_acl_control(const char *topic);

/* publishing.c: the part of ACL CHECK for access WRITE; and what it remembers of clients until they are gone. */
int hf_acl_write(struct hf_plugin *plugin, const struct mosquitto_evt_acl_check *event);
enum hf_verdict hf_publish_of(struct hf_plugin *plugin, struct mosquitto *client, const char *topic,
	struct hf_slice payload, const mosquitto_property *properties, uint8_t qos, enum hf_way way,
	enum hf_reason *reason);
void hf_resumed_released(struct hf_plugin *plugin, const char *id); /* PUBREL of the oldest one */
void hf_resumed_forget(struct hf_plugin *plugin, const struct mosquitto *client);
void hf_publishing_end(struct hf_plugin *plugin);

/* wills.c */
bool hf_will_is(
	const struct hf_plugin *plugin, const struct mosquitto_evt_acl_check *event); /* a connected client's? */
int hf_will_publish(struct hf_plugin *plugin, const struct mosquitto_evt_acl_check *event);
void hf_will_forget(struct hf_plugin *plugin, const struct mosquitto *client);
void hf_wills_end(struct hf_plugin *plugin);

#endif
