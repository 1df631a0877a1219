/* SPDX-License-Identifier: BSD-3-Clause */
/* Reader, the second half: what it is given, and what becomes of that. */
#include <inttypes.h>

#include "due.h"
#include "log.h"
#include "reader.h"

#define QOS(options) ((options) & 0x03)

static void done(struct debt *debt, uint8_t filters)
{
	for (unsigned i = 0; i < FILTERS; i++) {
		if (filters & 1u << i) {
			debt->done_ms[i] = world->mono_ms;
		}
	}
	debt->open &= (uint8_t)~filters;
	debt->maybe &= (uint8_t)~filters;
	debt->flight &= (uint8_t)~filters;
	debt->dim &= (uint8_t)~filters;
	debt->either = false;
}

/* ---- handing over */

/* Which of the filters that may ask for it do, shows in QoS and Subscription Identifiers. */
static void check_match(unsigned index, uint64_t lsn, uint8_t qos, const uint32_t *ids, size_t id_count)
{
	const struct reader *reader = &world->readers[index];
	unsigned needed = entry_must(index, lsn), allowed = entry_may(index, lsn);
	uint8_t least = 0, most = 0;
	size_t least_ids = 0, most_ids = 0;

	for (unsigned i = 0; i < FILTERS; i++) {
		const struct filter *filter = &reader->filters[i];
		uint8_t granted = (uint8_t)QOS(filter->options);
		bool found = !filter->identifier;
		if (!(allowed & 1u << i)) {
			continue;
		}
		most = granted > most ? granted : most;
		most_ids += filter->identifier > 0;
		if (!(needed & 1u << i)) {
			continue;
		}
		least = granted > least ? granted : least;
		least_ids += filter->identifier > 0;
		for (size_t j = 0; j < id_count; j++) {
			found = found || ids[j] == filter->identifier;
		}
		must(found, "entry %" PRIu64 " goes to %s without Subscription Identifier %u", lsn, people[index].device,
			(unsigned)filter->identifier);
	}
	must((qos >= least || qos == reader->max_qos) && qos <= most && id_count >= least_ids && id_count <= most_ids,
		"entry %" PRIu64 " goes to %s with QoS %u, not %u to %u, and %zu identifiers, not %zu to %zu", lsn,
		people[index].device, qos, least, most, id_count, least_ids, most_ids);
}

/* The first that must come; `lsn` if there is none before it. */
static uint64_t next_due(unsigned index, uint64_t lsn)
{
	uint64_t next = world->readers[index].sent + 1;

	while (next < lsn && !entry_must(index, next)) {
		next++;
	}
	return next;
}

bool reader_comes_to(unsigned index, uint64_t lsn)
{
	return next_due(index, lsn) == lsn;
}

static void check_next(unsigned index, uint64_t lsn, const char *what)
{
	const struct entry *entry = &world->entries[lsn];
	uint64_t next = next_due(index, lsn);

	must(next == lsn, "%s %s entry %" PRIu64 " (%s %" PRIu64 ") before entry %" PRIu64 " (%s %" PRIu64 ")",
		people[index].device, what, lsn, session_names[entry->session], entry->offset, next,
		session_names[world->entries[next].session], world->entries[next].offset);
}

/* Whoever was below what was removed is told before anything else; and knows it, where acknowledgements can be seen. */
static void check_told(unsigned index, const char *device)
{
	for (uint64_t lsn = 1; lsn <= world->head; lsn++) {
		const struct debt *debt = &world->readers[index].debts[lsn];
		bool listens = (debt->missed || debt->telling) && reader_listens(index, world->entries[lsn].session, "mark");
		must(!listens || !(debt->missed & filters_matching(index, lsn)),
			"%s is not told that entry %" PRIu64 " was removed", device, lsn);
		must(!listens || !debt->telling || !world->readers[index].durable,
			"%s gets something before it knows that entry %" PRIu64 " was removed", device, lsn);
	}
}

void reader_check_hand(unsigned index, uint64_t lsn, uint8_t qos, const uint32_t *ids, size_t id_count)
{
	const struct reader *reader = &world->readers[index];
	const struct entry *entry = &world->entries[lsn];
	const char *device = people[index].device, *session = session_names[entry->session];

	must(reads(role_of(index, entry->session)), "%s gets entry %" PRIu64 " of %s, which it may not read", device, lsn,
		session);
	check_told(index, device);
	must(lsn > reader->sent, "%s gets entry %" PRIu64 " (%s %" PRIu64 ") after entry %" PRIu64, device, lsn, session,
		entry->offset, reader->sent);
	must(entry_may(index, lsn), "%s gets entry %" PRIu64 " (%s %" PRIu64 "), which it was not due, or has had", device,
		lsn, session, entry->offset);
	check_next(index, lsn, "gets");
	check_match(index, lsn, qos, ids, id_count);
}

void reader_check_joined(
	unsigned index, uint64_t first, uint64_t last, uint8_t qos, const uint32_t *ids, size_t id_count)
{
	struct reader *reader = &world->readers[index];
	uint64_t sent = reader->sent;

	for (uint64_t lsn = first; lsn <= last; lsn++) {
		if (!log_is_part(lsn, first, last)) {
			continue;
		}
		reader_check_hand(index, lsn, qos, ids, id_count);
		for (unsigned i = 0; i < FILTERS; i++) {
			must(!(entry_must(index, lsn) & 1u << i) || !reader->filters[i].batches,
				"%s gets entry %" PRIu64 " joined, but asked for batches", people[index].device, lsn);
		}
		must(!(entry_must(index, lsn) & ~entry_may(index, first)),
			"entry %" PRIu64 " is due under other filters than %" PRIu64, lsn, first);
		reader->sent = lsn;
	}
	reader->sent = sent;
}

/* It is past what it was not given on the way: that is done with, but under filters that wait for their role. */
static void reached(unsigned index, uint64_t lsn)
{
	struct reader *reader = &world->readers[index];

	for (uint64_t passed = reader->sent + 1; passed <= lsn; passed++) {
		struct debt *debt = &reader->debts[passed];
		unsigned session = world->entries[passed].session, given = passed == lsn ? filters_matching(index, lsn) : 0;
		unsigned wait = reads(role_of(index, session)) ? 0 : filters_that_wait(reader, session);
		uint8_t over = (uint8_t)((debt->open | debt->maybe) & ~wait & ~given);
		uint8_t dim =
			debt->either ? over : 0; /* the mark may have been for these: if it was acknowledged is not known then */
		done(debt, over);
		debt->dim |= dim;
	}
	reader->sent = lsn;
}

static void handed(unsigned index, uint64_t lsn, uint8_t qos)
{
	struct reader *reader = &world->readers[index];
	struct debt *debt = &reader->debts[lsn];
	uint8_t sure = (uint8_t)entry_must(index, lsn), perhaps = (uint8_t)(entry_may(index, lsn) & ~sure);

	reached(index, lsn);
	done(debt, sure | perhaps);
	reader->last[world->entries[lsn].session] = lsn;
	if (qos > 0) {
		debt->flight |= sure;
		debt->dim |= perhaps;
		debt->copies++;
	}
	world->handed++;
}

void reader_handed(unsigned index, uint64_t first, uint64_t last, uint8_t qos)
{
	struct reader *reader = &world->readers[index];

	for (uint64_t lsn = first; lsn <= last; lsn++) {
		if (log_is_part(lsn, first, last)) {
			handed(index, lsn, qos);
		}
	}
	reader->unacknowledged += qos > 0;
	world->joined += first < last;
	if (reader->durable) {
		must(reader->unacknowledged <= world->config.window, "%s has %u messages unacknowledged, the window is %u",
			people[index].device, reader->unacknowledged, world->config.window);
	}
}

/* ---- what it cannot be given */

static void lose(unsigned index, uint64_t lsn)
{
	struct debt *debt = &world->readers[index].debts[lsn];
	bool listens = reader_listens(index, world->entries[lsn].session, "mark");

	debt->lost = true;
	debt->gap_first = (uint16_t)lsn;
	debt->gap = !(debt->flight | debt->dim) ? GAP_NONE : !listens || !debt->flight ? GAP_MAYBE : GAP_OWED;
	if (debt->gap == GAP_MAYBE) { /* whether it is told or not, is decided when its turn comes */
		debt->dim |= debt->flight;
		debt->flight = 0;
	}
}

void reader_too_large(unsigned index, uint64_t lsn)
{
	struct debt *debt = &world->readers[index].debts[lsn];
	uint8_t sure = (uint8_t)(debt->open & filters_matching(index, lsn)),
			perhaps = (uint8_t)(entry_may(index, lsn) & ~sure);

	reached(index, lsn);
	done(debt, sure | perhaps);
	debt->flight |= sure;
	debt->dim |= perhaps;
	lose(index, lsn);
}

void reader_passed_over(unsigned index, uint64_t lsn)
{
	check_next(index, lsn, "is told that it misses");
	reader_too_large(index, lsn);
}

static void gap_is_over(struct debt *debt)
{
	debt->gap = GAP_NONE;
	if (debt->copies == 0) {
		done(debt, debt->flight | debt->dim);
	}
}

/* Also of what it could not be given for its size, and now for that: one mark is enough. */
void reader_truncation_told(unsigned index, unsigned session, uint64_t first, uint64_t last, uint8_t qos, uint64_t mark)
{
	for (uint64_t offset = first; offset <= last; offset++) {
		struct debt *debt = &world->readers[index].debts[world->session_lsn[session][offset]];
		if (qos > 0 && debt->missed) {
			debt->telling |= debt->missed;
			debt->telling_mark = mark;
		}
		debt->missed = 0;
		if (debt->gap == GAP_OWED || debt->gap == GAP_MAYBE) {
			gap_is_over(debt);
		}
	}
}

void reader_truncation_known(unsigned index, uint64_t mark)
{
	for (uint64_t lsn = 1; lsn <= world->head; lsn++) {
		struct debt *debt = &world->readers[index].debts[lsn];
		if (debt->telling && debt->telling_mark == mark) {
			debt->telling = 0;
		}
	}
}

void reader_gap_told(unsigned index, uint64_t first, uint64_t last, uint8_t qos, uint64_t mark)
{
	for (uint64_t lsn = first; lsn <= last; lsn++) {
		struct debt *debt = &world->readers[index].debts[lsn];
		if (!log_is_part(lsn, first, last) || (first < last && debt->gap_first != first)) {
			continue;
		}
		if (qos == 0) {
			gap_is_over(debt);
		} else {
			debt->gap = GAP_TOLD;
			debt->mark = mark;
		}
	}
}

void reader_gap_known(unsigned index, uint64_t first, uint64_t last, uint64_t mark)
{
	for (uint64_t lsn = first; lsn <= last; lsn++) {
		struct debt *debt = &world->readers[index].debts[lsn];
		if (debt->gap == GAP_TOLD && debt->mark == mark) {
			gap_is_over(debt);
		}
	}
}

/* The broker has taken it back from a client that has come without its role. */
static void taken_back(unsigned index, uint64_t lsn)
{
	struct reader *reader = &world->readers[index];
	struct debt *debt = &reader->debts[lsn];
	uint8_t wait = (uint8_t)filters_that_wait(reader, world->entries[lsn].session);

	debt->open |= debt->split ? 0 : debt->flight & wait;
	debt->maybe |= (debt->split ? debt->flight : debt->flight & (uint8_t)~wait) | debt->dim;
	debt->flight = debt->dim = debt->gap = 0;
	debt->split = false;
	reader_owed_again(index, lsn);
}

void reader_gap_taken_back(unsigned index, uint64_t first, uint64_t last, uint64_t mark)
{
	for (uint64_t lsn = first; lsn <= last; lsn++) {
		const struct debt *debt = &world->readers[index].debts[lsn];
		if (debt->gap == GAP_TOLD && debt->mark == mark) {
			taken_back(index, lsn);
		}
	}
}

/* ---- what becomes of it */

static struct debt *out_of_books(unsigned index, uint64_t lsn)
{
	struct debt *debt = &world->readers[index].debts[lsn];

	must(debt->copies > 0, "an entry leaves the broker's books that was not in them");
	debt->copies--;
	return debt;
}

static void acknowledged(unsigned index, uint64_t lsn)
{
	struct debt *debt = out_of_books(index, lsn);

	if (debt->copies > 0 || debt->gap != GAP_NONE) {
		debt->split = true;
	} else {
		debt->split = false;
		done(debt, debt->flight | debt->dim);
	}
}

void reader_acknowledged(unsigned index, uint64_t first, uint64_t last)
{
	for (uint64_t lsn = first; lsn <= last; lsn++) {
		if (log_is_part(lsn, first, last)) {
			acknowledged(index, lsn);
		}
	}
	world->readers[index].unacknowledged--;
}

static void given_up(unsigned index, uint64_t first, uint64_t last, uint64_t lsn)
{
	struct debt *debt = out_of_books(index, lsn);

	if (!reads(role_of(index, world->entries[lsn].session))) {
		if (debt->copies == 0) {
			taken_back(index, lsn);
		}
	} else if (debt->copies == 0 && !debt->split) {
		lose(index, lsn);
		debt->gap_first = (uint16_t)first;
	} else if (lsn == last) {
		debt->gap_extra++;
		debt->extra_first = (uint16_t)first;
	}
}

void reader_given_up(unsigned index, uint64_t first, uint64_t last, bool told)
{
	for (uint64_t lsn = first; lsn <= last; lsn++) {
		if (log_is_part(lsn, first, last)) {
			given_up(index, first, last, lsn);
			world->readers[index].debts[lsn].gap = told ? world->readers[index].debts[lsn].gap : GAP_NONE;
		}
	}
	world->readers[index].unacknowledged--;
}

void reader_orphan_left(unsigned index, uint64_t first, uint64_t last)
{
	for (uint64_t lsn = first; lsn <= last; lsn++) {
		struct debt *debt = &world->readers[index].debts[lsn];
		debt->split = debt->split || (log_is_part(lsn, first, last) && debt->copies > 0);
	}
}

void reader_caught_up(unsigned index, unsigned session)
{
	struct reader *reader = &world->readers[index];
	bool due = false;

	for (uint64_t lsn = 1; lsn <= log_head(); lsn++) {
		must(!entry_must(index, lsn), "%s is told that it has caught up in %s, before entry %" PRIu64,
			people[index].device, session_names[session], lsn);
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

void reader_check_settled(unsigned index)
{
	const struct reader *reader = &world->readers[index];
	const char *device = people[index].device;

	for (uint64_t lsn = 1; lsn <= log_head(); lsn++) {
		const struct entry *entry = &world->entries[lsn];
		must(!entry_must(index, lsn),
			"%s was left behind: entry %" PRIu64 " (%s %" PRIu64 ") of %" PRIu64 " does not come", device, lsn,
			session_names[entry->session], entry->offset, log_head());
		must(!(reader->debts[lsn].missed & filters_matching(index, lsn)) ||
				 !reader_listens(index, entry->session, "mark"),
			"%s was not told that entry %" PRIu64 " was removed", device, lsn);
		must(reader->debts[lsn].gap != GAP_OWED || !reader_listens(index, entry->session, "mark"),
			"%s was not told that it misses entry %" PRIu64, device, lsn);
	}
	for (unsigned i = 0; i < FILTERS; i++) {
		const struct filter *filter = &reader->filters[i];
		must(!filter->used || filter->mark != MARK_DUE || !reader_listens(index, filter->session, "mark"),
			"%s was not told that it has caught up under %s", device, filter->plain);
	}
}
