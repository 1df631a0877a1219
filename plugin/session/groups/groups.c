/* SPDX-License-Identifier: BSD-3-Clause */
/* Groups: where they begin, when they end. */
#include "session/delivery/delivery.h"
#include "session/groups/group.h"

#include <utlist.h>

#define EXPIRE_MS_MAX 3600000 /* between two looks at who is overdue */

static int64_t expiry_ms(const struct hf_hub *hub)
{
	return (int64_t)hub->options.share_expiry_s * 1000;
}

void hf_group_dirty(struct hf_group *group)
{
	if (!group->dirty) {
		group->dirty = true;
		LL_PREPEND2(group->hub->dirty_groups, group, dirty_next);
		hf_hub_due(group->hub, HF_TIMER_CURSORS, group->hub->options.ack_flush_ms);
	}
}

/* ---- the group itself */

static bool write_key(const struct hf_filter *filter, char key[HF_GROUP_KEY_MAX + 1])
{
	if (filter->group.len + 1 + filter->plain.len > HF_GROUP_KEY_MAX) {
		return false;
	}
	memcpy(key, filter->group.data, filter->group.len);
	key[filter->group.len] = '/';
	memcpy(key + filter->group.len + 1, filter->plain.data, filter->plain.len);
	key[filter->group.len + 1 + filter->plain.len] = '\0';
	return true;
}

struct hf_group *hf_group_find(const struct hf_hub *hub, const struct hf_filter *filter)
{
	char key[HF_GROUP_KEY_MAX + 1];
	struct hf_group *group = NULL;

	if (write_key(filter, key)) {
		HASH_FIND_STR(hub->groups, key, group);
	}
	return group;
}

struct hf_group *hf_group_make(struct hf_hub *hub, struct hf_slice key)
{
	struct hf_group *group = calloc(1, sizeof(*group));
	const char *slash = memchr(key.data, '/', key.len);

	if (!group || !slash || !(group->key = strndup(key.data, key.len))) {
		free(group);
		return NULL;
	}
	group->hub = hub;
	group->place.filter = group->key + (slash - key.data) + 1;
	group->passed = hf_store_head(hub->store);
	if (hf_filter_parse(hub->options.root, group->place.filter, &group->place.parsed) != HF_OK) {
		free(group->key); /* of another root */
		free(group);
		return NULL;
	}
	HASH_ADD_KEYPTR(hh, hub->groups, group->key, strlen(group->key), group);
	return group;
}

struct hf_group *hf_group_find_or_make(struct hf_hub *hub, const struct hf_filter *filter)
{
	char key[HF_GROUP_KEY_MAX + 1];
	struct hf_group *group = hf_group_find(hub, filter);

	if (group || !write_key(filter, key)) {
		return group;
	}
	return hf_group_make(hub, hf_slice_of(key));
}

static void drop_lanes(struct hf_group *group)
{
	struct hf_lane *lane, *next;

	HASH_ITER(hh, group->lanes, lane, next)
	{
		hf_lane_drop(lane);
	}
}

/* It has no worker any more. */
static void group_free(struct hf_group *group)
{
	struct hf_hub *hub = group->hub;
	struct hf_lane *lane, *next;

	HASH_ITER(hh, group->lanes, lane, next)
	{
		lane->stored = false; /* as it is in the store, it stays there */
		hf_lane_drop(lane);
	}
	if (group->pending) {
		LL_DELETE2(hub->pending_groups, group, pending_next);
	}
	if (group->dirty) {
		LL_DELETE2(hub->dirty_groups, group, dirty_next);
	}
	for (size_t i = 0; i < group->identity_count; i++) {
		free(group->identities[i].name);
	}
	HASH_DEL(hub->groups, group);
	free(group->identities);
	free(group->key);
	free(group);
}

void hf_group_end(struct hf_group *group)
{
	struct hf_hub *hub = group->hub;

	drop_lanes(group);
	if (hf_share_put(hub->store, hf_slice_of(group->key), HF_SLICE_NONE, NULL) != HF_OK) {
		hf_say(hub, HF_LOG_ERROR, "no memory to end the group %s on disk: it ends once more after the next start",
			group->key);
	}
	hf_hub_due(hub, HF_TIMER_CURSORS, hub->options.ack_flush_ms);
	group_free(group);
}

void hf_groups_free(struct hf_hub *hub)
{
	struct hf_group *group, *next;

	HASH_ITER(hh, hub->groups, group, next)
	{
		group_free(group);
	}
}

/* ---- where it begins */

static enum hf_reason place_in_session(struct hf_group *group, struct hf_position position)
{
	struct hf_session *session = hf_session_use(group->hub, group->place.parsed.session);
	uint64_t first;

	group->passed = hf_store_head(group->hub->store);
	group->beyond = 1;
	if (!session) {
		return HF_NO_MEMORY;
	}
	if (!session->log) {
		return HF_OK;
	}
	group->beyond = hf_log_head(session->log) + 1;
	enum hf_reason reason = hf_position_offset(session->log, position, &first);
	if (reason != HF_OK || first > hf_log_head(session->log)) {
		return reason;
	}
	struct hf_lane *lane = hf_lane_make(group, hf_session_id(session));
	if (!lane) {
		return HF_NO_MEMORY;
	}
	lane->next_offset = first;
	hf_lane_dirty(lane);
	return HF_OK;
}

enum hf_reason hf_group_place(struct hf_group *group, struct hf_position position)
{
	enum hf_reason reason = HF_OK;

	drop_lanes(group);
	group->at_head = false;
	hf_group_dirty(group);
	if (group->place.parsed.any_session) {
		hf_subscription_place_anywhere(group->hub, &group->place, position);
		group->passed = group->place.from;
		group->told = group->place.told;
	} else {
		reason = place_in_session(group, position);
	}
	return reason;
}

/* ---- nobody came for a long time */

void hf_groups_expire(struct hf_hub *hub)
{
	int64_t now = hub->broker.now_ms(hub->broker.context), next_ms = EXPIRE_MS_MAX;
	struct hf_group *group, *next;

	HASH_ITER(hh, hub->groups, group, next)
	{
		int64_t left = group->left_ms + expiry_ms(hub) - now;
		if (group->workers) {
			hf_group_forget(group, now - expiry_ms(hub));
		} else if (left <= 0) {
			hf_say(hub, HF_LOG_INFO, "the group %s ends: it has had no worker for a long time", group->key);
			hf_group_end(group);
		} else if (left < next_ms) {
			next_ms = left;
		}
	}
	if (hub->groups) {
		hf_hub_due(hub, HF_TIMER_GROUPS_END, (unsigned int)next_ms);
	}
}

void hf_groups_start(struct hf_hub *hub)
{
	int64_t now = hub->broker.now_ms(hub->broker.context);

	for (struct hf_group *group = hub->groups; group; group = group->hh.next) {
		if (group->workers) {
			group->left_ms = 0;
		} else if (group->left_ms == 0) {
			group->left_ms = now; /* its workers ended with the broker */
			hf_group_dirty(group);
		}
	}
	hf_groups_expire(hub);
}

void hf_groups_reloaded(struct hf_hub *hub)
{
	for (struct hf_group *group = hub->groups; group; group = group->hh.next) {
		group->stopped = false;
		hf_lanes_queue(&group->waiting, &group->ready);
		hf_group_reconsider(group);
	}
}
