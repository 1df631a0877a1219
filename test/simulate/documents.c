/* SPDX-License-Identifier: BSD-3-Clause */
/* Are the marks and errors true that the hub hands over? */
#include <inttypes.h>

#include "codec/document.h"
#include "due.h"
#include "fake.h"
#include "log.h"

static bool is_gap(unsigned index, unsigned session, struct hf_slice payload, struct message *made)
{
	struct reader *reader = &world->readers[index];
	struct hf_buffer wanted = {.data = NULL};
	bool same = false;

	for (uint64_t lsn = 1; lsn <= world->head && !same; lsn++) {
		const struct entry *entry = &world->entries[lsn];
		struct debt *debt = &reader->debts[lsn];
		bool passed_over =
			entry_unfit(index, lsn) && lsn > reader->sent && entry_may(index, lsn) && debt->gap_extra == 0;
		bool due = debt->gap == GAP_OWED || debt->gap == GAP_MAYBE;
		if (entry->session == session && (due || debt->gap_extra > 0 || passed_over)) {
			hf_buffer_clear(&wanted);
			uint64_t first = due ? debt->gap_first : !passed_over && debt->extra_first ? debt->extra_first : lsn;
			same = hf_document_gap(&wanted, world->entries[first].offset, entry->offset, "too-large") &&
				   hf_slice_equal(payload, hf_buffer_slice(&wanted));
			if (same && !due && !passed_over) {
				debt->gap_extra--;
				debt->either = reader_comes_to(index, lsn);
				break;
			}
			if (same && !due) {
				reader_passed_over(index, lsn);
			}
			if (same) {
				reader_gap_told(index, first, lsn, made->qos, made->handle);
				made->lsn = lsn;
				made->first = first;
			}
		}
	}
	world->gaps_told += same;
	hf_buffer_free(&wanted);
	return same;
}

/* That something handed over on a connection before may not have come: to who was handed something of the session. */
static bool is_unconfirmed(unsigned index, unsigned session, struct hf_slice payload)
{
	static const char why[] = "unconfirmed";
	bool named = false;

	for (unsigned i = 0; i < FILTERS; i++) {
		const struct filter *filter = &world->readers[index].filters[i];
		named = named || (filter->used && !filter->outside && filter->session == session);
	}
	return named && memmem(payload.data, payload.len, why, sizeof(why) - 1) != NULL;
}

/* What is erased is closed first, and what is open in it ends before that: meanwhile it is as it was. */
static bool is_erased(unsigned session)
{
	return world->erased[session] && !world->erasing;
}

static bool is_truncation(unsigned index, unsigned session, struct hf_slice payload, struct message *made)
{
	struct hf_buffer wanted = {.data = NULL};
	uint64_t last = log_tail(session) - 1;
	bool same = false;

	for (uint64_t first = 1; first <= last && !same; first++) {
		hf_buffer_clear(&wanted);
		same = hf_document_gap(&wanted, first, last, is_erased(session) ? "erased" : "truncated") &&
			   hf_slice_equal(payload, hf_buffer_slice(&wanted));
		if (same) {
			made->truncation = true;
			note("  %s: %s %" PRIu64 " to %" PRIu64 " are gone", people[index].device, session_names[session], first,
				last);
			reader_truncation_told(index, session, first, last, made->qos, made->handle);
		}
	}
	world->gaps_told += same;
	hf_buffer_free(&wanted);
	return same;
}

static bool is_caught_up_mark(unsigned session, struct hf_slice payload, const char *ended)
{
	struct hf_buffer wanted = {.data = NULL};
	bool same = hf_document_caught_up(&wanted, log_session_head(session), ended) &&
				hf_slice_equal(payload, hf_buffer_slice(&wanted));

	hf_buffer_free(&wanted);
	return same;
}

static bool is_caught_up(unsigned session, struct hf_slice payload)
{
	return is_caught_up_mark(session, payload, is_erased(session) ? "erased" : NULL) ||
		   (world->erasing && is_caught_up_mark(session, payload, "closed"));
}

static bool is_refusal(unsigned index, unsigned session, struct hf_slice payload)
{
	struct hf_buffer wanted = {.data = NULL};
	struct hf_refusal said = {
		.reason = refusal.reason, .expected = refusal.reason == HF_SEQ_GAP ? &refusal.next_seq : NULL};
	if (refusal.because) {
		said.offset = refusal.because->offset;
		said.by = refusal.reason == HF_ASK_ANSWERED ? hf_slice_of(log_identity(refusal.because)) : HF_SLICE_NONE;
	}

	bool same = refusal.expected && refusal.reader == index && refusal.session == session &&
				hf_document_error(&wanted, hf_slice_of(refusal.topic), &said) &&
				hf_slice_equal(payload, hf_buffer_slice(&wanted));
	hf_buffer_free(&wanted);
	return same;
}

static const char *hex(struct hf_slice bytes)
{
	static char text[300];

	text[0] = '\0';
	for (size_t i = 0; i < bytes.len && 2 * i + 3 < sizeof(text); i++) {
		snprintf(text + 2 * i, 3, "%02x", (unsigned char)bytes.data[i]);
	}
	return text;
}

/* An error, or a mark, is handed over: does it say what it must? Its effect counts from then on. */
void check_document(unsigned index, unsigned session, const char *rest, struct hf_slice payload, struct message *made)
{
	const char *device = people[index].device;

	if (strcmp(rest, "error") == 0) {
		must(is_refusal(index, session, payload), "%s gets an error that it did not make", device);
		refusal.told = true;
	} else if (!is_gap(index, session, payload, made) && !is_unconfirmed(index, session, payload) &&
			   !is_truncation(index, session, payload, made)) {
		must(is_caught_up(session, payload), "%s gets a mark of %s that is not true: %s", device,
			session_names[session], hex(payload));
		reader_caught_up(index, session);
		made->after = world->readers[index].last[session];
	}
}
