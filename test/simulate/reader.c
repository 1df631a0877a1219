/* SPDX-License-Identifier: BSD-3-Clause */
#include "reader.h"

#include <inttypes.h>

#include "due.h"
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

/* What was passed over since it is too large, without a word, since the client listens for none: it may have been so. */
static void leave_unfit(unsigned index)
{
	struct reader *reader = &world->readers[index];

	for (uint64_t lsn = 1; lsn <= world->head; lsn++) {
		if (reader->sight[lsn] == SIGHT_FRESH && entry_unfit(index, lsn) &&
			!reader_listens(index, world->entries[lsn].session, "mark")) {
			reader->sight[lsn] = SIGHT_MAYBE;
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

void reader_ended(unsigned index)
{
	struct reader *reader = &world->readers[index];

	reader->durable = false;
	if (!reader->online) {
		forget(reader);
	}
}

/* ---- subscriptions */

enum hf_reason reader_may_subscribe(unsigned index, const struct wish *wish)
{
	bool anonymous = people[index].identity == NULL && world->config.anonymous_role == HF_ROLE_NONE;
	bool allowed = wish->session == NOBODY ? reads_some(index) : reads(role_of(index, wish->session));

	if (wish->outside || wish->broad) {
		return HF_TOPIC_OUTSIDE;
	}
	if (!allowed) {
		return anonymous ? HF_NOT_AUTHENTICATED : HF_NOT_PERMITTED;
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

static void forget_slot(struct reader *reader, uint64_t lsn, unsigned slot)
{
	reader->owed[lsn] &= (uint8_t)~(1u << slot);
	reader->again[lsn] &= (uint8_t)~(1u << slot);
	reader->gap_for[lsn] &= (uint8_t)~(1u << slot);
	if (!reader->gap_for[lsn]) {
		reader->gap[lsn] = GAP_NONE;
	}
	if (reader->sight[lsn] == SIGHT_FRESH && reader->revived[lsn] == 1u << slot) {
		reader->sight[lsn] = SIGHT_MAYBE;
	}
}

static uint64_t oldest_in_flight(const struct reader *reader)
{
	uint64_t lsn = 1;

	while (lsn <= reader->sent && reader->copies[lsn] == 0 && reader->gap[lsn] == GAP_NONE) {
		lsn++;
	}
	return lsn <= reader->sent ? lsn : reader->sent;
}

static void place(struct reader *reader, unsigned index, unsigned slot, const struct wish *wish)
{
	struct filter *filter = &reader->filters[slot];
	bool moved = false;

	filter->from = filter->floor = filter->last_n = filter->last_lsn = 0;
	if (wish->session == NOBODY) {
		place_anywhere(filter, wish);
	} else {
		filter->from = place_in_session(wish);
	}
	filter->begin = filter->from;
	/* What the others have seen they do not see again. */
	for (unsigned i = 0; i < FILTERS; i++) {
		if (i != slot && reader->filters[i].used && filter->from < reader->sent && reader->filters[i].from < reader->sent) {
			reader->filters[i].from = reader->sent;
		}
	}
	uint64_t oldest = oldest_in_flight(reader);
	for (uint64_t lsn = 1; lsn <= world->head; lsn++) {
		forget_slot(reader, lsn, slot);
		/* Others were seen by another filter before; should the broker be killed now, those may come again. */
		reader->loose[lsn] = reader->loose[lsn] || (lsn >= oldest && lsn > filter->from);
		if (reader->sight[lsn] != SIGHT_FRESH && (filters_due(index, lsn) & 1u << slot)) {
			reader->sight[lsn] = SIGHT_FRESH;
			reader->revived[lsn] = (uint8_t)(1u << slot);
			if (reader->gap[lsn] == GAP_OWED) {
				reader->gap_extra[lsn]++;
			}
			reader->gap[lsn] = GAP_NONE;
			moved = true;
		}
	}
	if (filter->from < reader->sent) {
		reader->sent = filter->from;
		moved = true;
	}
	reader->pass += moved;
}

/* What a filter did not ask for so far, and is older than what the reader has seen, may come now: or may not. */
static void loosen(unsigned index, unsigned slot, const bool *due_before)
{
	struct reader *reader = &world->readers[index];

	for (uint64_t lsn = 1; lsn <= world->head; lsn++) {
		bool open = reader->sight[lsn] == SIGHT_FRESH || lsn > reader->sent;
		if (!due_before[lsn] && filters_due(index, lsn)) {
			reader->sight[lsn] = open ? SIGHT_MAYBE : reader->sight[lsn];
			reader->loose[lsn] = true;
		}
		if (reader->sight[lsn] == SIGHT_FRESH && reader->revived[lsn] == 1u << slot && !(filters_due(index, lsn) & 1u << slot)) {
			reader->sight[lsn] = SIGHT_MAYBE; /* nor does it ask for it any more */
		}
	}
}

/* No Local is switched: how far the reader has seen its own entries, nobody has written down. */
static void own_entries_blur(unsigned index, unsigned slot)
{
	struct reader *reader = &world->readers[index];

	reader->blurred = log_head();
	for (uint64_t lsn = 1; lsn <= world->head; lsn++) {
		if (world->entries[lsn].publisher == index) {
			reader->loose[lsn] = true;
			reader->again[lsn] &= (uint8_t)~(1u << slot);
			reader->sight[lsn] = reader->sight[lsn] == SIGHT_FRESH ? SIGHT_MAYBE : reader->sight[lsn];
		}
	}
}

void reader_subscribed(unsigned index, const struct wish *wish)
{
	struct reader *reader = &world->readers[index];
	unsigned slot = FILTERS, empty = FILTERS;
	static bool due_before[ENTRIES + 1];

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
		reader->filters[slot] = (struct filter){ .used = true, .outside = wish->outside, .session = wish->session };
		snprintf(reader->filters[slot].plain, sizeof(reader->filters[slot].plain), "%s", wish->plain);
	}
	struct filter *filter = &reader->filters[slot];
	for (uint64_t lsn = 1; lsn <= world->head; lsn++) {
		due_before[lsn] = !fresh && filters_due(index, lsn);
	}
	if (!fresh && ((filter->options ^ wish->options) & NO_LOCAL)) {
		own_entries_blur(index, slot);
	}
	filter->options = wish->options;
	filter->identifier = wish->identifier;
	if (wish->outside) {
		return;
	}
	filter->mark = mark_of(index, filter);
	if (fresh || wish->verb == HF_VERB_FROM) {
		place(reader, index, slot, wish);
	} else {
		loosen(index, slot, due_before);
	}
}

void reader_unsubscribed(unsigned index, const char *plain)
{
	struct reader *reader = &world->readers[index];

	for (unsigned i = 0; i < FILTERS; i++) {
		if (reader->filters[i].used && strcmp(reader->filters[i].plain, plain) == 0) {
			reader->filters[i].used = false;
			for (uint64_t lsn = 1; lsn <= world->head; lsn++) {
				forget_slot(reader, lsn, i);
			}
		}
	}
	for (unsigned i = 0; i < FILTERS; i++) {
		struct filter *filter = &reader->filters[i];
		if (filter->mark == MARK_DUE) {
			filter->mark = mark_of(index, filter);
		}
	}
}

void reader_permissions_changed(void)
{
	for (unsigned index = 0; index < READERS; index++) {
		for (unsigned i = 0; i < FILTERS; i++) {
			struct filter *filter = &world->readers[index].filters[i];
			if (filter->mark == MARK_DUE) {
				filter->mark = mark_of(index, filter);
			}
		}
	}
}

/* ---- handing over */

static void check_match(unsigned index, uint64_t lsn, uint8_t qos, const uint32_t *ids, size_t id_count)
{
	const struct reader *reader = &world->readers[index];
	unsigned due = filters_due(index, lsn);
	uint8_t best = 0;
	size_t wanted = 0;

	for (unsigned i = 0; due && i < FILTERS; i++) {
		const struct filter *filter = &reader->filters[i];
		if (!(due & 1u << i)) {
			continue;
		}
		best = QOS(filter->options) > best ? (uint8_t)QOS(filter->options) : best;
		if (filter->identifier) {
			bool found = false;
			wanted++;
			for (size_t j = 0; j < id_count; j++) {
				found = found || ids[j] == filter->identifier;
			}
			must(found, "entry %" PRIu64 " goes to %s without Subscription Identifier %u", lsn, people[index].device,
				(unsigned)filter->identifier);
		}
	}
	must(!due || (qos == best && id_count == wanted), "entry %" PRIu64 " goes to %s with QoS %u, not %u, and %zu identifiers, not %zu",
		lsn, people[index].device, qos, best, id_count, wanted);
}

void reader_check_hand(unsigned index, uint64_t lsn, uint8_t qos, const uint32_t *ids, size_t id_count)
{
	struct reader *reader = &world->readers[index];
	const struct entry *entry = &world->entries[lsn];
	const char *device = people[index].device, *session = session_names[entry->session];

	must(reads(role_of(index, entry->session)), "%s gets entry %" PRIu64 " of %s, which it may not read", device, lsn, session);
	must(lsn > reader->sent, "%s gets entry %" PRIu64 " (%s %" PRIu64 ") after entry %" PRIu64, device, lsn, session,
		entry->offset, reader->sent);
	must(reader->sight[lsn] != SIGHT_DONE, "%s gets entry %" PRIu64 " (%s %" PRIu64 ") again, which it acknowledged long ago",
		device, lsn, session, entry->offset);
	must(entry_may(index, lsn), "%s gets entry %" PRIu64 " (%s %" PRIu64 "), which is not due (%d)", device, lsn, session,
		entry->offset, reader->sight[lsn]);
	for (uint64_t skipped = reader->sent + 1; skipped < lsn; skipped++) {
		must(!entry_must(index, skipped), "%s gets entry %" PRIu64 " (%s %" PRIu64 ") before entry %" PRIu64 " (%s %" PRIu64 ")",
			device, lsn, session, entry->offset, skipped, session_names[world->entries[skipped].session],
			world->entries[skipped].offset);
	}
	if (lsn > reader->blurred) {
		check_match(index, lsn, qos, ids, id_count);
	}
}

static void reached(struct reader *reader, uint64_t lsn)
{
	reader->sent = lsn;
	reader->top = lsn > reader->top ? lsn : reader->top;
}

void reader_handed(unsigned index, uint64_t lsn, uint8_t qos)
{
	struct reader *reader = &world->readers[index];

	reached(reader, lsn);
	uint8_t owing = (uint8_t)filters_owing(index, lsn);
	reader->again[lsn] = reader->revived[lsn] = 0;
	if (qos == 0) {
		reader->sight[lsn] = SIGHT_SENT;
		reader->since_ms[lsn] = world->mono_ms;
	} else {
		reader->sight[lsn] = SIGHT_HANDED;
		reader->owed[lsn] = owing;
		reader->copies[lsn]++;
		reader->unacknowledged++;
	}
	if (reader->durable) {
		must(reader->unacknowledged <= world->config.window, "%s has %u entries unacknowledged, the window is %u",
			people[index].device, reader->unacknowledged, world->config.window);
	}
	world->handed++;
}

static void gap(unsigned index, uint64_t lsn, uint8_t filters)
{
	bool listens = reader_listens(index, world->entries[lsn].session, "mark");

	world->readers[index].gap[lsn] = listens && filters ? GAP_OWED : GAP_NONE;
	world->readers[index].gap_for[lsn] = filters;
}

void reader_gap_told(unsigned index, uint64_t lsn, uint8_t qos)
{
	world->readers[index].gap[lsn] = qos == 0 ? GAP_NONE : GAP_TOLD;
}

void reader_gap_known(unsigned index, uint64_t lsn)
{
	if (world->readers[index].gap[lsn] == GAP_TOLD) {
		world->readers[index].gap[lsn] = GAP_NONE;
	}
}

void reader_too_large(unsigned index, uint64_t lsn)
{
	reached(&world->readers[index], lsn);
	world->readers[index].sight[lsn] = SIGHT_LARGE;
	gap(index, lsn, (uint8_t)filters_owing(index, lsn));
}

void reader_passed_over(unsigned index, uint64_t lsn)
{
	for (uint64_t skipped = world->readers[index].sent + 1; skipped < lsn; skipped++) {
		must(!entry_must(index, skipped), "%s is told that it misses entry %" PRIu64 " before entry %" PRIu64, people[index].device, lsn,
			skipped);
	}
	reader_too_large(index, lsn);
}

static bool out_of_books(struct reader *reader, uint64_t lsn)
{
	must(reader->copies[lsn] > 0, "an entry leaves the broker's books that was not in them");
	reader->copies[lsn]--;
	reader->unacknowledged--;
	return reader->copies[lsn] == 0;
}

void reader_acknowledged(unsigned index, uint64_t lsn)
{
	struct reader *reader = &world->readers[index];
	bool last = out_of_books(reader, lsn);

	reader->owed[lsn] = 0;
	if (reader->sight[lsn] == SIGHT_HANDED || reader->sight[lsn] == SIGHT_AMBIGUOUS) {
		reader->sight[lsn] = last ? SIGHT_ACKED : SIGHT_AMBIGUOUS;
		reader->since_ms[lsn] = world->mono_ms;
	}
}

void reader_given_up(unsigned index, uint64_t lsn)
{
	struct reader *reader = &world->readers[index];
	bool last = out_of_books(reader, lsn);

	if (last && reader->sight[lsn] == SIGHT_HANDED) {
		reader->sight[lsn] = SIGHT_LARGE;
		gap(index, lsn, reader->owed[lsn]);
	} else {
		reader->gap_extra[lsn]++;
	}
	reader->owed[lsn] = 0;
}

void reader_caught_up(unsigned index, unsigned session)
{
	struct reader *reader = &world->readers[index];
	bool due = false;

	for (uint64_t lsn = reader->sent + 1; lsn <= log_head(); lsn++) {
		must(!entry_must(index, lsn), "%s is told that it has caught up in %s, before entry %" PRIu64, people[index].device,
			session_names[session], lsn);
	}
	for (unsigned i = 0; i < FILTERS; i++) {
		struct filter *filter = &reader->filters[i];
		if (filter->used && filter->session == session) {
			due = due || filter->mark != MARK_NONE;
			filter->mark = MARK_NONE;
		}
	}
	must(due, "%s is told once more that it has caught up in %s", people[index].device, session_names[session]);
}

/* ---- afterwards */

static uint8_t sight_after(const struct reader *reader, uint64_t lsn, bool below_all, bool clean)
{
	bool written = (clean || reader->since_ms[lsn] <= world->written_ms) && !reader->loose[lsn];

	switch (reader->sight[lsn]) {
	case SIGHT_HANDED:
		return reader->owed[lsn] ? SIGHT_FRESH : SIGHT_MAYBE;
	case SIGHT_ACKED:
		return written ? SIGHT_DONE : SIGHT_MAYBE;
	case SIGHT_SENT: /* never acknowledged: whatever lies above the cursor may come again */
		return written && below_all && reader->copies[lsn] == 0 ? SIGHT_DONE : SIGHT_MAYBE;
	case SIGHT_LARGE:
		return reader->gap[lsn] >= GAP_OWED ? SIGHT_FRESH : SIGHT_MAYBE;
	case SIGHT_DONE:
		return reader->loose[lsn] ? SIGHT_MAYBE : SIGHT_DONE;
	case SIGHT_AMBIGUOUS:
		return SIGHT_MAYBE;
	default:
		return reader->sight[lsn];
	}
}

void reader_restarted(unsigned index, bool clean)
{
	struct reader *reader = &world->readers[index];
	bool below_all = true;

	if (reader->online) {
		leave_unfit(index);
	}
	reader->online = false;
	if (!reader->durable) {
		forget(reader);
		return;
	}
	for (uint64_t lsn = 1; lsn <= world->head; lsn++) {
		bool unwritten = reader->sight[lsn] == SIGHT_ACKED && !clean && reader->since_ms[lsn] > world->written_ms;
		reader->sight[lsn] = sight_after(reader, lsn, below_all, clean);
		below_all = below_all && reader->copies[lsn] == 0 && reader->gap[lsn] == GAP_NONE && !unwritten;
		reader->loose[lsn] = false;
		reader->again[lsn] |= reader->owed[lsn] | (reader->gap[lsn] >= GAP_OWED ? reader->gap_for[lsn] : 0);
		reader->owed[lsn] = 0;
		reader->copies[lsn] = 0;
		reader->gap[lsn] = GAP_NONE;
		reader->gap_extra[lsn] = 0;
	}
	reader->blurred = reader->top;
	reader->sent = 0;
	reader->unacknowledged = 0;
	reader->stream_last = 0;
}

void reader_check_settled(unsigned index)
{
	const struct reader *reader = &world->readers[index];
	const char *device = people[index].device;

	for (uint64_t lsn = reader->sent + 1; lsn <= log_head(); lsn++) {
		must(!entry_must(index, lsn), "%s was left behind: entry %" PRIu64 " (%s %" PRIu64 ") of %" PRIu64 " does not come", device,
			lsn, session_names[world->entries[lsn].session], world->entries[lsn].offset, log_head());
	}
	for (uint64_t lsn = 1; lsn <= log_head(); lsn++) {
		must(reader->gap[lsn] != GAP_OWED || !reader_listens(index, world->entries[lsn].session, "mark"), "%s was not told that it misses entry %" PRIu64, device, lsn);
	}
	for (unsigned i = 0; i < FILTERS; i++) {
		const struct filter *filter = &reader->filters[i];
		must(!filter->used || filter->mark != MARK_DUE || !reader_listens(index, filter->session, "mark"),
			"%s was not told that it has caught up under %s", device, filter->plain);
	}
}
