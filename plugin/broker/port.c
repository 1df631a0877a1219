/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * struct hf_broker on Mosquitto.
 *
 * Messages are not published; they are put straight behind what the client has in flight, with the calls that are
 * meant for restoring sessions (mosquitto_persist_base_msg_add, _client_msg_add: plugin_public.c). That happens at
 * once, in order, for exactly the connection that is there now, and says whether the message is in flight, queued or
 * dropped. mosquitto_broker_publish would do it at the next turn of the loop, behind whatever native fan-out does in
 * between, for whoever has the client id by then.
 */
#include "broker/plugin.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Not a QoS: mosquitto_persist_client_msg_delete finds nothing to delete with it, but writes what is in flight. */
#define QOS_NONE 3
#define MID_NONE 65535
#define STATE_PUBLISH_QOS0 1
#define RC_NOT_IN_FLIGHT 2 /* db__message_insert_outgoing: queued, or dropped */

/* ---- messages */

static char *put(char *at, const char *data, size_t len)
{
	memcpy(at, data, len);
	at[len] = '/';
	return at + len + 1;
}

static const char *topic_of(struct hf_plugin *plugin, struct hf_slice session, struct hf_slice rest)
{
	size_t size = plugin->root_len + 1 + session.len + 1 + rest.len + 1;

	hf_buffer_clear(&plugin->topic);
	char *topic = (char *)hf_buffer_reserve(&plugin->topic, size), *at = topic;
	if (!topic) {
		return NULL;
	}
	at = put(at, plugin->options.root, plugin->root_len);
	at = put(at, session.data, session.len);
	at = put(at, rest.data, rest.len);
	at[-1] = '\0';
	return topic;
}

/* Give the broker the message itself; clients refer to it by `store_id`. False: no memory. */
static bool add_base(const char *topic, struct hf_slice payload, mosquitto_property *properties, uint64_t store_id,
	uint8_t qos, bool retain)
{
	struct mosquitto_base_msg base = {
		.store_id = store_id,
		.topic = topic ? mosquitto_strdup(topic) : NULL,
		.payload = mosquitto_malloc(payload.len + 1), /* the broker's own payloads end in a zero too */
		.payloadlen = (uint32_t)payload.len,
		.properties = properties,
		.qos = qos,
		.retain = retain,
	};

	if (!base.topic || !base.payload) {
		mosquitto_free(base.topic);
		mosquitto_free(base.payload);
		mosquitto_property_free_all(&base.properties);
		return false;
	}
	if (payload.len > 0) {
		memcpy(base.payload, payload.data, payload.len);
	}
	((char *)base.payload)[payload.len] = '\0';
	return mosquitto_persist_base_msg_add(&base) == MOSQ_ERR_SUCCESS; /* owns, and frees, all of it either way */
}

static bool too_large(
	const struct hf_message *message, const char *topic, struct hf_slice payload, const mosquitto_property *properties)
{
	if (message->max_packet == 0 || !topic) {
		return false;
	}
	size_t properties_len = hf_properties_len(properties) + (message->subscription_id_count > 0 ? 5 : 0);
	size_t len = 2 + strlen(topic) + (message->qos ? 2 : 0) + 4 + properties_len + payload.len;
	return len + 5 > message->max_packet;
}

static uint16_t next_packet_id(uint16_t *last)
{
	do {
		++*last;
	} while (*last == 0 || *last == MID_NONE);
	return *last;
}

/* Is the message still there? With a direction that is none, nothing is added (plugin_public.c). */
static bool base_exists(struct mosquitto_client_msg probe)
{
	probe.direction = mosq_bmd_all;
	return mosquitto_persist_client_msg_add(&probe) == MOSQ_ERR_INVAL;
}

static void flush(void *context, const char *device)
{
	struct mosquitto_client_msg nothing = {
		.clientid = device, .mid = MID_NONE, .qos = QOS_NONE, .direction = mosq_bmd_out};

	(void)context;
	/* Should the broker itself have given out this Packet Identifier, another one will do. */
	while (mosquitto_persist_client_msg_delete(&nothing) == MOSQ_ERR_PROTOCOL && nothing.mid > 1) {
		nothing.mid--;
	}
}

static void take_back(struct hf_plugin *plugin, struct mosquitto_client_msg *client_msg)
{
	plugin->taking_back = true; /* the event of it is not one of a delivery */
	mosquitto_persist_client_msg_delete(client_msg);
	plugin->taking_back = false;
}

/*
 * A packet for which the socket's queue has no room is thrown away without a word (packet_mosq.c). Only a message of
 * QoS 0 is told about it before, so one is tried, and taken back before it is written.
 */
static bool socket_has_room(struct hf_plugin *plugin, const char *device, uint16_t *packet_id)
{
	struct mosquitto_client_msg probe = {
		.clientid = device,
		.store_id = HF_STORE_ID_OTHER | ++plugin->other_id,
		.mid = next_packet_id(packet_id),
		.direction = mosq_bmd_out,
	};

	if (!add_base(plugin->options.root, HF_SLICE_NONE, NULL, probe.store_id, 0, false)) {
		return false;
	}
	bool room = mosquitto_persist_client_msg_add(&probe) == MOSQ_ERR_SUCCESS;
	if (room) {
		take_back(plugin, &probe);
	} else {
		mosquitto_persist_base_msg_delete(probe.store_id);
	}
	return room;
}

/*
 * What the client's Receive Maximum has no room for is taken back from the broker's queue: it would go out by itself,
 * but if the socket's queue is full then, it is thrown away without a word, and its place in flight is never free
 * again.
 */
static enum hf_handover outcome_of(struct hf_plugin *plugin, int rc, struct mosquitto_client_msg *client_msg)
{
	if (rc == MOSQ_ERR_SUCCESS) {
		return HF_HANDED;
	}
	if (rc == RC_NOT_IN_FLIGHT && client_msg->qos > 0) {
		take_back(plugin, client_msg);
	}
	mosquitto_persist_base_msg_delete(client_msg->store_id); /* unless somebody else has it */
	return HF_DROPPED;
}

static const char *topic_of_message(struct hf_plugin *plugin, const struct hf_message *message)
{
	if (message->full_topic) {
		return message->full_topic;
	}
	return message->entry ? topic_of(plugin, message->entry->session, message->entry->topic)
						  : topic_of(plugin, message->session, message->topic);
}

static enum hf_handover put_in_flight(
	struct hf_plugin *plugin, const struct hf_message *message, struct mosquitto_client_msg *client_msg)
{
	struct hf_slice payload = message->entry ? message->entry->payload : message->payload;
	mosquitto_property *properties = NULL;

	if (message->max_packet > 0) {
		if (!hf_properties_write(plugin, message, &properties)) {
			return HF_DROPPED;
		}
		bool large = too_large(message, topic_of_message(plugin, message), payload, properties);
		if (large && !message->check_size) {
			mosquitto_property_free_all(&properties);
			return HF_TOO_LARGE;
		}
		*message->outgrown = large; /* if it goes out */
	}
	/* Another device may have the same entry in flight; then the broker has it already. */
	int rc =
		client_msg->store_id >= HF_STORE_ID_ENTRY ? mosquitto_persist_client_msg_add(client_msg) : MOSQ_ERR_NOT_FOUND;
	if (rc != MOSQ_ERR_NOT_FOUND) {
		mosquitto_property_free_all(&properties);
		return outcome_of(plugin, rc, client_msg);
	}
	if (!properties && !hf_properties_write(plugin, message, &properties)) {
		return HF_DROPPED;
	}
	if (!add_base(topic_of_message(plugin, message), payload, properties, client_msg->store_id, message->qos, false)) {
		return HF_DROPPED;
	}
	return outcome_of(plugin, mosquitto_persist_client_msg_add(client_msg), client_msg);
}

/* Not what was joined for this device; not with several Subscription Identifiers, which are properties of the message;
 * not where it must be found out if the broker keeps it; and not with MQTT 3.1.1 clients, who are given no message of
 * the broker's twice, also not after $from, when allow_duplicate_messages is off (database.c). */
static bool may_share(const char *device, const struct hf_message *message)
{
	return message->entry && !message->single && !message->first_offset && message->subscription_id_count <= 1 &&
		   !message->check_size && mosquitto_client_protocol_version(mosquitto_client(device)) == 5;
}

/*
 * The max_qos of the listener lowers the QoS of a message without a word; one of QoS 1 or 2 that becomes one of QoS 0
 * then waits in flight for an acknowledgement that never comes (database.c). So the first one is watched as it is
 * written.
 */
static void watch_qos(
	struct hf_plugin *plugin, const struct hf_message *message, struct mosquitto_client_msg *client_msg)
{
	plugin->seen_qos = message->qos;
	plugin->watching = true;
	flush(plugin, client_msg->clientid);
	plugin->watching = false;
	*message->max_qos = plugin->seen_qos;
	if (plugin->seen_qos == 0) {
		client_msg->qos = 0;
		take_back(plugin, client_msg); /* it was written */
	}
}

static uint64_t new_store_id(struct hf_plugin *plugin, const char *device, const struct hf_message *message)
{
	if (may_share(device, message)) {
		return HF_STORE_ID_ENTRY | message->entry->lsn;
	}
	return (message->single ? HF_STORE_ID_SINGLE : HF_STORE_ID_OTHER) | ++plugin->other_id;
}

static enum hf_handover hand(void *context, const char *device, const struct hf_message *message, uint64_t *handle)
{
	struct hf_plugin *plugin = context;

	if (message->check_room && !socket_has_room(plugin, device, message->packet_id)) {
		return HF_DROPPED;
	}
	struct mosquitto_client_msg client_msg = {
		.clientid = device,
		.store_id = new_store_id(plugin, device, message),
		.subscription_identifier = message->subscription_id_count > 0 ? message->subscription_ids[0] : 0,
		.mid = message->qos > 0 ? next_packet_id(message->packet_id) : 0,
		.qos = message->qos,
		.direction = mosq_bmd_out,
	};
	bool check = message->check_size || (message->single && message->qos > 0);
	enum hf_handover outcome = put_in_flight(plugin, message, &client_msg);

	*handle = client_msg.store_id;
	if (outcome == HF_HANDED && message->max_qos) {
		watch_qos(plugin, message, &client_msg);
	}
	if (outcome == HF_HANDED && (message->qos == 0 || message->check_room || check)) {
		flush(context, device); /* the room for the next one is in the socket */
	}
	if (check && client_msg.qos == message->qos) {
		/* One that is too large is given up when it is written (database.c). */
		outcome = outcome == HF_HANDED && !base_exists(client_msg) ? HF_TOO_LARGE : outcome;
		*message->outgrown = *message->outgrown && outcome == HF_HANDED;
	}
	return outcome;
}

static bool holds(void *context, const char *device, uint64_t handle)
{
	(void)context;
	return base_exists((struct mosquitto_client_msg){.clientid = device, .store_id = handle});
}

static void kick(void *context, const char *device)
{
	(void)context;
	mosquitto_kick_client_by_clientid(device, true); /* with its will: it did not say goodbye */
}

static void recall(void *context, const char *device, uint16_t packet_id)
{
	struct mosquitto_client_msg client_msg = {
		.clientid = device, .mid = packet_id, .qos = 1, .direction = mosq_bmd_out};

	take_back(context, &client_msg);
}

/* ---- retained */

static void retain(void *context, struct hf_slice session, struct hf_slice rest, struct hf_slice payload)
{
	struct hf_plugin *plugin = context;
	const char *topic = topic_of(plugin, session, rest);
	uint64_t id = HF_STORE_ID_OTHER | ++plugin->other_id;

	if (add_base(topic, payload, NULL, id, 1, true)) {
		mosquitto_persist_retain_msg_set(topic, id);
	}
}

static void retain_entry(void *context, const struct hf_entry *entry)
{
	struct hf_plugin *plugin = context;
	const struct hf_message message = {.entry = entry};
	const char *topic = topic_of(plugin, entry->session, entry->topic);
	uint64_t id = HF_STORE_ID_OTHER | ++plugin->other_id;
	mosquitto_property *properties;

	if (hf_properties_write(plugin, &message, &properties) &&
		add_base(topic, entry->payload, properties, id, 1, true)) {
		mosquitto_persist_retain_msg_set(topic, id);
	}
}

static void announce(void *context, struct hf_slice session, struct hf_slice rest, struct hf_slice payload)
{
	const char *topic = topic_of(context, session, rest);

	if (topic) {
		mosquitto_broker_publish_copy(NULL, topic, (int)payload.len, payload.data, 1, true, NULL);
	}
}

static void send_live(void *context, struct hf_slice session, struct hf_slice rest, struct hf_slice payload)
{
	const char *topic = topic_of(context, session, rest);

	if (topic) {
		mosquitto_broker_publish_copy(NULL, topic, (int)payload.len, payload.data, 1, false, NULL);
	}
}

static void unretain(void *context, struct hf_slice session, struct hf_slice rest)
{
	const char *topic = topic_of(context, session, rest);

	if (topic) {
		mosquitto_persist_retain_msg_delete(topic);
	}
}

/* ---- time */

static int64_t clock_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t now_ms(void *context)
{
	(void)context;
	return clock_ms(CLOCK_REALTIME);
}

static int64_t monotonic_ms(void *context)
{
	(void)context;
	return clock_ms(CLOCK_MONOTONIC);
}

/* The loop sleeps in epoll_wait: 100 ms in builds with WebSockets, else until something happens (mux_epoll.c). A
 * signal ends that sleep. SIGURG is ignored by default, so a stray one does no harm. It repeats until it was
 * noticed, since one that comes just before the sleep is lost. */
#define WAKE_SIGNAL SIGURG
#define WAKE_REPEAT_NS 2000000

static void ignore_signal(int number)
{
	(void)number;
}

bool hf_port_timer(struct hf_plugin *plugin)
{
	struct sigaction action = {.sa_handler = ignore_signal, .sa_flags = SA_RESTART};
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = WAKE_SIGNAL};

	event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	if (sigaction(WAKE_SIGNAL, &action, NULL) != 0 || timer_create(CLOCK_MONOTONIC, &event, &plugin->timer) != 0) {
		mosquitto_log_printf(MOSQ_LOG_ERR, "holdfast: no timer to be had: %s", strerror(errno));
		return false;
	}
	plugin->has_timer = true;
	return true;
}

void hf_port_timer_end(struct hf_plugin *plugin)
{
	if (plugin->has_timer) {
		timer_delete(plugin->timer);
	}
}

static void wake(void *context, unsigned int in_ms)
{
	struct hf_plugin *plugin = context;
	int64_t at = clock_ms(CLOCK_MONOTONIC) + (in_ms ? in_ms : 1);
	struct itimerspec when = {
		.it_value = {.tv_sec = at / 1000, .tv_nsec = at % 1000 * 1000000},
		.it_interval = {.tv_nsec = WAKE_REPEAT_NS},
	};

	if (plugin->wake_at_ms == 0 || at < plugin->wake_at_ms) {
		plugin->wake_at_ms = at;
		timer_settime(plugin->timer, TIMER_ABSTIME, &when, NULL);
	}
}

bool hf_port_woken(struct hf_plugin *plugin)
{
	struct itimerspec never = {.it_value = {.tv_sec = 0}};

	if (!plugin->wake_at_ms || clock_ms(CLOCK_MONOTONIC) < plugin->wake_at_ms) {
		return false;
	}
	plugin->wake_at_ms = 0;
	timer_settime(plugin->timer, 0, &never, NULL);
	return true;
}

/* ---- */

static void say(void *context, enum hf_log_level level, const char *text)
{
	static const int levels[] = {MOSQ_LOG_INFO, MOSQ_LOG_WARNING, MOSQ_LOG_ERR};

	hf_log_limited(context, levels[level], "%s", text);
}

void hf_port(struct hf_plugin *plugin, struct hf_broker *out)
{
	*out = (struct hf_broker){
		.context = plugin,
		.hand = hand,
		.holds = holds,
		.recall = recall,
		.kick = kick,
		.flush = flush,
		.retain = retain,
		.retain_entry = retain_entry,
		.announce = announce,
		.send = send_live,
		.unretain = unretain,
		.wake = wake,
		.now_ms = now_ms,
		.monotonic_ms = monotonic_ms,
		.log = say,
	};
}
