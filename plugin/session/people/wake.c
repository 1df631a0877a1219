/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Wake-ups: see wake.h. On the path of every entry there is one look at a number of the session, which is 0 while
 * nobody is to be woken. In the store:
 *
 *      HF_FACT_WOKEN, of a session, by identity   0  u64  LSN of the entry, little-endian
 *      HF_FACT_BACK, of none, by identity         0  u64  head of the store when it was back, little-endian
 */
#include "session/people/wake.h"
#include "codec/wake.h"
#include "session/people/people.h"
#include "session/people/presence.h"

#include <endian.h>

#include <utlist.h>

#define SLEEPERS_MAX 10000 /* of a session */

/* ---- who may read it */

bool hf_wake_names(const struct hf_hub *hub, const char *text)
{
	static const char rest[] = "/" HF_WAKE_SESSION "/";
	size_t len = strlen(hub->options.root);

	return strncmp(text, hub->options.root, len) == 0 && strncmp(text + len, rest, sizeof(rest) - 1) == 0;
}

bool hf_wake_reads(const struct hf_hub *hub, const char *identity)
{
	return hub->gateway && identity && strcmp(identity, hub->gateway->identity) == 0;
}

bool hf_wake_open(struct hf_hub *hub)
{
	if (hub->options.wake_identity[0] == '\0') {
		return true;
	}
	hub->gateway = hf_person_hold(hub, hub->options.wake_identity);
	return hub->gateway != NULL;
}

void hf_wake_close(struct hf_hub *hub)
{
	hf_person_release(hub, hub->gateway);
	hub->gateway = NULL;
}

/* Connected, or durable: then the broker keeps for it what comes meanwhile. */
static bool listens(const struct hf_hub *hub)
{
	return hub->gateway && hub->gateway->devices > 0;
}

/* ---- in the store */

static void put_fact(
	struct hf_hub *hub, struct hf_slice session, enum hf_fact type, const struct hf_person *person, uint64_t lsn)
{
	uint64_t lsn_le = htole64(lsn);
	struct hf_slice value = hf_slice_from(&lsn_le, sizeof(lsn_le));

	if (hf_fact_put(hub->store, session, type, hf_slice_of(person->identity), &value) != HF_OK) {
		hf_say(hub, HF_LOG_ERROR, "no memory to remember that %s was woken", person->identity);
	}
	hf_hub_due(hub, HF_TIMER_INDEX, HF_INDEX_FLUSH_MS);
}

/* 0: there is none. */
static uint64_t get_fact(struct hf_hub *hub, struct hf_slice session, enum hf_fact type, const struct hf_person *person)
{
	uint64_t lsn_le = 0;
	bool found = false;

	hf_buffer_clear(&hub->fact);
	if (hf_fact_get(hub->store, session, type, hf_slice_of(person->identity), &hub->fact, &found) == HF_OK && found &&
		hub->fact.len == sizeof(lsn_le)) {
		memcpy(&lsn_le, hub->fact.data, sizeof(lsn_le));
	}
	return le64toh(lsn_le);
}

/* ---- in memory */

static bool is_asleep(const struct hf_sleeper *sleeper)
{
	return !sleeper->woken && sleeper->person->online == 0;
}

static void set_woken(struct hf_sleeper *sleeper, bool woken)
{
	sleeper->session->asleep -= is_asleep(sleeper);
	sleeper->woken = woken;
	sleeper->session->asleep += is_asleep(sleeper);
}

static struct hf_sleeper *add(struct hf_session *session, struct hf_person *person)
{
	struct hf_sleeper *sleeper;

	HASH_FIND_PTR(session->sleepers, &person, sleeper);
	if (sleeper || HASH_COUNT(session->sleepers) >= SLEEPERS_MAX) {
		return sleeper;
	}
	sleeper = calloc(1, sizeof(*sleeper));
	if (!sleeper) {
		return NULL;
	}
	sleeper->session = session;
	sleeper->person = person;
	person->references++;
	DL_APPEND(person->sleepers, sleeper);
	HASH_ADD_PTR(session->sleepers, person, sleeper);
	session->asleep += is_asleep(sleeper);
	return sleeper;
}

void hf_wake_forget(struct hf_hub *hub, struct hf_session *session)
{
	struct hf_sleeper *sleeper, *next;

	HASH_ITER(hh, session->sleepers, sleeper, next)
	{
		HASH_DEL(session->sleepers, sleeper);
		DL_DELETE(sleeper->person->sleepers, sleeper);
		hf_person_release(hub, sleeper->person);
		free(sleeper);
	}
	session->asleep = 0;
	session->sleepers_known = false;
}

static bool is_person(enum hf_role role)
{
	return role == HF_ROLE_USER || role == HF_ROLE_OPERATOR;
}

struct load {
	struct hf_hub *hub;
	struct hf_session *session;
	struct hf_buffer names; /* one behind another, each ended by a zero */
	bool complete;
};

/* Only their names: while the store is walked, nothing else is read from it. */
static bool load_one(void *context, struct hf_slice name, struct hf_slice value)
{
	struct load *load = context;
	enum hf_role role = hf_participant_role_of(value);

	if (is_person(role)) {
		load->complete = hf_buffer_append(&load->names, name.data, name.len) && hf_buffer_append(&load->names, "", 1);
	}
	return load->complete;
}

static void learn(struct hf_hub *hub, struct hf_session *session)
{
	struct load load = {.hub = hub, .session = session, .complete = true};
	enum hf_reason reason = hf_fact_each(hub->store, hf_session_id(session), HF_FACT_PARTICIPANT, load_one, &load);
	const char *name = (const char *)load.names.data, *end = name + load.names.len;

	if (reason != HF_OK || !load.complete) {
		hf_say(hub, HF_LOG_ERROR, "who is to be woken in session %s cannot be read", session->id);
	}
	for (; name < end; name += strlen(name) + 1) {
		struct hf_person *person = hf_person_hold(hub, name);
		struct hf_sleeper *sleeper = person ? add(session, person) : NULL;
		if (sleeper) {
			uint64_t woken = get_fact(hub, hf_session_id(session), HF_FACT_WOKEN, person);
			set_woken(sleeper, woken > 0 && woken > get_fact(hub, HF_SLICE_NONE, HF_FACT_BACK, person));
		}
		hf_person_release(hub, person);
	}
	hf_buffer_free(&load.names);
	for (struct hf_participant *one = session->participants; one; one = one->hh.next) {
		if (is_person(one->role)) {
			add(session, one->person);
		}
	}
	session->sleepers_known = true;
}

void hf_wake_joined(const struct hf_participant *participant)
{
	if (participant->session->sleepers_known && is_person(participant->role)) {
		add(participant->session, participant->person);
	}
}

void hf_wake_online(struct hf_hub *hub, struct hf_person *person, bool online)
{
	struct hf_sleeper *sleeper;

	if (!person) {
		return;
	}
	DL_FOREACH(person->sleepers, sleeper)
	{
		sleeper->session->asleep -= is_asleep(sleeper);
	}
	person->online += online ? 1 : (size_t)-1;
	DL_FOREACH(person->sleepers, sleeper)
	{
		sleeper->woken = sleeper->woken && !online;
		sleeper->session->asleep += is_asleep(sleeper);
	}
	if (online && person->online == 1 && hub->gateway && person != hub->gateway) {
		put_fact(hub, HF_SLICE_NONE, HF_FACT_BACK, person, hf_store_head(hub->store));
	}
}

/* ---- waking */

/* Is it a question that says who may answer it? Only those are told of it. */
static bool names_some(const struct hf_entry *entry, struct hf_ask *ask)
{
	return entry->kind == HF_KIND_ASK && hf_ask_decode(entry->payload, ask) == HF_OK &&
		   (ask->to.len > 0 || ask->roles.len > 0);
}

/* `ask`: NULL unless it is such a question. */
static bool concerns(
	const struct hf_entry *entry, const struct hf_ask *ask, const struct hf_person *person, enum hf_role role)
{
	if (hf_slice_is(entry->identity, person->identity)) {
		return false; /* its own will, say */
	}
	return !ask || hf_ask_lists(ask->to, hf_slice_of(person->identity)) ||
		   hf_ask_lists(ask->roles, hf_slice_of(hf_role_name(role)));
}

static bool tell(struct hf_hub *hub, const struct hf_sleeper *sleeper, const struct hf_entry *entry)
{
	const struct hf_wake_document document = {
		.session = entry->session,
		.identity = hf_slice_of(sleeper->person->identity),
		.offset = entry->offset,
		.time_ms = entry->time_ms,
		.kind = entry->kind,
		.from = entry->identity,
	};
	char topic[HF_TOPIC_MAX];
	size_t len = entry->session.len;

	memcpy(topic, entry->session.data, len);
	topic[len++] = '/';
	size_t name_len = hf_percent_encode(document.identity, topic + len, sizeof(topic) - len);
	hf_buffer_clear(&hub->scratch);
	if (name_len == 0 || !hf_wake_encode(&document, &hub->scratch)) {
		return false; /* a name too long for a topic */
	}
	hub->broker.send(hub->broker.context, hf_slice_of(HF_WAKE_SESSION), hf_slice_from(topic, len + name_len),
		hf_buffer_slice(&hub->scratch));
	return true;
}

void hf_wake(struct hf_hub *hub, struct hf_session *session, const struct hf_entry *entry)
{
	struct hf_sleeper *sleeper, *next;

	if (!listens(hub) || entry->kind == HF_KIND_NOTICE) {
		return;
	}
	if (!session->sleepers_known) {
		learn(hub, session);
	}
	if (session->asleep == 0) {
		return;
	}
	struct hf_ask asked;
	const struct hf_ask *ask = names_some(entry, &asked) ? &asked : NULL;
	HASH_ITER(hh, session->sleepers, sleeper, next)
	{
		if (!is_asleep(sleeper)) {
			continue;
		}
		enum hf_role role = hf_identity_role(hub, sleeper->person->identity, hf_session_id(session));
		if (is_person(role) && concerns(entry, ask, sleeper->person, role) && tell(hub, sleeper, entry)) {
			set_woken(sleeper, true);
			put_fact(hub, hf_session_id(session), HF_FACT_WOKEN, sleeper->person, entry->lsn);
		}
	}
}
