/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sessions in which nobody is there to read: with the mode `reject` they take no token batches then, so that nobody
 * pays for what nobody reads. The option says so for all sessions; a request on S/control for one, which is a notice
 * and a fact derived from it:
 *
 *      0  u8   format, 1
 *      1  u8   enum hf_unattended
 */
#include "session/log/log.h"
#include "session/people/people.h"
#include "session/publish/publish.h"

#define VALUE_FORMAT 1
#define VALUE_SIZE 2

static const char *const names[] = {[HF_UNATTENDED_ALLOW] = "allow", [HF_UNATTENDED_REJECT] = "reject"};

static enum hf_reason put_fact(struct hf_hub *hub, struct hf_slice session, enum hf_unattended mode)
{
	const unsigned char bytes[VALUE_SIZE] = {VALUE_FORMAT, (unsigned char)mode};
	struct hf_slice value = hf_slice_from(bytes, sizeof(bytes));
	enum hf_reason reason = hf_fact_put(hub->store, session, HF_FACT_UNATTENDED, HF_SLICE_NONE, &value);

	if (reason != HF_OK) {
		hf_say(hub, HF_LOG_ERROR, "no memory for what session %.*s does when it is unattended", (int)session.len,
			session.data);
	}
	return reason;
}

enum hf_reason hf_unattended_load(struct hf_hub *hub, struct hf_session *session)
{
	bool found;

	hf_buffer_clear(&hub->fact);
	enum hf_reason reason =
		hf_fact_get(hub->store, hf_session_id(session), HF_FACT_UNATTENDED, HF_SLICE_NONE, &hub->fact, &found);
	if (reason != HF_OK || !found) {
		return reason;
	}
	const unsigned char *bytes = hub->fact.data;
	if (hub->fact.len != VALUE_SIZE || bytes[0] != VALUE_FORMAT || bytes[1] > HF_UNATTENDED_REJECT) {
		return HF_RECORD_CORRUPT;
	}
	session->unattended = (enum hf_unattended)bytes[1];
	return HF_OK;
}

void hf_unattended_replay(
	struct hf_hub *hub, struct hf_session *session, const struct hf_entry *entry, const struct hf_notice *notice)
{
	enum hf_unattended mode = hf_slice_is(notice->mode, "reject") ? HF_UNATTENDED_REJECT : HF_UNATTENDED_ALLOW;

	put_fact(hub, entry->session, mode);
	if (session) {
		session->unattended = mode;
	}
}

enum hf_reason hf_unattended_command(struct hf_hub *hub, struct hf_incoming *incoming,
	const struct hf_control_request *request, struct hf_buffer *answer)
{
	struct hf_session *session = incoming->session;
	enum hf_unattended mode = request->reject ? HF_UNATTENDED_REJECT : HF_UNATTENDED_ALLOW;
	const struct hf_notice notice = {
		.kind = HF_NOTICE_UNATTENDED,
		.by = incoming->identity,
		.mode = hf_slice_of(names[mode]),
	};
	enum hf_reason reason = hf_append_notice(hub, session, &notice);

	if (reason == HF_OK) {
		put_fact(hub, hf_session_id(session), mode);
		session->unattended = mode;
		hf_session_state_changed(hub, session, true);
		/* It is done: it is answered, if there is memory for it. */
		(void)hf_document_unattended_changed(
			answer, hf_command_name(request->command), hf_session_head(session), names[mode]);
	}
	return reason;
}

bool hf_unattended_rejects(const struct hf_hub *hub, const struct hf_session *session)
{
	enum hf_unattended mode = session->unattended ? session->unattended : hub->options.unattended;

	return mode == HF_UNATTENDED_REJECT;
}

/* An agent may still say that it gives up: nobody shall find a spinner who comes back. */
static bool gives_up(const struct hf_token_batch *batch)
{
	return batch->end == HF_END_CANCELLED || batch->end == HF_END_ERROR;
}

enum hf_reason hf_unattended_check(
	struct hf_hub *hub, const struct hf_session *session, const struct hf_token_batch *batch)
{
	bool refused = hf_unattended_rejects(hub, session) && !gives_up(batch) && !hf_session_attended(hub, session);

	return refused ? HF_UNATTENDED : HF_OK;
}
