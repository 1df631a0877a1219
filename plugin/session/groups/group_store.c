/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Groups in the store. One value for the group, under {name}/{filter}, and one for each lane that was not finished soon
 * (format 1, integers little-endian):
 *
 *      0  u8   format, 1                                      0  u8   format, 1
 *      1  u8   0                                              1  u8   0
 *      2  u16  number of identities                           2  u16  0
 *      4  u32  0                                              4  u32  number of loans
 *      8  u64  passed                                         8  u64  next_offset
 *     16  u64  floor      } of a filter with a wildcard      16       each loan: u64 LSN | u64 offset
 *     24  u64  last_n     } session: see struct
 *     32  u64  last_lsn   } hf_subscription
 *     40  i64  left_ms
 *     48  u64  beyond
 *     56       each identity: i64 seen_ms | u16 length, 65535 when anonymous | name
 *
 * What is acknowledged is not there; what was acknowledged just before a kill may be, and comes once more. A group and
 * its lanes are written together: an entry that `passed` is behind is either done with, or in a lane.
 */
#include "session/delivery/delivery.h"
#include "session/groups/group.h"
#include "session/record.h"

#include <utlist.h>

#define FORMAT 1
#define GROUP_SIZE 56
#define IDENTITY_SIZE 10
#define ANONYMOUS 65535
#define LANE_SIZE 16
#define LOAN_SIZE 16

static bool encode_group(const struct hf_group *group, struct hf_buffer *out)
{
	size_t size = GROUP_SIZE;

	for (size_t i = 0; i < group->identity_count; i++) {
		size += IDENTITY_SIZE + (group->identities[i].name ? strlen(group->identities[i].name) : 0);
	}
	hf_buffer_clear(out);
	unsigned char *at = hf_buffer_reserve(out, size);
	if (!at) {
		return false;
	}
	out->len = size;
	hf_record_put(&at, FORMAT, 1);
	hf_record_put(&at, 0, 1);
	hf_record_put(&at, group->identity_count, 2);
	hf_record_put(&at, 0, 4);
	hf_record_put(&at, group->passed, 8);
	hf_record_put(&at, group->place.floor, 8);
	hf_record_put(&at, group->place.last_n, 8);
	hf_record_put(&at, group->place.last_lsn, 8);
	hf_record_put(&at, (uint64_t)group->left_ms, 8);
	hf_record_put(&at, group->beyond, 8);
	for (size_t i = 0; i < group->identity_count; i++) {
		const struct hf_group_identity *identity = &group->identities[i];
		size_t len = identity->name ? strlen(identity->name) : 0;
		hf_record_put(&at, (uint64_t)identity->seen_ms, 8);
		hf_record_put(&at, identity->name ? len : ANONYMOUS, 2);
		hf_record_put_text(&at, identity->name ? identity->name : "", len);
	}
	return true;
}

static bool encode_lane(const struct hf_lane *lane, struct hf_buffer *out)
{
	const struct hf_loan *loan;
	size_t count = 0;

	DL_COUNT(lane->loans, loan, count);
	hf_buffer_clear(out);
	unsigned char *at = hf_buffer_reserve(out, LANE_SIZE + count * LOAN_SIZE);
	if (!at) {
		return false;
	}
	out->len = LANE_SIZE + count * LOAN_SIZE;
	hf_record_put(&at, FORMAT, 1);
	hf_record_put(&at, 0, 3);
	hf_record_put(&at, count, 4);
	hf_record_put(&at, lane->next_offset, 8);
	DL_FOREACH(lane->loans, loan)
	{
		hf_record_put(&at, loan->lsn, 8);
		hf_record_put(&at, loan->offset, 8);
	}
	return true;
}

static enum hf_reason put(struct hf_hub *hub, const struct hf_group *group, const char *session, bool encoded)
{
	struct hf_slice value = hf_buffer_slice(&hub->scratch);

	return encoded ? hf_share_put(hub->store, hf_slice_of(group->key), hf_slice_of(session), &value) : HF_NO_MEMORY;
}

enum hf_reason hf_groups_put(struct hf_hub *hub)
{
	struct hf_group *group, *next;

	LL_FOREACH_SAFE2(hub->dirty_groups, group, next, dirty_next)
	{
		for (struct hf_lane *lane = group->lanes; lane; lane = lane->hh.next) {
			enum hf_reason reason =
				lane->dirty ? put(hub, group, lane->session, encode_lane(lane, &hub->scratch)) : HF_OK;
			if (reason != HF_OK) {
				return reason;
			}
			lane->stored = lane->stored || lane->dirty;
			lane->dirty = false;
		}
		enum hf_reason reason = put(hub, group, "", encode_group(group, &hub->scratch));
		if (reason != HF_OK) {
			return reason;
		}
		LL_DELETE2(hub->dirty_groups, group, dirty_next);
		group->dirty = false;
	}
	return HF_OK;
}

void hf_group_note_head(struct hf_group *group)
{
	group->passed = hf_store_head(group->hub->store);
	if (group->session) {
		group->beyond = hf_session_head(group->session) + 1;
	}
	hf_group_dirty(group);
}

void hf_groups_note_head(struct hf_hub *hub, uint64_t far)
{
	for (struct hf_group *group = hub->groups; group; group = group->hh.next) {
		if (group->at_head && hf_store_head(hub->store) - group->passed > far) {
			hf_group_note_head(group);
		}
	}
}

/* ---- and back */

static bool decode_group(struct hf_group *group, struct hf_slice value)
{
	const char *at = value.data, *end = value.data + value.len;

	if (value.len < GROUP_SIZE || hf_record_take(&at, 1) != FORMAT) {
		return false;
	}
	at++;
	size_t count = (size_t)hf_record_take(&at, 2);
	at += 4;
	group->passed = hf_record_take(&at, 8);
	group->place.floor = hf_record_take(&at, 8);
	group->place.last_n = hf_record_take(&at, 8);
	group->place.last_lsn = hf_record_take(&at, 8);
	group->left_ms = (int64_t)hf_record_take(&at, 8);
	group->beyond = hf_record_take(&at, 8);
	group->told =
		group->place.last_n == 0 ? group->place.last_lsn : 0; /* as it began: hf_subscription_place_anywhere */
	for (size_t i = 0; i < count; i++) {
		if (end - at < IDENTITY_SIZE) {
			return false;
		}
		int64_t seen_ms = (int64_t)hf_record_take(&at, 8);
		size_t len = (size_t)hf_record_take(&at, 2);
		bool anonymous = len == ANONYMOUS;
		len = anonymous ? 0 : len;
		if ((size_t)(end - at) < len) {
			return false;
		}
		char *name = anonymous ? NULL : strndup(at, len);
		bool ok = (anonymous || name) && hf_group_remember(group, name, seen_ms);
		free(name);
		if (!ok) {
			return false;
		}
		at += len;
	}
	return at == end;
}

static bool decode_lane(struct hf_group *group, struct hf_slice session, struct hf_slice value)
{
	const char *at = value.data;

	if (session.len > HF_SESSION_ID_MAX || value.len < LANE_SIZE || hf_record_take(&at, 1) != FORMAT) {
		return false;
	}
	at += 3;
	size_t count = (size_t)hf_record_take(&at, 4);
	struct hf_lane *lane = value.len == LANE_SIZE + count * LOAN_SIZE ? hf_lane_make(group, session) : NULL;
	if (!lane) {
		return false;
	}
	lane->stored = true;
	lane->next_offset = hf_record_take(&at, 8);
	for (size_t i = 0; i < count; i++) {
		uint64_t lsn = hf_record_take(&at, 8), offset = hf_record_take(&at, 8);
		if (!hf_loan_make(lane, lsn, offset)) {
			return false;
		}
	}
	hf_lane_queue(lane, &group->ready);
	return true;
}

/* A group comes before its lanes: it is the one with the empty session. */
static bool load_one(void *context, struct hf_slice key, struct hf_slice session, struct hf_slice value)
{
	struct hf_hub *hub = context;
	struct hf_group *group;
	bool ok = true;

	HASH_FIND(hh, hub->groups, key.data, key.len, group);
	if (session.len == 0) {
		group = hf_group_make(hub, key);
		ok = !group || decode_group(group, value); /* one of another root stays where it is */
	} else if (group) {
		ok = decode_lane(group, session, value);
	}
	if (!ok) {
		hf_say(hub, HF_LOG_ERROR, "what the group %.*s has unfinished%s%.*s cannot be read from the store",
			(int)key.len, key.data, session.len > 0 ? " in session " : "", (int)session.len, session.data);
	}
	return true;
}

enum hf_reason hf_groups_load(struct hf_hub *hub)
{
	enum hf_reason reason = hf_share_each(hub->store, load_one, hub);

	for (struct hf_group *group = hub->groups; group; group = group->hh.next) {
		group->dirty = false; /* as it is in the store */
	}
	hub->dirty_groups = NULL;
	return reason;
}
