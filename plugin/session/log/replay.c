/* SPDX-License-Identifier: BSD-3-Clause */
/* What derives from the log, derived again. Deriving twice does no harm. */
#include "session/kinds/kinds.h"
#include "session/log/ending.h"
#include "session/log/log.h"
#include "session/people/people.h"
#include "session/people/presence.h"
#include "session/publish/publish.h"

static void replay_notice(struct hf_hub *hub, struct hf_session *session, const struct hf_entry *entry)
{
	struct hf_notice notice;

	if (hf_notice_decode(entry->payload, &notice) != HF_OK) {
		return; /* of a later version */
	}
	switch (notice.kind) {
	case HF_NOTICE_CLOSED:
		hf_session_replay_closed(hub, session, entry);
		break;
	case HF_NOTICE_ASK_EXPIRED:
		hf_ask_replay(hub, session, entry);
		break;
	case HF_NOTICE_PRESENCE:
		hf_presence_replay(hub, session, entry, &notice);
		break;
	case HF_NOTICE_RESPONSE_CLOSED:
		hf_response_replay_closed(hub, session, entry, &notice);
		break;
	case HF_NOTICE_FLOOR:
		hf_floor_replay(hub, session, entry, &notice);
		break;
	case HF_NOTICE_UNATTENDED:
		hf_unattended_replay(hub, session, entry, &notice);
		break;
	default:
		break;
	}
}

void hf_replay(void *context, const struct hf_entry *entry)
{
	struct hf_hub *hub = context;
	struct hf_session *session;

	HASH_FIND(hh, hub->sessions, entry->session.data, entry->session.len, session);
	if (session && hf_session_begin(hub, session) == HF_OK) { /* the entry may be its first */
		hf_session_state_changed(hub, session, false);
	}
	session = session && session->log ? session : NULL; /* else only the store is told */
	hf_id_apply(hub, entry);
	hf_participant_replay(hub, session, entry);
	switch (entry->kind) {
	case HF_KIND_TOKENS:
		hf_response_replay(hub, session, entry);
		break;
	case HF_KIND_SIGNAL:
		hf_signal_replay(hub, session, entry);
		break;
	case HF_KIND_SHARED:
		hf_shared_replay(hub, session, entry);
		break;
	case HF_KIND_ASK:
	case HF_KIND_ANSWER:
		hf_ask_replay(hub, session, entry);
		break;
	case HF_KIND_NOTICE:
		replay_notice(hub, session, entry);
		break;
	default:
		break;
	}
}
