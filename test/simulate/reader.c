/* SPDX-License-Identifier: BSD-3-Clause */
#include "reader.h"

#include <inttypes.h>

#include "due.h"
#include "groups.h"
#include "log.h"

#define NO_LOCAL 0x04
#define QOS(options) ((options) & 0x03)

static bool reads_some(unsigned index)
{
	for (unsigned session = 0; session < SESSIONS; session++) {
		if (reads(role_of(index, session))) {
			return true;
		}
	}
	return false;
}

bool reader_listens(unsigned index, unsigned session, const char *rest)
{
	const struct reader *reader = &world->readers[index];
	char topic[100];

	snprintf(topic, sizeof(topic), "sessions/%s/%s", session_names[session], rest);
	for (unsigned i = 0; i < FILTERS; i++) {
		const struct filter *filter = &reader->filters[i];
		/* Errors, by a wildcard, also of a session it may not read: they are about what the client itself did there. */
		bool any = filter->session == NOBODY && strcmp(rest, "error") == 0;
		bool allowed = any ? reads_some(index) : reads(role_of(index, session));
		if (filter->used && !filter->outside && allowed && filter_matches(filter->plain, topic)) {
			return true;
		}
	}
	return false;
}

void reader_audience(unsigned session, uint32_t *people_out, uint32_t *devices_out)
{
	*people_out = *devices_out = 0;
	for (unsigned index = 0; index < READERS; index++) {
		enum hf_role role = role_of(index, session);
		bool person = role == HF_ROLE_USER || role == HF_ROLE_OPERATOR, known = false;
		if (!world->readers[index].online || !person || !reader_listens(index, session, "tokens")) {
			continue;
		}
		for (unsigned i = 0; i < index && people[i].identity; i++) {
			known = known || (world->readers[i].online && people[i].identity_index == people[index].identity_index &&
								 reader_listens(i, session, "tokens"));
		}
		++*devices_out;
		*people_out += !known;
	}
}

/* ---- connections */

static enum mark mark_of(unsigned index, const struct filter *filter)
{
	if (!filter->used || filter->outside || filter->session == NOBODY) {
		return MARK_NONE;
	}
	return reader_listens(index, filter->session, "mark") ? MARK_DUE : MARK_MAYBE;
}

static void forget(struct reader *reader)
{
	memset(reader, 0, sizeof(*reader));
	groups_forget_member((unsigned)(reader - world->readers));
}

void reader_connected(unsigned index, bool clean)
{
	struct reader *reader = &world->readers[index];

	if (clean || !reader->exists) {
		forget(reader);
	}
	reader->exists = reader->online = reader->back = true;
	for (unsigned i = 0; i < FILTERS; i++) {
		reader->filters[i].mark = mark_of(index, &reader->filters[i]);
	}
}

/* What was passed over since it is too large, or gone, without a word, since the client listens for none: it may have
 * been so. */
static void leave_unfit(unsigned index)
{
	struct reader *reader = &world->readers[index];

	for (uint64_t lsn = 1; lsn <= world->head; lsn++) {
		struct debt *debt = &reader->debts[lsn];
		if (debt->open && entry_unfit(index, lsn) && !reader_listens(index, world->entries[lsn].session, "mark")) {
			debt->maybe |= debt->open;
			debt->open = 0;
		}
		if (debt->missed && !reader_listens(index, world->entries[lsn].session, "mark")) {
			debt->missed = 0;
		}
	}
}

void reader_disconnected(unsigned index)
{
	leave_unfit(index);
	world->readers[index].online = false;
	if (!world->readers[index].durable) {
		forget(&world->readers[index]);
	}
}

void reader_begins_anew(unsigned index)
{
	struct hf_durable facts = world->readers[index].facts;
	bool outgrown = world->readers[index].outgrown;

	forget(&world->readers[index]);
	world->readers[index].facts = facts;
	world->readers[index].outgrown = outgrown;
	world->readers[index].exists = world->readers[index].durable = true;
}

void reader_lets_go(unsigned index)
{
	struct reader *reader = &world->readers[index];

	reader->unacknowledged = 0;
	for (uint64_t lsn = 1; lsn <= world->head; lsn++) {
		reader->debts[lsn] = (struct debt){.copies = 0};
	}
	groups_take_back(index);
}

void reader_ended(unsigned index)
{
	struct reader *reader = &world->readers[index];

	reader->durable = false;
	if (!reader->online) {
		forget(reader);
	}
}

/* Those that are done with it for too short to be on disk for sure. */
static uint8_t unwritten(const struct debt *debt)
{
	uint8_t filters = 0;

	for (unsigned i = 0; i < FILTERS; i++) {
		filters |= (uint8_t)(debt->done_ms[i] > 0 && debt->done_ms[i] > world->written_ms ? 1u << i : 0);
	}
	return filters;
}

static void miss(unsigned index, uint64_t lsn, unsigned filters)
{
	struct debt *debt = &world->readers[index].debts[lsn];

	debt->missed |= (uint8_t)filters;
}

void readers_lose_entry(uint64_t lsn)
{
	for (unsigned index = 0; index < READERS; index++) {
		struct debt *debt = &world->readers[index].debts[lsn];
		if (world->readers[index].exists) {
			miss(index, lsn, entry_must(index, lsn));
		}
		debt->open = debt->maybe = 0;
	}
}

void readers_lose_session(unsigned session)
{
	for (unsigned index = 0; index < READERS; index++) {
		for (unsigned i = 0; i < FILTERS; i++) {
			struct filter *filter = &world->readers[index].filters[i];
			if (filter->used && !filter->outside && filter->session == session && world->readers[index].online) {
				filter->mark = mark_of(index, filter);
			}
		}
	}
}

void reader_owed_again(unsigned index, uint64_t lsn)
{
	struct debt *debt = &world->readers[index].debts[lsn];

	if (world->entries[lsn].removed) {
		miss(index, lsn, debt->open & filters_matching(index, lsn));
		debt->open = debt->maybe = 0;
	}
}

void reader_restarted(unsigned index, bool clean)
{
	struct reader *reader = &world->readers[index];

	if (reader->online) {
		leave_unfit(index);
	}
	reader->online = false;
	if (!reader->durable) {
		forget(reader);
		return;
	}
	for (uint64_t lsn = 1; lsn <= world->head; lsn++) {
		struct debt *debt = &reader->debts[lsn];
		debt->maybe |= debt->dim | (clean ? 0 : unwritten(debt));
		debt->open |= debt->split ? 0 : debt->flight;
		debt->maybe |= debt->split ? debt->flight : 0;
		debt->maybe &= (uint8_t)~debt->open;
		debt->flight = debt->dim = debt->copies = debt->gap = debt->gap_extra = 0;
		debt->split = debt->lost = debt->either = false;
		debt->missed |= debt->telling;
		debt->telling = 0;
		reader_owed_again(index, lsn);
	}
	reader->sent = 0;
	memset(reader->last, 0, sizeof(reader->last));
	reader->unacknowledged = 0;
	reader->stream_last = 0;
}

/* ---- subscriptions */

enum hf_reason reader_may_subscribe(unsigned index, const struct wish *wish)
{
	bool anonymous = people[index].identity == NULL && world->config.anonymous_role == HF_ROLE_NONE;
	bool allowed = wish->session == NOBODY ? reads_some(index) : reads(role_of(index, wish->session));

	if (wish->outside || (wish->broad && wish->verb == HF_VERB_PLAIN)) {
		return HF_TOPIC_OUTSIDE;
	}
	if (wish->verb != HF_VERB_PLAIN && strncmp(wish->plain, "sessions/", 9) != 0) {
		return HF_FILTER_BROAD;
	}
	if (!allowed) {
		return anonymous ? HF_NOT_AUTHENTICATED : HF_NOT_PERMITTED;
	}
	if (wish->session != NOBODY && world->erased[wish->session]) {
		return HF_SESSION_ERASED;
	}
	if (wish->session != NOBODY && wish->position.kind == HF_POSITION_OFFSET &&
		wish->position.value > log_session_head(wish->session) + 1) {
		return HF_POSITION_AHEAD;
	}
	return HF_OK;
}

/* The LSN behind which the position lies, in one session. */
static uint64_t place_in_session(const struct wish *wish)
{
	uint64_t head = log_session_head(wish->session), first = 1;
	const uint64_t *lsns = world->session_lsn[wish->session];

	switch (wish->position.kind) {
	case HF_POSITION_EARLIEST:
		break;
	case HF_POSITION_LATEST:
		first = head + 1;
		break;
	case HF_POSITION_OFFSET:
		first = wish->position.value;
		break;
	case HF_POSITION_LAST:
		first = wish->position.value >= head ? 1 : head + 1 - wish->position.value;
		break;
	case HF_POSITION_TIME:
		while (first <= head && world->entries[lsns[first]].time_ms < (int64_t)wish->position.value) {
			first++;
		}
		break;
	}
	return first > head ? log_head() : lsns[first] - 1;
}

static void place_anywhere(struct filter *filter, const struct wish *wish)
{
	switch (wish->position.kind) {
	case HF_POSITION_EARLIEST:
		break;
	case HF_POSITION_LATEST:
		filter->from = log_head();
		break;
	case HF_POSITION_OFFSET:
		filter->floor = wish->position.value;
		break;
	case HF_POSITION_LAST:
		filter->last_n = wish->position.value;
		filter->last_lsn = log_head();
		break;
	case HF_POSITION_TIME:
		while (filter->from < log_head() && world->entries[filter->from + 1].time_ms < (int64_t)wish->position.value) {
			filter->from++;
		}
		break;
	}
}

static void forget_slot(struct reader *reader, unsigned slot)
{
	uint8_t others = (uint8_t)~(1u << slot);

	for (uint64_t lsn = 1; lsn <= world->head; lsn++) {
		struct debt *debt = &reader->debts[lsn];
		debt->open &= others;
		debt->maybe &= others;
		debt->flight &= others;
		debt->dim &= others;
		debt->missed &= others;
		debt->telling &= others;
		debt->done_ms[slot] = 0;
		if (debt->gap == GAP_OWED && !debt->flight) {
			debt->gap = debt->dim ? GAP_MAYBE : GAP_NONE;
		}
	}
}

/* It is handed over once more: if it cannot be, that is told anew. Before, what is due of old may be told. */
static void forget_gap(struct debt *debt)
{
	if (debt->gap != GAP_NONE) {
		if (debt->gap != GAP_TOLD) {
			debt->gap_extra++;
			debt->extra_first = debt->gap_first;
		}
		debt->gap = GAP_NONE;
		debt->dim |= debt->flight;
		debt->flight = 0;
	}
}

/* It goes on from here, for the sake of what is open there. */
static void put_back(struct reader *reader, uint64_t sent)
{
	if (sent < reader->sent) {
		reader->sent = sent;
		reader->pass++;
		memset(reader->last, 0, sizeof(reader->last));
	}
}

void filter_place(struct filter *filter, const struct wish *wish)
{
	filter->from = filter->floor = filter->last_n = filter->last_lsn = 0;
	if (wish->session == NOBODY) {
		place_anywhere(filter, wish);
	} else {
		filter->from = place_in_session(wish);
	}
}

static void place(struct reader *reader, unsigned slot, const struct wish *wish)
{
	struct filter *filter = &reader->filters[slot];
	char topic[100];

	filter_place(filter, wish);
	forget_slot(reader, slot);
	for (uint64_t lsn = 1; lsn <= world->head; lsn++) {
		/* Who asks for what is gone is told, or not: at the time it is not due. */
		if (!filter_begins_before(filter, lsn) || world->entries[lsn].removed) {
			continue;
		}
		reader->debts[lsn].open |= (uint8_t)(1u << slot);
		reader->debts[lsn].either = false;
		log_topic(&world->entries[lsn], topic, sizeof(topic));
		if (filter_matches(filter->plain, topic)) {
			forget_gap(&reader->debts[lsn]);
		}
	}
	put_back(reader, filter->from);
	memset(reader->seen + filter->from + 1, 0, ENTRIES - filter->from);
}

/* No Local is switched off: which of its own entries were passed over meanwhile, nobody has written down. */
static void own_entries_blur(unsigned index, unsigned slot)
{
	struct reader *reader = &world->readers[index];

	for (uint64_t lsn = 1; lsn <= world->head; lsn++) {
		struct debt *debt = &reader->debts[lsn];
		if (world->entries[lsn].publisher == index) {
			debt->maybe |= (uint8_t)(debt->open & 1u << slot);
			debt->open &= (uint8_t)~(1u << slot);
		}
	}
}

void readers_get_entry(uint64_t lsn)
{
	for (unsigned index = 0; index < READERS; index++) {
		struct debt *debt = &world->readers[index].debts[lsn];
		*debt = (struct debt){.open = 0};
		for (unsigned i = 0; i < FILTERS; i++) {
			const struct filter *filter = &world->readers[index].filters[i];
			bool begins = filter->used && !filter->outside && filter_begins_before(filter, lsn);
			debt->open |= (uint8_t)(begins ? 1u << i : 0);
		}
	}
}

void reader_subscribed(unsigned index, const struct wish *wish)
{
	struct reader *reader = &world->readers[index];
	unsigned slot = FILTERS, empty = FILTERS;

	leave_unfit(index); /* before it listens for marks, perhaps */
	for (unsigned i = 0; i < FILTERS; i++) {
		if (reader->filters[i].used && strcmp(reader->filters[i].plain, wish->plain) == 0) {
			slot = i;
		} else if (!reader->filters[i].used && empty == FILTERS) {
			empty = i;
		}
	}
	bool fresh = slot == FILTERS;
	if (fresh) {
		slot = empty;
		must(slot < FILTERS, "the schedule has too many filters");
		reader->filters[slot] = (struct filter){.used = true, .outside = wish->outside, .session = wish->session};
		snprintf(reader->filters[slot].plain, sizeof(reader->filters[slot].plain), "%s", wish->plain);
	}
	struct filter *filter = &reader->filters[slot];
	bool own_again = !fresh && (filter->options & NO_LOCAL) && !(wish->options & NO_LOCAL);
	filter->options = wish->options;
	filter->batches = wish->batches;
	filter->identifier = wish->identifier;
	if (wish->outside) {
		return;
	}
	filter->mark = mark_of(index, filter);
	if (fresh || wish->verb == HF_VERB_FROM) {
		place(reader, slot, wish);
	} else if (own_again) {
		own_entries_blur(index, slot);
	}
}

void reader_unsubscribed(unsigned index, const char *plain)
{
	struct reader *reader = &world->readers[index];

	for (unsigned i = 0; i < FILTERS; i++) {
		if (reader->filters[i].used && strcmp(reader->filters[i].plain, plain) == 0) {
			reader->filters[i].used = false;
			forget_slot(reader, i);
		}
	}
	for (unsigned i = 0; i < FILTERS; i++) {
		struct filter *filter = &reader->filters[i];
		if (filter->mark == MARK_DUE) {
			filter->mark = mark_of(index, filter);
		}
	}
}

/* ---- roles */

unsigned filters_that_wait(const struct reader *reader, unsigned session)
{
	unsigned wait = 0;

	for (unsigned i = 0; i < FILTERS; i++) {
		wait |= reader->filters[i].used && reader->filters[i].session == session ? 1u << i : 0;
	}
	return wait;
}

/* Under filters that name the session it goes on where it lost the role; what came, or was removed, meanwhile under one
 * with a wildcard was passed over, or is yet to be looked at. */
static void role_is_back(unsigned index, unsigned session)
{
	struct reader *reader = &world->readers[index];
	unsigned wait = filters_that_wait(reader, session);
	bool missed = false;

	for (uint64_t lsn = world->head; lsn >= 1; lsn--) {
		struct debt *debt = &reader->debts[lsn];
		if (world->entries[lsn].session != session) {
			continue;
		}
		debt->maybe |= (uint8_t)(debt->open & ~wait);
		debt->open &= (uint8_t)wait;
		debt->missed &= (uint8_t)wait;
		if (entry_may(index, lsn) & wait) {
			put_back(reader, lsn - 1);
		}
		missed = missed || (entry_must(index, lsn) & wait);
	}
	for (unsigned i = 0; i < FILTERS; i++) {
		struct filter *filter = &reader->filters[i];
		filter->mark = !(wait & 1u << i) ? filter->mark : missed ? mark_of(index, filter) : MARK_MAYBE;
	}
}

void roles_change(bool revoked)
{
	bool read[READERS][SESSIONS];

	for (unsigned index = 0; index < READERS; index++) {
		for (unsigned session = 0; session < SESSIONS; session++) {
			read[index][session] = reads(role_of(index, session));
		}
	}
	world->revoked = revoked;
	groups_roles_changed();
	for (unsigned index = 0; index < READERS; index++) {
		for (unsigned i = 0; i < FILTERS; i++) {
			struct filter *filter = &world->readers[index].filters[i];
			if (filter->mark == MARK_DUE) {
				filter->mark = mark_of(index, filter);
			}
		}
		for (unsigned session = 0; session < SESSIONS; session++) {
			if (!read[index][session] && reads(role_of(index, session))) {
				role_is_back(index, session);
			}
		}
	}
}
