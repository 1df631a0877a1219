/* SPDX-License-Identifier: BSD-3-Clause */
/* Sessions: a list of them, and all that is known of one, but what was said in it. */
#include "session/admin/admin.h"
#include "session/kinds/kinds.h"
#include "session/people/people.h"
#include "session/people/presence.h"

#include <fnmatch.h>
#include <stdio.h>

#define PARTICIPANTS_MAX 500

static const char *state_name(uint8_t state)
{
	return state & HF_STATE_ERASED ? "erased" : state & HF_STATE_CLOSED ? "closed" : "open";
}

/* ---- the list */

struct list {
	struct hf_admin *admin;
	cJSON *rows;
	uint64_t count;
	char last[HF_SESSION_ID_MAX + 1]; /* the session that was looked at last */
	bool more;
};

static bool is_wanted(const struct hf_admin *admin, const char *id, const struct hf_session_info *info)
{
	const struct hf_admin_arguments *arguments = &admin->arguments;

	return (arguments->match.len == 0 || fnmatch(arguments->match.data, id, 0) == 0) &&
		   (arguments->state.len == 0 || hf_slice_is(arguments->state, state_name(info->state))) &&
		   info->changed_ms >= arguments->from_ms && info->created_ms <= arguments->to_ms;
}

static void put_session(struct hf_admin *admin, cJSON *row, const struct hf_session_info *info)
{
	hf_admin_put_text(admin, row, "session", info->session);
	hf_admin_put_text(admin, row, "state", hf_slice_of(state_name(info->state)));
	hf_admin_put_number(admin, row, "head", info->head);
	hf_admin_put_number(admin, row, "tail", info->tail);
	hf_admin_put_number(admin, row, "bytes", info->bytes);
	hf_admin_put_time(admin, row, "created", info->created_ms);
	hf_admin_put_time(admin, row, "changed", info->changed_ms);
}

static bool list_one(void *context, const struct hf_session_info *info)
{
	struct list *list = context;
	struct hf_admin *admin = list->admin;
	char id[HF_SESSION_ID_MAX + 1];

	if (list->count == admin->arguments.limit || !hf_admin_look(admin)) {
		list->more = true;
		return false;
	}
	snprintf(id, sizeof(id), "%.*s", (int)info->session.len, info->session.data);
	if (is_wanted(admin, id, info) && hf_admin_sees(admin, info->session)) {
		put_session(admin, hf_admin_put_object(admin, list->rows, NULL), info);
		list->count++;
	}
	memcpy(list->last, id, sizeof(id));
	return true;
}

static bool is_state(struct hf_slice name)
{
	return name.len == 0 || hf_slice_is(name, "open") || hf_slice_is(name, "closed") || hf_slice_is(name, "erased");
}

enum hf_reason hf_admin_list_sessions(struct hf_admin *admin, cJSON *data)
{
	struct list list = {.admin = admin, .rows = hf_admin_put_array(admin, data, "sessions")};

	if (!is_state(admin->arguments.state)) {
		snprintf(admin->message, sizeof(admin->message), "'state' is open, closed or erased");
		return HF_ARGUMENT_INVALID;
	}
	if (admin->arguments.after.len > 0 && !hf_session_id_valid(admin->arguments.after)) {
		snprintf(admin->message, sizeof(admin->message), "'after' is what a page before had as 'next'");
		return HF_ARGUMENT_INVALID;
	}
	enum hf_reason reason = hf_session_each(admin->hub->store, admin->arguments.after, list_one, &list);
	if (list.more) {
		hf_admin_put_text(admin, data, "next", hf_slice_of(list.last));
	}
	return reason;
}

/* ---- one session */

static void put_participants(struct hf_admin *admin, cJSON *data, const struct hf_session *session)
{
	cJSON *rows = hf_admin_put_array(admin, data, "participants");
	const struct hf_participant *one = session->participants;

	for (; one && hf_admin_look(admin); one = one->hh.next) {
		cJSON *row = hf_admin_put_object(admin, rows, NULL);
		hf_admin_put_text(admin, row, "identity", hf_slice_of(one->person->identity));
		hf_admin_put_text(admin, row, "role", hf_slice_of(hf_role_name(one->role)));
		hf_admin_put_text(admin, row, "state", hf_slice_of(hf_presence_name(one->state)));
		hf_admin_put_text(admin, row, "why", hf_slice_of(hf_why_name(one->why)));
		hf_admin_put_text(admin, row, "status", hf_buffer_slice(&one->status));
		hf_admin_put_number(admin, row, "devices", one->devices);
		if (one->since_ms) {
			hf_admin_put_time(admin, row, "since", one->since_ms);
		}
	}
}

/* Those that are open. */
static void put_responses(struct hf_admin *admin, cJSON *data, const struct hf_session *session)
{
	cJSON *rows = hf_admin_put_array(admin, data, "responses");
	const struct hf_response *one = session->responses;

	for (; one && hf_admin_look(admin); one = one->hh.next) {
		if (one->end != HF_END_NONE) {
			continue;
		}
		cJSON *row = hf_admin_put_object(admin, rows, NULL);
		hf_admin_put_text(
			admin, row, "id", hf_slice_from(one->key + one->identity_len + 1, one->key_len - one->identity_len - 1));
		hf_admin_put_text(admin, row, "identity", hf_slice_from(one->key, one->identity_len));
		hf_admin_put_number(admin, row, "batches", one->next_seq);
		hf_admin_put_number(admin, row, "offset", one->last_offset);
		hf_admin_put_flag(admin, row, "stalled", one->stalled);
	}
}

static void put_asks(struct hf_admin *admin, cJSON *data, const struct hf_session *session)
{
	cJSON *rows = hf_admin_put_array(admin, data, "asks");
	size_t count = hf_asks_list(session, NULL);
	struct hf_document_ask *asks = calloc(count + 1, sizeof(*asks));

	if (!asks) {
		admin->no_memory = true;
		return;
	}
	hf_asks_list(session, asks);
	for (size_t i = 0; i < count && hf_admin_look(admin); i++) {
		cJSON *row = hf_admin_put_object(admin, rows, NULL);
		hf_admin_put_text(admin, row, "id", asks[i].id);
		hf_admin_put_text(admin, row, "identity", asks[i].identity);
		hf_admin_put_number(admin, row, "offset", asks[i].offset);
		hf_admin_put_time(admin, row, "expires", (int64_t)asks[i].expires_ms);
	}
	free(asks);
}

static void put_floor(struct hf_admin *admin, cJSON *data, const struct hf_session *session)
{
	cJSON *floor = hf_admin_put_object(admin, data, "floor");
	struct hf_document_floor shown;

	hf_floor_show(session, &shown);
	hf_admin_put_text(admin, floor, "state", hf_slice_of(shown.holder.len > 0 ? "held" : "open"));
	hf_admin_put_number(admin, floor, "epoch", shown.epoch);
	hf_admin_put_text(admin, floor, "holder", shown.holder);
	hf_admin_put_text(admin, floor, "to", shown.to);
}

static void put_audience(struct hf_admin *admin, cJSON *data, const struct hf_session *session)
{
	cJSON *row = hf_admin_put_object(admin, data, "audience");
	struct hf_audience audience;

	hf_session_audience(admin->hub, session, &audience);
	hf_admin_put_number(admin, row, "people", audience.people);
	hf_admin_put_number(admin, row, "devices", audience.devices);
	hf_admin_put_number(admin, row, "caughtUp", audience.caught_up);
}

void hf_admin_put_limits(struct hf_admin *admin, cJSON *data, const struct hf_retention *limits)
{
	cJSON *row = hf_admin_put_object(admin, data, "limits");

	hf_admin_put_number(admin, row, "age", limits->age_ms);
	hf_admin_put_number(admin, row, "bytes", limits->bytes);
	hf_admin_put_number(admin, row, "count", limits->count);
}

enum hf_reason hf_admin_get_session(struct hf_admin *admin, cJSON *data)
{
	struct hf_session *session = hf_session_use(admin->hub, admin->arguments.session);

	if (!session) {
		return HF_NO_MEMORY;
	}
	if (!session->log) {
		return HF_SESSION_UNKNOWN;
	}
	enum hf_reason reason = hf_participants_load_all(admin->hub, session, PARTICIPANTS_MAX);
	if (reason != HF_OK) {
		return reason;
	}
	put_session(admin, data,
		&(struct hf_session_info){
			.session = hf_session_id(session),
			.head = hf_log_head(session->log),
			.tail = hf_log_tail(session->log),
			.bytes = hf_log_bytes(session->log),
			.created_ms = hf_log_created(session->log),
			.changed_ms = hf_log_time(session->log),
			.state = hf_log_state(session->log),
		});
	put_floor(admin, data, session);
	put_audience(admin, data, session);
	hf_admin_put_limits(admin, data, &session->retention);
	put_participants(admin, data, session);
	put_responses(admin, data, session);
	put_asks(admin, data, session);
	if (admin->looks == 0 || HASH_COUNT(session->participants) >= PARTICIPANTS_MAX) {
		hf_admin_put_flag(admin, data, "incomplete", true);
	}
	return HF_OK;
}
