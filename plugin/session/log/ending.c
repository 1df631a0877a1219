/* SPDX-License-Identifier: BSD-3-Clause */
#include "session/log/ending.h"
#include "session/audit/holds.h"
#include "session/audit/notes.h"
#include "session/kinds/kinds.h"
#include "session/log/log.h"
#include "session/people/people.h"

#include <stdio.h>

#define AGE_MIN_MS 1000

/* ---- has it? */

const char *hf_log_ended(const struct hf_log *log)
{
	uint8_t state = log ? hf_log_state(log) : 0;

	return state & HF_STATE_ERASED ? "erased" : state & HF_STATE_CLOSED ? "closed" : NULL;
}

const char *hf_log_why_gone(const struct hf_log *log)
{
	return hf_log_state(log) & HF_STATE_ERASED ? "erased" : "truncated";
}

enum hf_reason hf_session_ended(const struct hf_session *session)
{
	uint8_t state = session->log ? hf_log_state(session->log) : 0;

	return state & HF_STATE_ERASED ? HF_SESSION_ERASED : state & HF_STATE_CLOSED ? HF_SESSION_CLOSED : HF_OK;
}

bool hf_session_erased(const struct hf_session *session)
{
	return hf_session_ended(session) == HF_SESSION_ERASED;
}

/* A session that there is. */
static enum hf_reason find(struct hf_hub *hub, struct hf_slice id, struct hf_session **out)
{
	*out = hf_session_use(hub, id);
	if (!*out) {
		return HF_NO_MEMORY;
	}
	return (*out)->log ? HF_OK : HF_SESSION_UNKNOWN;
}

/* ---- closing */

/* Nobody shall wait for what cannot come any more. */
static enum hf_reason end_what_is_open(struct hf_hub *hub, struct hf_session *session, const struct hf_asker *asker)
{
	enum hf_reason reason = hf_responses_close_all(hub, session, HF_CLOSED_SESSION);

	if (reason == HF_OK) {
		reason = hf_asks_close(hub, session, hf_slice_of(hf_closed_name(HF_CLOSED_SESSION)));
	}
	return reason == HF_OK ? hf_floor_close(hub, session, asker->identity) : reason;
}

static void closed(struct hf_log *log)
{
	hf_log_set_state(log, hf_log_state(log) | HF_STATE_CLOSED);
}

static enum hf_reason close(struct hf_hub *hub, struct hf_session *session, const struct hf_asker *asker)
{
	const struct hf_notice notice = {.kind = HF_NOTICE_CLOSED, .by = hf_slice_of(asker->identity)};
	enum hf_reason reason = end_what_is_open(hub, session, asker);

	if (reason == HF_OK) {
		reason = hf_append_notice(hub, session, &notice);
	}
	if (reason == HF_OK) {
		hf_session_state_changed(hub, session, true);
	}
	return reason;
}

enum hf_reason hf_session_close(struct hf_hub *hub, struct hf_slice id, const struct hf_asker *asker, uint64_t *offset)
{
	struct hf_session *session;
	enum hf_reason reason = find(hub, id, &session);

	if (reason == HF_OK && hf_session_erased(session)) {
		reason = HF_SESSION_ERASED;
	}
	if (reason == HF_OK && hf_session_ended(session) == HF_OK) {
		reason = close(hub, session, asker);
	}
	*offset = reason == HF_OK ? hf_log_head(session->log) : 0;
	return reason;
}

void hf_session_replay_closed(struct hf_hub *hub, struct hf_session *session, const struct hf_entry *entry)
{
	struct hf_log *log = session ? session->log : NULL;

	if (log) {
		closed(log);
	} else if (hf_log_acquire(hub->store, entry->session, false, &log) == HF_OK) {
		closed(log);
		hf_log_release(log);
	} else {
		hf_say(hub, HF_LOG_ERROR, "session %.*s could not be closed", (int)entry->session.len, entry->session.data);
	}
}

/* ---- erasing */

static void note(struct hf_hub *hub, const struct hf_asker *asker, struct hf_audit *record)
{
	record->identity = hf_slice_of(asker->identity);
	record->device = hf_slice_of(asker->device);
	record->address = hf_slice_of(asker->address);
	hf_note(hub, record);
}

static enum hf_reason erase(struct hf_hub *hub, struct hf_session *session, const struct hf_asker *asker)
{
	enum hf_reason reason = hf_session_ended(session) == HF_OK ? close(hub, session, asker) : HF_OK;

	if (reason != HF_OK) {
		return reason;
	}
	uint64_t head = hf_log_head(session->log), tail = hf_log_tail(session->log);
	note(hub, asker,
		&(struct hf_audit){.kind = HF_AUDIT_ERASED,
			.session = hf_session_id(session),
			.first = tail,
			.last = head,
			.count = head + 1 - tail});
	hf_shared_hide(hub); /* of this one too, if somebody has subscribed in the same turn of the loop */
	return hf_erasure_begin(hub, session);
}

enum hf_reason hf_session_erase(struct hf_hub *hub, struct hf_slice id, const struct hf_asker *asker, uint64_t *offset)
{
	struct hf_session *session;
	enum hf_reason reason = find(hub, id, &session);

	bool erased = reason == HF_OK && hf_session_erased(session);
	if (reason == HF_OK && !erased) {
		reason = hf_holds_allow_session(hub, session->log);
	}
	if (reason == HF_OK && !erased) {
		reason = erase(hub, session, asker);
	}
	*offset = reason == HF_OK ? hf_log_head(session->log) : 0;
	return reason;
}

/* ---- limits */

static bool is_limit(uint64_t limit, uint64_t least)
{
	return limit == 0 || limit == HF_RETENTION_DEFAULT || (limit >= least && limit <= INT64_MAX);
}

static void note_limits(struct hf_hub *hub, const struct hf_session *session, const struct hf_retention *limits,
	const struct hf_asker *asker)
{
	char detail[128];

	snprintf(detail, sizeof(detail), "max-age %llu, max-bytes %llu, max-count %llu", (unsigned long long)limits->age_ms,
		(unsigned long long)limits->bytes, (unsigned long long)limits->count);
	note(hub, asker,
		&(struct hf_audit){.kind = HF_AUDIT_LIMITS, .session = hf_session_id(session), .detail = hf_slice_of(detail)});
}

static enum hf_reason append_limits(struct hf_hub *hub, struct hf_session *session, const struct hf_asker *asker)
{
	const struct hf_notice notice = {
		.kind = HF_NOTICE_LIMITS,
		.by = hf_slice_of(asker->identity),
		.age_ms = session->retention.age_ms,
		.bytes = session->retention.bytes,
		.count = session->retention.count,
	};

	return hf_session_ended(session) == HF_OK ? hf_append_notice(hub, session, &notice) : HF_OK;
}

enum hf_reason hf_session_limit(struct hf_hub *hub, struct hf_slice id, const struct hf_retention *limits,
	const struct hf_asker *asker, struct hf_retention *now, uint64_t *offset)
{
	struct hf_session *session;
	enum hf_reason reason = find(hub, id, &session);

	if (reason != HF_OK) {
		return reason;
	}
	if (!is_limit(limits->age_ms, AGE_MIN_MS) || !is_limit(limits->bytes, 1) || !is_limit(limits->count, 1)) {
		return HF_RETENTION_INVALID;
	}
	reason = hf_session_set_retention(hub, id, limits);
	if (reason == HF_OK) {
		note_limits(hub, session, &session->retention, asker);
		reason = append_limits(hub, session, asker);
	}
	*now = session->retention;
	*offset = hf_log_head(session->log);
	return reason;
}
