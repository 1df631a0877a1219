/* SPDX-License-Identifier: BSD-3-Clause */
/* Who is in a group, who is there, and who was. */
#include "session/delivery/delivery.h"
#include "session/groups/group.h"

#include <utlist.h>

static bool same_identity(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* ---- the identities of those who are, or were, workers */

bool hf_group_remembers(const struct hf_group *group, struct hf_slice session)
{
	for (size_t i = 0; i < group->identity_count; i++) {
		if (hf_role_may_read(hf_identity_role(group->hub, group->identities[i].name, session))) {
			return true;
		}
	}
	return false;
}

static bool is_worker(const struct hf_group *group, const char *identity)
{
	const struct hf_worker *worker;

	DL_FOREACH(group->workers, worker)
	{
		if (same_identity(worker->device->identity, identity)) {
			return true;
		}
	}
	return false;
}

static struct hf_group_identity *identity_of(const struct hf_group *group, const char *name)
{
	for (size_t i = 0; i < group->identity_count; i++) {
		if (same_identity(group->identities[i].name, name)) {
			return &group->identities[i];
		}
	}
	return NULL;
}

/* Those that nobody may go on with are looked at again: there may be nobody left that they wait for, or somebody new.
 */
void hf_group_reconsider(struct hf_group *group)
{
	for (struct hf_lane *lane = group->lanes; lane; lane = lane->hh.next) {
		if (!lane->list && hf_lane_works(lane)) {
			hf_lane_queue(lane, &group->ready);
		}
	}
	hf_group_pend(group);
}

static void forget(struct hf_group *group, struct hf_group_identity *identity)
{
	free(identity->name);
	*identity = group->identities[--group->identity_count];
	hf_group_dirty(group);
	hf_group_reconsider(group);
}

/* Make room for one more: whoever was here longest ago and is no worker has to go. */
static bool forget_oldest(struct hf_group *group)
{
	struct hf_group_identity *oldest = NULL;

	for (size_t i = 0; i < group->identity_count; i++) {
		struct hf_group_identity *identity = &group->identities[i];
		if (!is_worker(group, identity->name) && (!oldest || identity->seen_ms < oldest->seen_ms)) {
			oldest = identity;
		}
	}
	if (oldest) {
		forget(group, oldest);
	}
	return oldest != NULL;
}

bool hf_group_remember(struct hf_group *group, const char *name, int64_t seen_ms)
{
	struct hf_group_identity *identity = identity_of(group, name), *grown;
	char *copy = NULL;

	if (identity) {
		identity->seen_ms = seen_ms;
		return true;
	}
	if (group->identity_count >= HF_GROUP_IDENTITIES_MAX && !forget_oldest(group)) {
		return true; /* all are workers: one more counts for as long as it is one */
	}
	grown = realloc(group->identities, (group->identity_count + 1) * sizeof(*grown));
	if (!grown) {
		return false;
	}
	group->identities = grown;
	if (name && !(copy = strdup(name))) {
		return false;
	}
	grown[group->identity_count++] = (struct hf_group_identity){.name = copy, .seen_ms = seen_ms};
	hf_group_dirty(group);
	return true;
}

void hf_group_forget(struct hf_group *group, int64_t before_ms)
{
	size_t i = 0;

	while (i < group->identity_count) {
		struct hf_group_identity *identity = &group->identities[i];
		if (!is_worker(group, identity->name) && identity->seen_ms <= before_ms) {
			forget(group, identity);
		} else {
			i++;
		}
	}
}

/* ---- workers come and go */

struct hf_worker *hf_group_worker(const struct hf_group *group, const struct hf_device *device)
{
	for (size_t i = 0; i < device->subscription_count; i++) {
		struct hf_worker *worker = device->subscriptions[i].worker;
		if (worker && worker->group == group) {
			return worker;
		}
	}
	return NULL;
}

static void begin(struct hf_group *group)
{
	struct hf_hub *hub = group->hub;

	group->stopped = group->at_head = false;
	if (group->place.parsed.any_session) {
		DL_APPEND(hub->any_groups, group);
		return;
	}
	group->session = hf_session_use(hub, group->place.parsed.session);
	if (group->session) {
		DL_APPEND(group->session->groups, group);
	} else {
		hf_say(hub, HF_LOG_ERROR, "no memory to watch a session for the group %s", group->key);
	}
}

static void rest(struct hf_group *group)
{
	struct hf_hub *hub = group->hub;

	if (group->at_head) {
		hf_group_note_head(group);
		group->at_head = false;
	}
	if (group->place.parsed.any_session) {
		DL_DELETE(hub->any_groups, group);
	} else if (group->session) {
		DL_DELETE(group->session->groups, group);
		group->session->used_ms = hub->broker.monotonic_ms(hub->broker.context);
		group->session = NULL;
	}
}

static void online(struct hf_worker *worker)
{
	struct hf_group *group = worker->group;

	hf_group_remember(group, worker->device->identity, group->hub->broker.now_ms(group->hub->broker.context));
	if (!worker->online) {
		worker->online = true;
		if (group->online++ == 0) {
			begin(group);
		}
	}
	group->stopped = false;
	hf_lanes_queue(&group->waiting, &group->ready);
	hf_group_reconsider(group);
}

static void offline(struct hf_worker *worker)
{
	struct hf_group *group = worker->group;
	struct hf_group_identity *identity = identity_of(group, worker->device->identity);

	if (!worker->online) {
		return;
	}
	if (identity) {
		identity->seen_ms = group->hub->broker.now_ms(group->hub->broker.context);
		hf_group_dirty(group);
	}
	worker->online = false;
	hf_lanes_queue(&worker->waiting, &group->ready);
	hf_lanes_queue(&group->waiting, &group->ready); /* it may be the one whom these waited for */
	if (--group->online == 0) {
		rest(group);
	} else {
		hf_group_pend(group);
	}
}

void hf_workers_online(struct hf_device *device)
{
	for (size_t i = 0; i < device->subscription_count; i++) {
		if (device->subscriptions[i].worker) {
			online(device->subscriptions[i].worker);
		}
	}
}

void hf_workers_offline(struct hf_device *device)
{
	for (size_t i = 0; i < device->subscription_count; i++) {
		if (device->subscriptions[i].worker) {
			offline(device->subscriptions[i].worker);
		}
	}
}

enum hf_reason hf_group_may_join(
	const struct hf_hub *hub, const struct hf_device *device, const struct hf_filter *filter)
{
	const struct hf_group *group = hf_group_find(hub, filter);
	size_t count = 0;

	if (!(filter->kinds & HF_KINDS_LOGGED) || filter->group.len + 1 + filter->plain.len > HF_GROUP_KEY_MAX) {
		return HF_SHARE_INVALID;
	}
	if (group && identity_of(group, device->identity)) {
		return HF_OK;
	}
	if (!group && HASH_COUNT(hub->groups) >= HF_GROUPS_MAX) {
		return HF_SHARES_TOO_MANY;
	}
	for (group = hub->groups; group; group = group->hh.next) {
		count += identity_of(group, device->identity) != NULL;
	}
	return count >= HF_GROUPS_EACH_MAX ? HF_SHARES_TOO_MANY : HF_OK;
}

static struct hf_worker *worker_make(struct hf_group *group, struct hf_device *device)
{
	struct hf_worker *worker = calloc(1, sizeof(*worker));

	if (worker) {
		worker->group = group;
		worker->device = device;
		DL_APPEND(group->workers, worker);
	}
	return worker;
}

/* Is anybody online in it but this device? */
static bool others_online(const struct hf_group *group, const struct hf_worker *worker)
{
	return group->online > (worker && worker->online ? 1u : 0u);
}

enum hf_reason hf_group_join(struct hf_hub *hub, struct hf_device *device, const struct hf_filter *filter,
	uint8_t options, uint32_t identifier, struct hf_worker **worker)
{
	struct hf_group *group = hf_group_find(hub, filter);
	bool fresh = !group;
	enum hf_reason reason = HF_OK;

	group = group ? group : hf_group_find_or_make(hub, filter);
	if (!group || (!*worker && !(*worker = worker_make(group, device)))) {
		if (group && fresh) {
			hf_group_end(group);
		}
		return HF_NO_MEMORY;
	}
	(*worker)->qos = options & 0x03;
	(*worker)->identifier = identifier;
	if (group->left_ms != 0) {
		group->left_ms = 0;
		hf_group_dirty(group);
	}
	/* A group at work is joined where it is: else everyone who joins with $from would send all others back. */
	bool begins = fresh || (filter->verb == HF_VERB_FROM && !others_online(group, *worker));
	if (begins) {
		reason = hf_group_place(group, filter->position);
	}
	if (device->online) {
		/* That it had no room was found out for a group which it may have left since, so that nothing tells of it. */
		hf_group_room(hub, device);
		online(*worker);
	}
	if (begins && reason == HF_OK) {
		reason = hf_devices_write(hub); /* before the SUBACK: from then on nothing may be lost */
	}
	return reason;
}

struct hf_worker *hf_group_rejoin(
	struct hf_hub *hub, struct hf_device *device, const struct hf_filter *filter, uint8_t options, uint32_t identifier)
{
	struct hf_group *group = hf_group_find_or_make(hub, filter);
	struct hf_worker *worker = group ? worker_make(group, device) : NULL;

	if (worker) {
		worker->qos = options & 0x03;
		worker->identifier = identifier;
	}
	return worker;
}

void hf_group_leave(struct hf_worker *worker, bool asked)
{
	struct hf_group *group = worker->group;
	struct hf_hub *hub = group->hub;
	const char *identity = worker->device->identity;

	offline(worker);
	DL_DELETE(group->workers, worker);
	if (!group->workers && asked) {
		hf_group_end(group);
	} else if (asked && !is_worker(group, identity) && identity_of(group, identity)) {
		forget(group, identity_of(group, identity));
	} else if (!group->workers) {
		group->left_ms = hub->broker.now_ms(hub->broker.context);
		hf_group_dirty(group);
		hf_hub_due_by(hub, HF_TIMER_GROUPS_END, HF_RETRY_MS); /* to find out when it ends */
	}
	free(worker);
}
