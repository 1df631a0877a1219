/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Connections that have ended. For a while the client may come back as if nothing had been: for its Will Delay where it
 * has one, else for the option agent_grace where it is an agent (and after a goodbye only where it left a response
 * open), after a restart of the broker for the option restart_grace. Then its responses are closed and its members end.
 *
 * A broker that holds back the will sends it when the delay is over, give or take a second (will_delay.c): then the
 * will comes first, so that what it says stands in the log in front of what follows from the loss.
 */
#include "session/kinds/kinds.h"
#include "session/people/people.h"
#include "session/people/presence.h"

#include <utlist.h>

static void schedule(struct hf_hub *hub)
{
	if (hub->losses) {
		int64_t left = hub->losses->due_ms - hub->broker.monotonic_ms(hub->broker.context);
		hf_hub_due_by(hub, HF_TIMER_LOST, left > 0 ? (unsigned int)left : 0);
	}
}

/* Behind all that are due no later: found from the end, since most have the same grace. */
static void enlist(struct hf_hub *hub, struct hf_lost *lost, int64_t due_ms)
{
	struct hf_lost *before = hub->losses ? hub->losses->prev : NULL; /* the last one */

	lost->due_ms = due_ms;
	while (before && before->due_ms > due_ms) {
		before = before == hub->losses ? NULL : before->prev;
	}
	if (before) {
		DL_APPEND_ELEM(hub->losses, before, lost);
	} else {
		DL_PREPEND(hub->losses, lost);
	}
	schedule(hub);
}

static void postpone(struct hf_hub *hub, struct hf_lost *lost, int64_t due_ms)
{
	DL_DELETE(hub->losses, lost);
	enlist(hub, lost, due_ms);
}

static void conceal(struct hf_hub *hub, struct hf_lost *lost)
{
	if (lost->findable) {
		HASH_DEL(hub->lost, lost);
		lost->findable = false;
	}
}

static void dispose(struct hf_hub *hub, struct hf_lost *lost)
{
	conceal(hub, lost);
	DL_DELETE(hub->losses, lost);
	hf_person_release(hub, lost->person);
	free(lost);
}

static struct hf_lost *find(const struct hf_hub *hub, const char *device)
{
	struct hf_lost *lost;

	HASH_FIND_STR(hub->lost, device, lost);
	return lost;
}

static struct hf_lost *make(
	struct hf_hub *hub, const char *device, struct hf_person *person, enum hf_why why, int64_t due_ms)
{
	struct hf_lost *lost = calloc(1, sizeof(*lost) + strlen(device) + 1);

	if (!lost) {
		return NULL;
	}
	strcpy(lost->device, device);
	lost->why = why;
	lost->person = person;
	if (person) {
		person->references++;
	}
	if (!find(hub, device)) {
		lost->findable = true;
		HASH_ADD_STR(hub->lost, device, lost);
	}
	enlist(hub, lost, due_ms);
	return lost;
}

/* The next connection of this device is another story: it is not to come back any more. */
static void give_up(struct hf_hub *hub, const char *device)
{
	struct hf_lost *lost = find(hub, device);

	if (lost) {
		conceal(hub, lost);
		postpone(hub, lost, 0);
	}
}

static unsigned int grace_ms(const struct hf_hub *hub, const struct hf_member *members, enum hf_why why)
{
	bool agent = false, open = false;

	for (const struct hf_member *member = members; member; member = member->hh.next) {
		agent = agent || (member->participant && member->participant->role == HF_ROLE_AGENT);
		open = open || member->open > 0;
	}
	return open || (agent && why != HF_WHY_GOODBYE) ? hub->options.agent_grace_ms : 0;
}

/* Of one that is taken over the will would have waited. Where the broker's session goes on it does not tell so; then
 * what it told of this client last must do. */
static int64_t will_delay_ms(const struct hf_device *device, enum hf_why why)
{
	if (device->will_delay_ms > 0) {
		return device->will_delay_ms;
	}
	return why == HF_WHY_TAKEN_OVER && device->durable ? (int64_t)device->facts.will_delay_interval * 1000 : 0;
}

void hf_connection_gone(struct hf_hub *hub, struct hf_device *device, enum hf_why why)
{
	int64_t now = hub->broker.monotonic_ms(hub->broker.context);
	int64_t delay = will_delay_ms(device, why), grace = delay > 0 ? delay : grace_ms(hub, device->members, why);

	device->recent = NULL;
	if (!device->members) {
		return;
	}
	give_up(hub, device->id);
	struct hf_lost *lost = make(hub, device->id, device->person, why, now + grace);
	if (!lost) {
		hf_say(hub, HF_LOG_ERROR, "no memory to remember that '%s' is gone", device->id);
		while (device->members) {
			hf_responses_forget(hub, device->members);
			hf_member_end(hub, &device->members, device->members, why);
		}
		return;
	}
	lost->members = device->members;
	device->members = NULL;
}

void hf_connection_back(struct hf_hub *hub, struct hf_device *device)
{
	struct hf_lost *lost = find(hub, device->id);

	device->will_delay_ms = 0;
	if (!lost) {
		return;
	}
	if (lost->person != device->person || hub->broker.monotonic_ms(hub->broker.context) >= lost->due_ms) {
		give_up(hub, device->id);
		return;
	}
	hf_members_check_roles(hub, &lost->members); /* they may be other ones than before a restart */
	device->members = lost->members;
	for (struct hf_member *member = device->members; member; member = member->hh.next) {
		member->by_filter = false; /* if it still has the filter, it comes to that next */
		hf_member_back(hub, member);
	}
	lost->members = NULL;
	dispose(hub, lost);
}

void hf_will_waits(struct hf_hub *hub, const char *id, uint32_t delay_s)
{
	struct hf_lost *lost = find(hub, id);
	struct hf_device *device = hf_device_find(hub, id);
	int64_t delay_ms = (int64_t)delay_s * 1000;

	if (device && device->online) {
		device->will_delay_ms = delay_ms; /* it is being taken over */
	} else if (lost) {
		lost->will_waits = true;
		lost->why = lost->why == HF_WHY_GOODBYE ? HF_WHY_CONNECTION_LOST : lost->why; /* DISCONNECT with reason 0x04 */
		postpone(hub, lost, hub->broker.monotonic_ms(hub->broker.context) + delay_ms + HF_WILL_LATE_MS);
	}
}

void hf_will_sent(struct hf_hub *hub, const char *id)
{
	struct hf_lost *lost = find(hub, id);

	if (!lost) {
		return;
	}
	if (lost->will_waits) {
		postpone(hub, lost, 0);
	} else if (lost->why == HF_WHY_GOODBYE) {
		lost->why = HF_WHY_CONNECTION_LOST;
		postpone(hub, lost, hub->broker.monotonic_ms(hub->broker.context) + grace_ms(hub, lost->members, lost->why));
	}
}

/* Who has come back where it is not known which device it was: any one of the identity. NULL: nobody. */
static struct hf_device *heir(const struct hf_hub *hub, const struct hf_lost *lost)
{
	struct hf_device *device = NULL;

	if (lost->device[0] == '\0' && lost->person && lost->person->online > 0) {
		for (device = hub->devices; device && !(device->online && device->person == lost->person);) {
			device = device->hh.next;
		}
	}
	return device;
}

/* False: the store refuses, the rest has to wait. */
static bool settle(struct hf_hub *hub, struct hf_lost *lost, unsigned int *left)
{
	enum hf_closed closed = lost->why == HF_WHY_GOODBYE ? HF_CLOSED_AGENT_LEFT : HF_CLOSED_AGENT_LOST;
	struct hf_device *device = heir(hub, lost);

	for (; lost->members && *left > 0; --*left) {
		struct hf_member *member = lost->members;
		struct hf_member *to = device && member->open > 0 ? hf_join(hub, device, member->session, false) : NULL;
		if (to) {
			hf_responses_hand_over(hub, member, to);
		} else if (hf_responses_close(hub, member, closed) != HF_OK) {
			return false;
		}
		hf_member_end(hub, &lost->members, member, lost->why);
	}
	return true;
}

void hf_losses_due(struct hf_hub *hub)
{
	int64_t now = hub->broker.monotonic_ms(hub->broker.context);
	unsigned int left = HF_LOST_SLICE;

	while (hub->losses && hub->losses->due_ms <= now) {
		struct hf_lost *lost = hub->losses;
		conceal(hub, lost);
		if (!settle(hub, lost, &left)) {
			postpone(hub, lost, now + HF_RECOVER_MS);
			continue;
		}
		if (lost->members) {
			break; /* the rest of it in the next turn */
		}
		dispose(hub, lost);
	}
	schedule(hub);
}

void hf_losses_check_roles(struct hf_hub *hub)
{
	struct hf_lost *lost;

	DL_FOREACH(hub->losses, lost)
	{
		hf_members_check_roles(hub, &lost->members);
	}
}

void hf_losses_free(struct hf_hub *hub)
{
	while (hub->losses) {
		hf_members_free(hub, &hub->losses->members);
		dispose(hub, hub->losses);
	}
}

/* One more session of a connection that has ended; where nothing is known of that, it ended because of `why`. */
static struct hf_member *join(struct hf_hub *hub, struct hf_session *session, const char *device,
	struct hf_person *person, enum hf_why why, int64_t due_ms)
{
	struct hf_lost *lost = find(hub, device);

	if (!lost || lost->person != person) {
		lost = make(hub, device, person, why, due_ms);
	}
	return lost ? hf_member_restore(hub, &lost->members, session, person) : NULL;
}

struct hf_member *hf_lost_restore(
	struct hf_hub *hub, struct hf_session *session, const char *device, struct hf_person *person)
{
	return join(hub, session, device, person, HF_WHY_RESTART, hub->restart_grace_until_ms);
}

struct hf_member *hf_will_join(struct hf_hub *hub, struct hf_session *session, const char *id, const char *identity)
{
	struct hf_device *device = hf_device_find(hub, id);
	struct hf_person *person = identity ? hf_person_hold(hub, identity) : NULL;
	struct hf_member *member = NULL;

	if (device && device->online && device->person == person) {
		member = hf_join(hub, device, session, false); /* its end is told in a moment */
	} else if (person || !identity) {
		int64_t now = hub->broker.monotonic_ms(hub->broker.context);
		member = join(hub, session, id, person, HF_WHY_CONNECTION_LOST, now + hub->options.agent_grace_ms);
	}
	hf_person_release(hub, person);
	return member;
}
