/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices: who is connected, who may come back. */
#include "session/audit/notes.h"
#include "session/delivery/delivery.h"
#include "session/groups/group.h"
#include "session/people/people.h"
#include "session/people/presence.h"
#include "session/people/wake.h"
#include "session/publish/publish.h"

#include <utlist.h>

struct hf_device *hf_device_find(const struct hf_hub *hub, const char *id)
{
	struct hf_device *device;

	HASH_FIND_STR(hub->devices, id, device);
	return device;
}

static bool is_identity(const struct hf_device *device, const char *identity)
{
	return identity && device->identity ? strcmp(identity, device->identity) == 0 : identity == device->identity;
}

static void come_online(struct hf_hub *hub, struct hf_device *device, bool online)
{
	if (device->online != online) {
		device->online = online;
		hf_wake_online(hub, device->person, online);
	}
}

static void count_device(struct hf_device *device, int more)
{
	if (device->person) {
		device->person->devices += (size_t)more;
	}
}

static bool set_identity(struct hf_hub *hub, struct hf_device *device, const char *identity)
{
	struct hf_person *person = NULL;

	if (is_identity(device, identity)) {
		return true;
	}
	if (identity) {
		person = hf_person_hold(hub, identity);
		if (!person) {
			return false;
		}
	}
	come_online(hub, device, false);
	count_device(device, -1);
	hf_floor_person_gone(hub, device->person);
	hf_person_release(hub, device->person);
	device->person = person;
	count_device(device, 1);
	device->identity = person ? person->identity : NULL;
	device->facts.identity = device->identity;
	device->role_session[0] = '\0';
	return true;
}

struct hf_device *hf_device_make(struct hf_hub *hub, const char *id, const char *identity)
{
	struct hf_device *device = calloc(1, sizeof(*device));

	if (!device) {
		return NULL;
	}
	device->id = strdup(id);
	device->facts.device = device->id;
	device->number = ++hub->device_number;
	device->sent = hf_store_head(hub->store);
	device->at_head = true;
	if (!device->id || !set_identity(hub, device, identity)) {
		free(device->id);
		free(device);
		return NULL;
	}
	HASH_ADD_KEYPTR(hh, hub->devices, device->id, strlen(device->id), device);
	return device;
}

static bool unlink_pending(struct hf_device **list, const struct hf_device *device)
{
	while (*list && *list != device) {
		list = &(*list)->pending_next;
	}
	if (!*list) {
		return false;
	}
	*list = device->pending_next;
	return true;
}

void hf_device_set_address(struct hf_device *device, const char *address)
{
	char *copy = address ? strdup(address) : NULL;

	free(device->address);
	device->address = copy;
}

void hf_device_forget(struct hf_hub *hub, struct hf_device *device)
{
	hf_receipts_leave(hub, device);
	hf_subscriptions_detach(hub, device);
	if (device->durable) {
		hf_device_forget_stored(hub, device);
		device->durable = false;
	}
	hf_subscriptions_free(hub, device);
	hf_loans_return(device);
	hf_members_free(hub, &device->members);
	hf_ring_clear(device);
	hf_owed_clear(device);
	if (device->recall_due) {
		LL_DELETE2(hub->recalls, device, recall_next);
	}
	hf_answers_forget(device, true);
	if (device->pending && !unlink_pending(&hub->pending, device)) {
		unlink_pending(&hub->turn, device);
	}
	if (device->waiting) {
		LL_DELETE2(hub->waiting, device, waiting_next);
	}
	if (device->dirty) {
		LL_DELETE2(hub->dirty, device, dirty_next);
	}
	HASH_DEL(hub->devices, device);
	come_online(hub, device, false);
	count_device(device, -1);
	hf_floor_person_gone(hub, device->person);
	hf_person_release(hub, device->person);
	free(device->address);
	free(device->id);
	free(device);
}

void hf_device_pend(struct hf_hub *hub, struct hf_device *device, unsigned int in_ms)
{
	if (!device->pending) {
		device->pending = true;
		LL_PREPEND2(hub->pending, device, pending_next);
	}
	hub->broker.wake(hub->broker.context, in_ms);
}

void hf_devices_go_on(struct hf_hub *hub)
{
	hub->turn = hub->pending;
	hub->pending = NULL; /* who pends again now has its turn at the next tick */
	while (hub->turn) {
		struct hf_device *device = hub->turn;
		hub->turn = device->pending_next;
		device->pending = false;
		hf_pump(hub, device);
	}
}

void hf_device_wait(struct hf_hub *hub, struct hf_device *device, unsigned int ms)
{
	int64_t at = hub->broker.monotonic_ms(hub->broker.context) + ms;

	if (device->not_before_ms == 0 || at < device->not_before_ms) {
		device->not_before_ms = at;
		hf_hub_due_by(hub, HF_TIMER_WAITING, ms);
	}
	if (!device->waiting) {
		device->waiting = true;
		LL_PREPEND2(hub->waiting, device, waiting_next);
	}
}

void hf_devices_wait_over(struct hf_hub *hub)
{
	int64_t now = hub->broker.monotonic_ms(hub->broker.context);
	struct hf_device *waiting = hub->waiting, *device, *next;

	hub->waiting = NULL;
	LL_FOREACH_SAFE2(waiting, device, next, waiting_next)
	{
		if (device->not_before_ms > now) {
			LL_PREPEND2(hub->waiting, device, waiting_next);
			hf_hub_due_by(hub, HF_TIMER_WAITING, (unsigned int)(device->not_before_ms - now));
		} else {
			device->waiting = false;
			if (device->not_before_ms > 0) { /* else it has gone on meanwhile */
				device->not_before_ms = 0;
				hf_device_pend(hub, device, HF_RETRY_MS);
			}
		}
	}
}

void hf_device_dirty(struct hf_hub *hub, struct hf_device *device)
{
	if (!device->durable || device->dirty) {
		return;
	}
	device->dirty = true;
	LL_PREPEND2(hub->dirty, device, dirty_next);
	hf_hub_due(hub, HF_TIMER_CURSORS, hub->options.ack_flush_ms);
}

/* Should the broker be killed, what the device was handed on this connection is not known for sure: so its record says
 * until the connection has ended. */
void hf_device_note(struct hf_hub *hub, struct hf_device *device)
{
	if (device->noted || !device->durable) {
		return;
	}
	device->noted = true;
	hf_device_dirty(hub, device);
	hf_devices_write(hub); /* should it fail, the tick tries again */
}

enum hf_role hf_identity_role(const struct hf_hub *hub, const char *identity, struct hf_slice session)
{
	return identity ? hf_access_role(hub->access, hf_slice_of(identity), session) : hub->options.anonymous_role;
}

bool hf_identity_reads_some(const struct hf_hub *hub, const char *identity)
{
	return identity ? hf_access_reads_some(hub->access, hf_slice_of(identity))
					: hf_role_may_read(hub->options.anonymous_role);
}

enum hf_role hf_device_role(struct hf_hub *hub, struct hf_device *device, struct hf_slice session)
{
	if (device->role_session[0] == '\0' || !hf_slice_is(session, device->role_session)) {
		device->role = hf_identity_role(hub, device->identity, session);
		memcpy(device->role_session, session.data, session.len);
		device->role_session[session.len] = '\0';
	}
	return device->role;
}

/* The broker does not go on with a session that was to end with its connection (handle_connect.c), and tells nobody.
 * What was in flight will not be acknowledged. */
static void start_anew(struct hf_hub *hub, struct hf_device *device)
{
	hf_subscriptions_detach(hub, device);
	hf_subscriptions_free(hub, device);
	hf_loans_return(device);
	hf_ring_clear(device);
	hf_owed_clear(device);
	device->shown = device->alone_to = 0;
	device->sent = hf_store_head(hub->store);
	device->at_head = true;
	hf_device_dirty(hub, device);
	hf_devices_write(hub); /* at once: what has ended must not come back after a kill */
}

static bool reads_sessions(const struct hf_device *device)
{
	for (size_t i = 0; i < device->subscription_count; i++) {
		if (!device->subscriptions[i].outside || device->subscriptions[i].worker) {
			return true;
		}
	}
	return false;
}

bool hf_may_connect(const struct hf_hub *hub, const char *id, const char *identity, const char **owner)
{
	const struct hf_device *device = hf_device_find(hub, id);

	*owner = device ? device->identity : NULL;
	return !device || !device->durable || hub->options.any_identity || is_identity(device, identity) ||
		   !reads_sessions(device);
}

/* Of an existing one. */
static bool come_back(struct hf_hub *hub, struct hf_device *device, const struct hf_connection *connection)
{
	const char *owner;

	if (!hf_may_connect(hub, device->id, connection->identity, &owner)) {
		/* The broker does not ask at every login: see BASIC_AUTH. */
		hf_say(hub, HF_LOG_WARNING, "'%s' has taken the durable device '%s' of '%s': it begins anew",
			connection->identity ? connection->identity : "", device->id, owner ? owner : "");
		start_anew(hub, device);
	}
	if (connection->unsubscribed && device->subscription_count + device->ring_count + device->loan_count > 0) {
		start_anew(hub, device);
	}
	return set_identity(hub, device, connection->identity);
}

enum hf_reason hf_connected(struct hf_hub *hub, const struct hf_connection *connection)
{
	struct hf_device *device = hf_device_find(hub, connection->device);

	if (device && device->online) { /* its end was not told */
		hf_receipts_leave(hub, device);
		hf_note_disconnected(hub, device, HF_WHY_TAKEN_OVER);
		hf_connection_gone(hub, device, HF_WHY_TAKEN_OVER);
		hf_unconfirmed_lost(device, HF_WHY_TAKEN_OVER);
	}
	if (device && connection->clean) {
		hf_device_forget(hub, device);
		device = NULL;
	}
	if (!device) {
		device = hf_device_make(hub, connection->device, connection->identity);
		if (!device) {
			return HF_NO_MEMORY;
		}
	} else if (!come_back(hub, device, connection)) {
		return HF_NO_MEMORY;
	}
	if (device->facts.session_expiry_time != 0) {
		/* Of when it was away. Should the broker stop now, its time begins then (session_expiry.c). */
		device->facts.session_expiry_time = 0;
		hf_device_dirty(hub, device);
	}
	hf_unseen_begin(device);
	if (connection->unlimited) {
		device->size_known = true;
		device->facts.max_packet_size = 0;
	}
	hf_connection_back(hub, device);
	device->token = connection->token;
	come_online(hub, device, true);
	hf_device_set_address(device, connection->address);
	hf_note_connected(hub, device, connection);
	hf_subscriptions_allow(hub, device);
	hf_subscriptions_attach(hub, device);
	device->full = false;
	hf_workers_online(device);
	for (size_t i = 0; i < device->subscription_count; i++) {
		device->subscriptions[i].mark_due = !device->subscriptions[i].outside;
	}
	if (device->packet_id_moved) {
		/* Before it is given any: after one more kill they would be given again. */
		device->packet_id_moved = false;
		hf_device_dirty(hub, device);
		hf_devices_write(hub);
	}
	if (device->subscription_count > 0) {
		device->at_head = false;
		hf_device_pend(hub, device, HF_RETRY_MS);
	}
	return HF_OK;
}

void hf_disconnected(struct hf_hub *hub, const char *id, const void *token, enum hf_why why)
{
	struct hf_device *device = hf_device_find(hub, id);

	if (!device || !device->online || device->token != token) {
		return;
	}
	hf_receipts_leave(hub, device);
	hf_note_disconnected(hub, device, why);
	hf_connection_gone(hub, device, why);
	if (!device->durable) {
		hf_device_forget(hub, device);
		return;
	}
	hf_unconfirmed_lost(device, why);
	if (device->at_head) {
		/* It has seen all there is: on its return the search need not begin further back. */
		device->sent = hf_store_head(hub->store);
	}
	device->noted = false;
	hf_device_dirty(hub, device);
	device->at_head = false;
	come_online(hub, device, false);
	device->token = NULL;
	hf_floor_person_gone(hub, device->person);
	hf_subscriptions_detach(hub, device);
	hf_workers_offline(device);
	hf_loans_lost(hub, device);
	if (device->ring_count == 0) {
		hf_ring_clear(device); /* who is away shall cost little */
	}
}

const void *hf_connection_of(const struct hf_hub *hub, const char *id)
{
	const struct hf_device *device = hf_device_find(hub, id);

	return device && device->online ? device->token : NULL;
}

void hf_packet_sent(struct hf_hub *hub, const char *id)
{
	struct hf_device *device = hf_device_find(hub, id);

	if (device) {
		device->packet_id++;
		device->packets++;
	}
}

enum hf_reason hf_durable_set(struct hf_hub *hub, const struct hf_durable *durable)
{
	struct hf_device *device = hf_device_find(hub, durable->device);

	if (!device) {
		return HF_OK; /* not one of ours, such as a bridge */
	}
	for (size_t i = 0; i < device->subscription_count; i++) {
		device->subscriptions[i].dirty = device->subscriptions[i].dirty || !device->durable;
	}
	device->durable = true;
	device->noted = device->online;
	device->size_known = device->online;
	device->facts = *durable;
	device->facts.device = device->id;
	device->facts.identity = device->identity;
	hf_device_dirty(hub, device);
	return hf_devices_write(hub);
}

void hf_durable_end(struct hf_hub *hub, const char *id)
{
	struct hf_device *device = hf_device_find(hub, id);

	if (!device) {
		return;
	}
	if (!device->online) {
		hf_note_session_ended(hub, device);
		hf_device_forget(hub, device);
		return;
	}
	/* Still connected: the end of a connection whose session ends with it; the DISCONNECT came first or comes. */
	hf_device_forget_stored(hub, device);
	if (device->dirty) {
		LL_DELETE2(hub->dirty, device, dirty_next);
		device->dirty = false;
	}
	device->durable = false;
}
