/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Questions of agents to people, and the answers. The first valid answer is stored; whoever comes later is told who was
 * first. So an entry on S/answer is always the one that decided. A question that nobody answers ends with a notice; the
 * loss of the agent that asked does not end it, since another one of its kind, or the same one later, may read the
 * answer.
 *
 *     ask ──► open ──┬── answer ──────────────► answered
 *                    └── deadline ── notice ──► expired
 *
 * Sessions in memory have their open questions; the facts (ask_facts.c) have all.
 */
#include "session/kinds/asks.h"
#include "session/kinds/kinds.h"
#include "session/log/log.h"
#include "session/publish/publish.h"

#define EXPIRE_AT_ONCE 64                    /* before others get their turn */
#define LOOK_AGAIN_MS (24u * 60 * 60 * 1000) /* at the latest */

static struct hf_open_ask *find(const struct hf_session *session, struct hf_slice id)
{
	struct hf_open_ask *ask;

	HASH_FIND(hh, session->asks, id.data, id.len, ask);
	return ask;
}

static void drop(struct hf_session *session, struct hf_open_ask *ask)
{
	HASH_DEL(session->asks, ask);
	free(ask);
}

/* `fact` is its value in the store. HF_OK, HF_NO_MEMORY, HF_RECORD_CORRUPT. */
static enum hf_reason add(struct hf_session *session, struct hf_slice id, struct hf_slice fact)
{
	struct hf_open_ask *ask = calloc(1, sizeof(*ask) + id.len + fact.len);

	if (!ask) {
		return HF_NO_MEMORY;
	}
	ask->id_len = id.len;
	memcpy(ask->bytes, id.data, id.len);
	memcpy(ask->bytes + id.len, fact.data, fact.len);
	if (!hf_ask_open_read(hf_slice_from(ask->bytes + id.len, fact.len), &ask->terms)) {
		free(ask);
		return HF_RECORD_CORRUPT;
	}
	HASH_ADD(hh, session->asks, bytes, id.len, ask);
	return HF_OK;
}

static void say_lost(struct hf_hub *hub, struct hf_slice session)
{
	hf_say(hub, HF_LOG_ERROR, "out of memory: a question of session %.*s is not kept as it should be", (int)session.len,
		session.data);
}

/* ---- what comes of entries, live or in a replay */

/* `session`: NULL when it is not in memory. */
static void begin(struct hf_hub *hub, struct hf_session *session, const struct hf_entry *entry,
	const struct hf_ask *ask, int64_t from_ms)
{
	uint64_t expires_in = ask->expires_in_ms ? ask->expires_in_ms : UINT64_C(1000) * hub->options.ask_expiry_s;
	uint8_t digest[HF_DIGEST_SIZE];
	bool digested = hf_digest(entry->payload, digest);
	struct hf_ask_terms terms = {
		.offset = entry->offset,
		.expires_ms = from_ms + (int64_t)expires_in,
		.identity = entry->identity,
		.digest = digested ? hf_slice_from(digest, sizeof(digest)) : HF_SLICE_NONE,
		.choices = ask->choices,
		.to = ask->to,
		.roles = ask->roles,
	};

	if (!hf_ask_open_put(hub, entry->session, ask->id, &terms) ||
		(session && add(session, ask->id, hf_buffer_slice(&hub->fact)) != HF_OK)) {
		say_lost(hub, entry->session);
	}
	hf_hub_due_by(hub, HF_TIMER_ASKS, expires_in < LOOK_AGAIN_MS ? (unsigned int)expires_in : LOOK_AGAIN_MS);
}

/* It ends with this entry, an answer or a notice. `terms` are not used after. */
static void end(struct hf_hub *hub, struct hf_session *session, const struct hf_entry *entry, struct hf_slice id,
	const struct hf_ask_terms *terms)
{
	bool answered = entry->kind == HF_KIND_ANSWER;
	struct hf_ask_ended ended = {
		.answered = answered,
		.offset = terms->offset,
		.end_offset = entry->offset,
		.digest = terms->digest,
		.identity = terms->identity,
		.by = answered ? entry->identity : HF_SLICE_NONE,
	};

	if (!hf_ask_ended_put(hub, entry->session, id, &ended, terms->expires_ms)) {
		say_lost(hub, entry->session);
	}
	struct hf_open_ask *ask = session ? find(session, id) : NULL;
	if (ask) {
		drop(session, ask);
	}
}

void hf_ask_apply(struct hf_hub *hub, const struct hf_incoming *incoming, const struct hf_entry *entry)
{
	begin(hub, incoming->session, entry, &incoming->ask, hf_hub_clock_ms(hub));
	hf_session_state_changed(hub, incoming->session, true);
}

void hf_answer_apply(struct hf_hub *hub, const struct hf_incoming *incoming, const struct hf_entry *entry)
{
	struct hf_open_ask *ask = find(incoming->session, incoming->answer.id);

	if (ask) { /* always: the check has seen it */
		end(hub, incoming->session, entry, incoming->answer.id, &ask->terms);
		hf_session_state_changed(hub, incoming->session, true);
	}
}

static void replay_ask(struct hf_hub *hub, struct hf_session *session, const struct hf_entry *entry)
{
	struct hf_ask ask;
	struct hf_ask_terms terms;
	struct hf_ask_ended ended;
	bool open = false, over = false;

	if (hf_ask_decode(entry->payload, &ask) != HF_OK) {
		return;
	}
	/* What is known of it may be of a later time than this entry. */
	if (hf_ask_open_get(hub, entry->session, ask.id, &terms, &open) == HF_OK &&
		hf_ask_ended_get(hub, entry->session, ask.id, &ended, &over) == HF_OK && !open && !over) {
		begin(hub, session, entry, &ask, entry->time_ms);
	}
}

static void replay_end(struct hf_hub *hub, struct hf_session *session, const struct hf_entry *entry, struct hf_slice id)
{
	struct hf_ask_terms terms;
	bool open;

	if (hf_ask_open_get(hub, entry->session, id, &terms, &open) == HF_OK && open) {
		end(hub, session, entry, id, &terms);
	}
}

void hf_ask_replay(struct hf_hub *hub, struct hf_session *session, const struct hf_entry *entry)
{
	struct hf_answer answer;
	struct hf_notice notice;

	if (entry->kind == HF_KIND_ASK) {
		replay_ask(hub, session, entry);
	} else if (entry->kind == HF_KIND_ANSWER) {
		if (hf_answer_decode(entry->payload, &answer) == HF_OK) {
			replay_end(hub, session, entry, answer.id);
		}
	} else if (hf_notice_decode(entry->payload, &notice) == HF_OK && notice.kind == HF_NOTICE_ASK_EXPIRED) {
		replay_end(hub, session, entry, notice.id);
	}
}

/* ---- checks */

/* Is it the one that stands at this offset, or has, of this identity? If not, it is refused so. */
static enum hf_reason repeat_or(struct hf_hub *hub, struct hf_incoming *incoming, struct hf_slice identity,
	uint64_t offset, struct hf_slice digest, enum hf_reason otherwise)
{
	enum hf_reason reason =
		hf_slice_equal(identity, incoming->identity) ? hf_repeat_at(hub, incoming, offset, digest) : HF_ID_REUSED;

	incoming->refusal.offset = offset;
	return reason == HF_ID_REUSED ? otherwise : reason;
}

static enum hf_reason refuse(struct hf_incoming *incoming, enum hf_reason reason, uint64_t offset)
{
	incoming->refusal.offset = offset;
	return reason;
}

static size_t count_of(const struct hf_session *session, struct hf_slice identity)
{
	size_t count = 0;

	for (const struct hf_open_ask *ask = session->asks; ask; ask = ask->hh.next) {
		count += hf_slice_equal(ask->terms.identity, identity);
	}
	return count;
}

enum hf_reason hf_ask_check(struct hf_hub *hub, struct hf_incoming *incoming)
{
	struct hf_ask_ended ended;
	bool found;
	enum hf_reason reason = hf_ask_decode(incoming->publish->payload, &incoming->ask);

	if (reason != HF_OK) {
		return reason;
	}
	const struct hf_open_ask *open = find(incoming->session, incoming->ask.id);
	if (open) {
		return repeat_or(hub, incoming, open->terms.identity, open->terms.offset, open->terms.digest, HF_ASK_EXISTS);
	}
	reason = hf_ask_ended_get(hub, incoming->topic.session, incoming->ask.id, &ended, &found);
	if (reason != HF_OK) {
		return reason;
	}
	if (found) {
		return repeat_or(hub, incoming, ended.identity, ended.offset, ended.digest, HF_ASK_EXISTS);
	}
	return count_of(incoming->session, incoming->identity) < HF_OPEN_ASKS_MAX ? HF_OK : HF_ASKS_TOO_MANY;
}

static enum hf_reason check_ended(struct hf_hub *hub, struct hf_incoming *incoming)
{
	struct hf_ask_ended ended;
	bool found;
	enum hf_reason reason = hf_ask_ended_get(hub, incoming->topic.session, incoming->answer.id, &ended, &found);

	if (reason != HF_OK) {
		return reason;
	}
	if (!found) {
		return HF_ASK_UNKNOWN;
	}
	if (!ended.answered) {
		return refuse(incoming, HF_ASK_EXPIRED, ended.end_offset);
	}
	incoming->refusal.by = ended.by; /* in hub->fact: until the next one is read */
	return repeat_or(hub, incoming, ended.by, ended.end_offset, HF_SLICE_NONE, HF_ASK_ANSWERED);
}

static bool is_asked(const struct hf_ask_terms *terms, const struct hf_incoming *incoming)
{
	return (terms->to.len == 0 && terms->roles.len == 0) || hf_ask_lists(terms->to, incoming->identity) ||
		   hf_ask_lists(terms->roles, hf_slice_of(hf_role_name(incoming->role)));
}

/* `why`: empty where its time is over. */
static enum hf_reason expire(
	struct hf_hub *hub, struct hf_session *session, struct hf_open_ask *ask, struct hf_slice why, uint64_t *offset)
{
	struct hf_notice notice = {
		.kind = HF_NOTICE_ASK_EXPIRED,
		.by = HF_SLICE_NONE,
		.id = hf_slice_from(ask->bytes, ask->id_len),
		.from = ask->terms.identity,
		.reason = why,
	};
	enum hf_reason reason = hf_append_notice(hub, session, &notice);

	if (reason == HF_OK) {
		const struct hf_entry entry = {
			.kind = HF_KIND_NOTICE, .session = hf_session_id(session), .offset = hf_session_head(session)};
		*offset = entry.offset;
		end(hub, session, &entry, notice.id, &ask->terms);
		hf_session_state_changed(hub, session, true);
	}
	return reason;
}

enum hf_reason hf_answer_check(struct hf_hub *hub, struct hf_incoming *incoming)
{
	const struct hf_answer *answer = &incoming->answer;
	uint64_t offset;
	enum hf_reason reason = hf_answer_decode(incoming->publish->payload, &incoming->answer);

	if (reason != HF_OK) {
		return reason;
	}
	struct hf_open_ask *ask = find(incoming->session, answer->id);
	if (!ask) {
		return check_ended(hub, incoming);
	}
	if (hf_hub_clock_ms(hub) >= ask->terms.expires_ms) { /* the timer is late */
		reason = expire(hub, incoming->session, ask, HF_SLICE_NONE, &offset);
		return reason == HF_OK ? refuse(incoming, HF_ASK_EXPIRED, offset) : reason;
	}
	if (!is_asked(&ask->terms, incoming)) {
		return refuse(incoming, HF_NOT_ASKED, ask->terms.offset);
	}
	bool fits = ask->terms.choices.len > 0 ? answer->choice.len > 0 && hf_ask_lists(ask->terms.choices, answer->choice)
										   : answer->choice.len == 0;
	return fits ? HF_OK : refuse(incoming, HF_ANSWER_INVALID, ask->terms.offset);
}

static bool is_of(void *context, struct hf_slice id, struct hf_slice value)
{
	struct hf_slice *identity = context;
	struct hf_ask_terms terms;

	(void)id;
	if (!hf_ask_open_read(value, &terms) || !hf_slice_equal(terms.identity, *identity)) {
		return true;
	}
	*identity = HF_SLICE_NONE; /* found */
	return false;
}

enum hf_reason hf_asks_erase(struct hf_hub *hub, struct hf_slice session, struct hf_slice identity)
{
	struct hf_slice wanted = identity;
	struct hf_session *in_memory;
	struct hf_open_ask *ask, *next;
	uint64_t offset;
	enum hf_reason reason = hf_fact_each(hub->store, session, HF_FACT_ASK, is_of, &wanted);

	if (reason != HF_OK || wanted.len > 0) {
		return reason;
	}
	HASH_FIND(hh, hub->sessions, session.data, session.len, in_memory);
	bool at_rest = !in_memory;
	in_memory = hf_session_use(hub, session);
	if (!in_memory) {
		return HF_NO_MEMORY;
	}
	HASH_ITER(hh, in_memory->asks, ask, next)
	{
		if (reason == HF_OK && hf_slice_equal(ask->terms.identity, identity)) {
			reason = expire(hub, in_memory, ask, hf_slice_of("erased"), &offset);
		}
	}
	if (at_rest) {
		hf_session_leave(hub, in_memory);
	}
	return reason;
}

enum hf_reason hf_asks_close(struct hf_hub *hub, struct hf_session *session, struct hf_slice why)
{
	struct hf_open_ask *ask, *next;
	enum hf_reason reason = HF_OK;
	uint64_t offset;

	HASH_ITER(hh, session->asks, ask, next)
	{
		if (reason == HF_OK) {
			reason = expire(hub, session, ask, why, &offset);
		}
	}
	return reason;
}

/* ---- deadlines */

static enum hf_reason pass_deadline(struct hf_hub *hub, const struct hf_deadline *deadline)
{
	struct hf_slice id = hf_slice_from(deadline->id, deadline->id_len);
	struct hf_session *session = hf_session_use(hub, hf_slice_from(deadline->session, deadline->session_len));
	uint64_t offset;

	if (!session) {
		return HF_NO_MEMORY;
	}
	struct hf_open_ask *ask = find(session, id);
	if (ask && ask->terms.expires_ms == deadline->at_ms) {
		return expire(hub, session, ask, HF_SLICE_NONE, &offset);
	}
	/* Written before a kill, and derived from the log again with a slightly other time after it. */
	return hf_deadline_remove(hub, deadline->at_ms, hf_session_id(session), id) ? HF_OK : HF_NO_MEMORY;
}

void hf_asks_expire(struct hf_hub *hub)
{
	struct hf_deadline passed[EXPIRE_AT_ONCE];
	size_t count = 0;
	int64_t next_ms = 0;
	enum hf_reason reason = hf_deadlines_passed(hub, passed, EXPIRE_AT_ONCE, &count, &next_ms);

	for (size_t i = 0; i < count && reason == HF_OK; i++) {
		reason = pass_deadline(hub, &passed[i]);
	}
	if (reason != HF_OK) {
		hf_hub_due(hub, HF_TIMER_ASKS, HF_RECOVER_MS);
	} else if (next_ms != 0) {
		int64_t in_ms = next_ms - hf_hub_clock_ms(hub);
		hf_hub_due_by(hub, HF_TIMER_ASKS, in_ms < 1 ? 1 : in_ms < LOOK_AGAIN_MS ? (unsigned int)in_ms : LOOK_AGAIN_MS);
	}
}

/* ---- sessions that come into memory, and what they show */

struct load {
	struct hf_session *session;
	enum hf_reason reason;
};

static bool load_one(void *context, struct hf_slice id, struct hf_slice fact)
{
	struct load *load = context;

	load->reason = find(load->session, id) ? HF_OK : add(load->session, id, fact);
	return load->reason == HF_OK;
}

enum hf_reason hf_asks_load(struct hf_hub *hub, struct hf_session *session)
{
	struct load load = {.session = session, .reason = HF_OK};
	enum hf_reason reason = hf_fact_each(hub->store, hf_session_id(session), HF_FACT_ASK, load_one, &load);

	return reason != HF_OK ? reason : load.reason;
}

void hf_asks_free(struct hf_session *session)
{
	struct hf_open_ask *ask, *next;

	HASH_ITER(hh, session->asks, ask, next)
	{
		drop(session, ask);
	}
}

size_t hf_asks_list(const struct hf_session *session, struct hf_document_ask *out)
{
	size_t count = 0;

	for (const struct hf_open_ask *ask = session->asks; ask; ask = ask->hh.next, count++) {
		if (out) {
			out[count] = (struct hf_document_ask){
				.id = hf_slice_from(ask->bytes, ask->id_len),
				.identity = ask->terms.identity,
				.offset = ask->terms.offset,
				.expires_ms = (uint64_t)ask->terms.expires_ms,
			};
		}
	}
	return count;
}
