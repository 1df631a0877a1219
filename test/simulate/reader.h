/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What every reader must see. A reader is what the broker keeps of one client: its filters, how far it was handed the
 * log, and what of that it has acknowledged.
 *
 * The rule: an entry is handed over only if it is the next one due. Due is what a filter matches that begins before it
 * (`from`, `floor`, `last_n`) and the reader's role may read. After a kill the position starts again at the lowest
 * entry not acknowledged; what was acknowledged long enough before must not come again.
 */
#ifndef HF_TEST_SIMULATE_READER_H
#define HF_TEST_SIMULATE_READER_H

#include "codec/filter.h"
#include "world.h"

/* A filter as a client sends it, taken apart. */
struct wish {
	char text[120]; /* with verb and position */
	char plain[80];
	bool outside;    /* not under the root */
	bool broad;      /* covers more than the root */
	uint8_t session; /* NOBODY: any */
	enum hf_verb verb;
	struct hf_position position;
	uint8_t options;
	uint32_t identifier;
};

void reader_connected(unsigned reader, bool clean);
void reader_disconnected(unsigned reader);
void reader_begins_anew(unsigned reader); /* kept by the broker, but empty */
void reader_ended(unsigned reader);
void reader_subscribed(unsigned reader, const struct wish *wish);
void reader_unsubscribed(unsigned reader, const char *plain);
void reader_permissions_changed(void);

/* What hf_may_subscribe must say to this wish. */
enum hf_reason reader_may_subscribe(unsigned reader, const struct wish *wish);

/* Entry `lsn` is about to be handed over: is it the next one due, at the QoS and with the Subscription Identifiers of
 * the filters that match? */
void reader_check_hand(unsigned reader, uint64_t lsn, uint8_t qos, const uint32_t *ids, size_t id_count);
void reader_handed(unsigned reader, uint64_t lsn, uint8_t qos);
void reader_too_large(unsigned reader, uint64_t lsn);
void reader_passed_over(unsigned reader, uint64_t lsn); /* too large, known without handing it over */
/* A message left the broker's books: acknowledged or rejected; or given up unsent, which asks for a gap mark. */
void reader_acknowledged(unsigned reader, uint64_t lsn);
void reader_given_up(unsigned reader, uint64_t lsn);

/* A gap mark was handed over, and acknowledged. */
void reader_gap_told(unsigned reader, uint64_t lsn, uint8_t qos);
void reader_gap_known(unsigned reader, uint64_t lsn);

/* Does it listen for what Holdfast says to it alone, on "mark" or "error" of this session? */
bool reader_listens(unsigned reader, unsigned session, const char *rest);

/* How many users and operators are there and get the tokens of a session, on how many devices. */
void reader_audience(unsigned session, uint32_t *people, uint32_t *devices);

/* Marks. `head`: of the session, as the mark says. */
void reader_caught_up(unsigned reader, unsigned session);

/* The position in the log that a client was promised: before a kill, or a clean end. */
void reader_restarted(unsigned reader, bool clean);

/* It is online and everything that could happen has happened: it must be at the head. */
void reader_check_settled(unsigned reader);

#endif
