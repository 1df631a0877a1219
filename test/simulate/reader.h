/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What every reader must see. A reader is what the broker keeps of one client: its filters, how far it was handed the
 * log, and what of that it has acknowledged.
 *
 * The rule: an entry is handed over only if it is the next one due. Due is what a filter matches that begins before it
 * (`from`, `floor`, `last_n`), that the reader's role may read, and that it has not been given under that filter. A
 * filter that begins further back, or gets back its role, puts the reader's position back for itself alone. After a
 * kill it is given once more what it had not acknowledged, and what it has acknowledged or got at QoS 0 shorter before
 * the kill than is promised to be on disk may come again.
 */
#ifndef HF_TEST_SIMULATE_READER_H
#define HF_TEST_SIMULATE_READER_H

#include "codec/filter.h"
#include "world.h"

/* A filter as a client sends it, taken apart. */
struct wish {
	char text[140]; /* with verb and position */
	char plain[80];
	bool outside;    /* not under the root */
	bool broad;      /* covers more than the root */
	bool batches;    /* token batches are not to be joined */
	uint8_t session; /* NOBODY: any */
	enum hf_verb verb;
	struct hf_position position;
	uint8_t options;
	uint32_t identifier;
};

void reader_connected(unsigned reader, bool clean);
void reader_disconnected(unsigned reader);
void reader_begins_anew(unsigned reader); /* kept by the broker, but empty */
void reader_lets_go(unsigned reader);     /* it came back without a filter: what is in flight counts no more */
void reader_ended(unsigned reader);
void reader_subscribed(unsigned reader, const struct wish *wish);
void reader_unsubscribed(unsigned reader, const char *plain);
void readers_get_entry(uint64_t lsn);                  /* it is in the log now */
void readers_lose_entry(uint64_t lsn);                 /* and not any more */
void reader_owed_again(unsigned reader, uint64_t lsn); /* it is open once more, if it is still there */
void readers_lose_session(unsigned session);           /* it was erased: they are told, and that this was all */
void roles_change(bool revoked);                       /* to the shorter file of roles, or back */

/* Its filters (a bit each) that name this session: they wait when the role for it is gone. */
unsigned filters_that_wait(const struct reader *reader, unsigned session);

/* Where a filter begins that is asked for now. */
void filter_place(struct filter *filter, const struct wish *wish);

/* What hf_may_subscribe must say to this wish. */
enum hf_reason reader_may_subscribe(unsigned reader, const struct wish *wish);

/* Entry `lsn` is about to be handed over: is it the next one due, at the QoS and with the Subscription Identifiers of
 * the filters that match? */
void reader_check_hand(unsigned reader, uint64_t lsn, uint8_t qos, const uint32_t *ids, size_t id_count);
/* The same of those that were joined, from `first` to `last`. */
void reader_check_joined(
	unsigned reader, uint64_t first, uint64_t last, uint8_t qos, const uint32_t *ids, size_t id_count);
/* `first` and `last`: of joined ones; else the same. Here and below. */
void reader_handed(unsigned reader, uint64_t first, uint64_t last, uint8_t qos);
void reader_too_large(unsigned reader, uint64_t lsn);
void reader_passed_over(unsigned reader, uint64_t lsn); /* too large, known without handing it over */
bool reader_comes_to(unsigned reader, uint64_t lsn);    /* nothing that must come lies before it */
/* A message left the broker's books: acknowledged or rejected; or given up unsent, which asks for a gap mark. */
void reader_acknowledged(unsigned reader, uint64_t first, uint64_t last);
void reader_given_up(unsigned reader, uint64_t first, uint64_t last, bool told); /* told: the hub is */
void reader_orphan_left(unsigned reader, uint64_t first, uint64_t last);         /* one that had been let go */

/* A gap mark was handed over; acknowledged; taken back. */
void reader_gap_told(unsigned reader, uint64_t first, uint64_t last, uint8_t qos, uint64_t mark);
void reader_gap_known(unsigned reader, uint64_t first, uint64_t last, uint64_t mark);
void reader_gap_taken_back(unsigned reader, uint64_t first, uint64_t last, uint64_t mark);

/* A mark says that these offsets were removed: it was handed over; acknowledged. Nothing may come before it is. */
void reader_truncation_told(
	unsigned reader, unsigned session, uint64_t first, uint64_t last, uint8_t qos, uint64_t mark);
void reader_truncation_known(unsigned reader, uint64_t mark);

/* Does it listen for what Holdfast says to it alone, on "mark" or "error" of this session? */
bool reader_listens(unsigned reader, unsigned session, const char *rest);

/* How many users and operators are there and get the tokens of a session, on how many devices. */
void reader_audience(unsigned session, uint32_t *people, uint32_t *devices);

/* Marks. `head`: of the session, as the mark says. */
void reader_caught_up(unsigned reader, unsigned session);

/* The broker was killed, or has ended in good order (clean), and starts again. */
void reader_restarted(unsigned reader, bool clean);

/* It is online and everything that could happen has happened: it must be at the head. */
void reader_check_settled(unsigned reader);

#endif
