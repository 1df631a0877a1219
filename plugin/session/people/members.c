/* SPDX-License-Identifier: BSD-3-Clause */
/* Members: the devices in a session, and how they come and go. */
#include "session/kinds/kinds.h"
#include "session/log/ending.h"
#include "session/people/people.h"
#include "session/people/presence.h"

#include <utlist.h>

static struct hf_member *find(struct hf_member *members, const struct hf_session *session)
{
	struct hf_member *member;

	HASH_FIND_PTR(members, &session, member);
	return member;
}

static void unlink_member(struct hf_hub *hub, struct hf_member **members, struct hf_member *member)
{
	struct hf_session *session = member->session;

	HASH_DEL(*members, member);
	if (member->participant) {
		member->participant->members--;
	}
	session->member_count--;
	session->used_ms = hub->broker.monotonic_ms(hub->broker.context);
	free(member);
}

static struct hf_member *make(
	struct hf_hub *hub, struct hf_member **members, struct hf_session *session, struct hf_person *person)
{
	struct hf_participant *participant = person ? hf_participant_get(hub, session, person) : NULL;
	struct hf_member *member = person && !participant ? NULL : calloc(1, sizeof(*member));

	if (!member) {
		return NULL; /* the participant that nobody needs goes with its session */
	}
	member->session = session;
	member->participant = participant;
	if (participant) {
		participant->members++;
	}
	HASH_ADD_PTR(*members, session, member);
	session->member_count++;
	hf_session_active(hub, session);
	return member;
}

static void count(struct hf_hub *hub, struct hf_member *member)
{
	member->counted = true;
	if (member->participant) {
		hf_participant_counted(hub, member->participant);
	}
}

static bool has_room(const struct hf_device *device)
{
	return HASH_COUNT(device->members) < HF_MEMBERS_MAX;
}

/* The session in which it published first, and where it neither reads nor streams. NULL: there is none. */
static struct hf_member *idle(const struct hf_device *device)
{
	struct hf_member *member = device->members;

	while (member && (member->by_filter || member->open > 0)) {
		member = member->hh.next;
	}
	return member;
}

/* Room for one more, if need be where it was idle. */
static bool make_room(struct hf_hub *hub, struct hf_device *device)
{
	struct hf_member *left = has_room(device) ? NULL : idle(device);

	if (left) {
		device->recent = NULL;
		hf_member_end(hub, &device->members, left, HF_WHY_LEFT);
	}
	return left || has_room(device);
}

bool hf_may_join(const struct hf_device *device, const struct hf_session *session)
{
	return has_room(device) || find(device->members, session) || idle(device);
}

struct hf_member *hf_join(struct hf_hub *hub, struct hf_device *device, struct hf_session *session, bool by_filter)
{
	struct hf_member *member = device->recent;

	if (hf_session_erased(session)) {
		return NULL;
	}
	if (!member || member->session != session) {
		member = find(device->members, session);
	}
	if (!member && make_room(hub, device)) {
		member = make(hub, &device->members, session, device->person);
		if (member && member->participant) {
			member->participant->role = hf_device_role(hub, device, hf_session_id(session));
		}
		if (member) {
			count(hub, member);
		}
	}
	if (member) {
		member->by_filter = member->by_filter || by_filter;
		device->recent = member;
	}
	return member;
}

void hf_leave(struct hf_hub *hub, struct hf_device *device, struct hf_session *session)
{
	struct hf_member *member = find(device->members, session);

	if (!member) {
		return;
	}
	member->by_filter = false;
	if (member->open == 0) {
		device->recent = NULL;
		hf_member_end(hub, &device->members, member, HF_WHY_LEFT);
	}
}

struct hf_member *hf_member_restore(
	struct hf_hub *hub, struct hf_member **members, struct hf_session *session, struct hf_person *person)
{
	struct hf_member *member = find(*members, session);

	member = member ? member : make(hub, members, session, person);
	if (member && member->participant && member->participant->role == HF_ROLE_NONE) { /* killed before it was written */
		member->participant->role = hf_identity_role(hub, person->identity, hf_session_id(session));
	}
	return member;
}

void hf_member_end(struct hf_hub *hub, struct hf_member **members, struct hf_member *member, enum hf_why why)
{
	if (member->participant) {
		hf_participant_discounted(hub, member->participant, member->counted, why);
	}
	unlink_member(hub, members, member);
}

void hf_member_back(struct hf_hub *hub, struct hf_member *member)
{
	struct hf_participant *participant = member->participant;

	if (participant && participant->willed) {
		hf_participant_say(hub, participant, HF_SLICE_NONE, false); /* its will, of a connection that was taken over */
	}
	if (!member->counted) {
		count(hub, member);
	}
}

void hf_members_free(struct hf_hub *hub, struct hf_member **members)
{
	while (*members) {
		unlink_member(hub, members, *members);
	}
}

static void dismiss(struct hf_hub *hub, struct hf_member **members, struct hf_session *session)
{
	struct hf_member *member = find(*members, session);

	if (member) {
		hf_member_end(hub, members, member, HF_WHY_LEFT);
	}
}

void hf_session_dismiss(struct hf_hub *hub, struct hf_session *session)
{
	struct hf_lost *lost;

	for (struct hf_device *device = hub->devices; device && session->member_count > 0; device = device->hh.next) {
		device->recent = NULL;
		dismiss(hub, &device->members, session);
	}
	DL_FOREACH(hub->losses, lost)
	{
		dismiss(hub, &lost->members, session);
	}
	hf_presence_hide(hub, session);
	hf_participants_free(hub, session);
}

/* May it go on with its responses? */
static bool may_answer(struct hf_hub *hub, const struct hf_member *member, enum hf_role role)
{
	struct hf_slice identity = member->participant ? hf_slice_of(member->participant->person->identity) : HF_SLICE_NONE;

	return member->open == 0 ||
		   (hf_role_may_publish(role, HF_KIND_TOKENS) && hf_floor_allows(hub, member->session, identity));
}

/* Nobody shall wait for the rest. False: the store takes no notice of it; then the floor's timer tries again. */
static bool end_answers(struct hf_hub *hub, struct hf_member *member)
{
	bool ended = hf_responses_close(hub, member, HF_CLOSED_AGENT_LEFT) == HF_OK;

	if (!ended) {
		member->session->floor.unsettled = true;
		hf_hub_due_by(hub, HF_TIMER_FLOOR, HF_RECOVER_MS);
	}
	return ended;
}

void hf_members_check_roles(struct hf_hub *hub, struct hf_member **members)
{
	struct hf_member *member, *next;

	HASH_ITER(hh, *members, member, next)
	{
		struct hf_participant *participant = member->participant;
		const char *identity = participant ? participant->person->identity : NULL;
		enum hf_role role = hf_identity_role(hub, identity, hf_session_id(member->session));
		if (!hf_role_may_read(role)) {
			if (end_answers(hub, member)) {
				hf_member_end(hub, members, member, HF_WHY_ROLE);
			}
			continue;
		}
		if (!may_answer(hub, member, role)) {
			end_answers(hub, member);
		}
		if (participant && participant->role != role) {
			participant->role = role;
			hf_presence_changed(hub, participant);
		}
	}
}
