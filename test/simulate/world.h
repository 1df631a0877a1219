/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * All that outlives a kill of the simulated broker, in memory that every life (a child process) shares: the seed's
 * dice, the clocks, the clients, what the log must hold (log.c) and what every reader must see (reader.c).
 *
 * One schedule is one seed. It has one or more lives: a life opens a hub, takes random steps and ends by a kill of
 * its process, by closing the hub, or because the schedule is over.
 */
#ifndef HF_TEST_SIMULATE_WORLD_H
#define HF_TEST_SIMULATE_WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "session/hub.h"

enum {
	SESSIONS = 4,
	CLIENTS = 7,
	LATE_COMER = CLIENTS, /* joins at the very end and reads everything */
	READERS = CLIENTS + 1,
	FILTERS = 6,
	ENTRIES = 1600,
	RESPONSE_IDS = 6,
	ASK_IDS = 8, /* in each session */
	SHARED_KEYS = 2,
	IDENTITIES = 5,
	GROUPS = 4,
	HELD = 2048,
	TRACE_LINES = 80,
	TRACE_WIDTH = 160,
	NOBODY = 255,
};

/* ---- the log as it must be */

struct entry {
	uint8_t session, kind, key, qos, publisher, role;
	uint8_t response; /* NOBODY: not a token batch */
	uint8_t ask;      /* of a question or an answer; NOBODY: neither */
	uint8_t end;
	uint32_t id;    /* its idempotency key; 0: none */
	bool by_broker; /* a notice; publisher NOBODY */
	bool removed;   /* by retention */
	bool hidden;    /* stored by an append that failed: the hub learns of it when the store recovers */
	bool with_property;
	uint32_t number; /* of the publish: makes payloads unlike */
	uint32_t filler;
	uint32_t size; /* of its packet */
	uint64_t seq, offset;
	int64_t time_ms;
};

struct response {
	uint64_t next_seq;
	bool ended;
};

struct ask {
	uint64_t lsn, answer_lsn; /* 0: it was not asked, not answered */
};

/* ---- readers */

/* The mark that an entry will not come. */
enum gap {
	GAP_NONE,
	GAP_MAYBE, /* nobody listened for it when it fell due */
	GAP_OWED,
	GAP_TOLD, /* in flight */
};

enum mark { /* caught-up */
	MARK_NONE,
	MARK_MAYBE, /* nobody listened when it fell due */
	MARK_DUE,
};

struct filter {
	bool used, outside;
	bool batches; /* token batches are not to be joined */
	bool restored;
	enum mark mark;
	char plain[80];
	uint8_t options;
	uint32_t identifier;
	uint8_t session;                        /* NOBODY: any */
	uint64_t from, floor, last_n, last_lsn; /* where it began */
};

/* What a reader has still to be given of one entry, in sets of filters (a bit for each). In none of them: that filter
 * was never due it, or is done with it. */
struct debt {
	uint8_t open;             /* it must be handed over under these, if they match then */
	uint8_t maybe;            /* it may */
	uint8_t flight;           /* it was, and is not acknowledged (nor the mark that it will not come) */
	uint8_t dim;              /* it may have been */
	uint8_t copies;           /* in flight */
	bool split;               /* of several copies, one is acknowledged: for which filters, the broker does not tell */
	bool lost;                /* its client could not take it */
	uint8_t gap;              /* enum gap */
	uint64_t mark;            /* which one told it */
	uint16_t gap_first;       /* the mark is of all from here on: they had been joined */
	uint8_t gap_extra;        /* marks that may come besides, since there was another copy ... */
	bool either;              /* ... and one of them came when its own was due too ... */
	uint16_t extra_first;     /* ... of all from here on, likewise; 0: of this one */
	uint8_t missed;           /* it was removed before it was given under these, and the client is not told so ... */
	uint8_t telling;          /* ... but that is on its way ... */
	uint64_t telling_mark;    /* ... with this mark */
	int64_t done_ms[FILTERS]; /* since when they are done with it; 0: never were due it */
};

struct reader {
	bool exists; /* the broker has a session for it */
	bool durable, online;
	uint32_t max_packet; /* of the connection; 0: any ... */
	bool size_known;     /* ... and the hub was told */
	uint8_t max_qos;     /* likewise; the hub may know it, or find out */
	bool outgrown;       /* it takes more than the hub was told */
	struct filter filters[FILTERS];
	uint64_t sent;           /* the last entry handed over, since it had to begin further back */
	uint64_t last[SESSIONS]; /* of each session, likewise */
	struct debt debts[ENTRIES + 1];
	unsigned unacknowledged;
	uint32_t pass; /* counts how often it was told to start elsewhere */
	/* what its client saw */
	uint64_t stream_last;
	bool seen[ENTRIES + 1]; /* since it was last told to start elsewhere */
	uint32_t stream_pass;
	uint16_t held[HELD]; /* Packet Identifiers of QoS 2 messages that it has not released */
	unsigned held_count;
	uint64_t got, got_again;
	/* what the broker was told to keep */
	struct hf_durable facts;
	bool back; /* since it was told when the session expires: that no longer holds */
};

/* ---- groups ($share): groups.h */

enum work_state {
	WORK_NONE, /* not due to the group */
	WORK_OPEN, /* nobody has it */
	WORK_LENT,
	WORK_DONE,
};

struct work {
	uint8_t state;
	uint8_t holder; /* of what is lent; else NOBODY */
	bool maybe;     /* open: it may have been passed over; done: it may come once more */
	int64_t done_ms;
};

struct member {
	bool is, restored;
	uint8_t options;
	uint32_t identifier;
};

struct group {
	bool exists;
	uint32_t life; /* counts how often it began */
	struct filter place;
	struct work works[ENTRIES + 1];
	struct member members[READERS];
	bool seen[IDENTITIES]; /* is, or was, a worker ... */
	int64_t seen_ms[IDENTITIES];
	uint32_t least_packet; /* the smallest Maximum Packet Size that a worker has had; 0: all took everything */
};

/* ---- */

struct config {
	unsigned window, ack_flush_ms, max_queued, steps, rollup;
	unsigned retention_ms; /* 0: everything is kept */
	enum hf_role anonymous_role;
	bool clock_steps_back, faults, groups, erases;
};

enum ending {
	ENDING_NONE,
	ENDING_KILLED,
	ENDING_CLOSED,
	ENDING_OVER,
	ENDING_FAILED,
};

struct world {
	uint64_t seed, dice;
	bool verbose;
	struct config config;
	int64_t wall_ms, mono_ms;
	int64_t wake_at_ms; /* 0: none asked for */
	unsigned steps_left, lives;
	unsigned kill_in; /* calls of hand() until the process is killed; 0: not armed */
	enum ending ending;

	uint64_t head;
	struct entry entries[ENTRIES + 1]; /* by LSN */
	uint64_t session_head[SESSIONS];
	uint64_t session_lsn[SESSIONS][ENTRIES + 1]; /* by offset */
	struct response responses[SESSIONS][IDENTITIES][RESPONSE_IDS];
	struct ask asks[SESSIONS][ASK_IDS];
	uint32_t publishes;
	bool erased[SESSIONS];
	bool erasing; /* it is closed first */
	bool revoked; /* the shorter roles file is in force */

	struct reader readers[READERS];
	struct group groups[GROUPS];

	/* Up to when changes of cursors are on disk for sure. */
	int64_t written_ms;
	int64_t failing_ms; /* when the store was last seen failing */
	unsigned ticks_since_failing;

	uint64_t handed, joined, worked, killed_lives, gaps_told, removed; /* for the summary */
	unsigned trace_next;
	char trace[TRACE_LINES][TRACE_WIDTH];
	char failure[1024];
};

extern struct world *world;

void world_make(void);
void world_begin(uint64_t seed, bool verbose);

/* A line of the schedule; the last ones are printed when it fails. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The schedule has shown a fault: ends the process. */
void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#define must(condition, ...)                                                                                           \
	do {                                                                                                               \
		if (!(condition)) {                                                                                            \
			fail(__VA_ARGS__);                                                                                         \
		}                                                                                                              \
	} while (0)

/* 0 to below - 1. */
uint64_t chance(uint64_t below);

static inline bool one_in(uint64_t count)
{
	return chance(count) == 0;
}

/* ---- who and what there is: fixed tables (world.c) */

struct person {
	const char *device;
	const char *identity; /* NULL: anonymous */
	uint8_t identity_index;
};
extern const struct person people[READERS];
extern const char *const session_names[SESSIONS];

enum hf_role role_of(unsigned reader, unsigned session);
bool reads(enum hf_role role);
bool publishes(enum hf_role role, enum hf_kind kind);
int reader_of_device(const char *device); /* -1: none */
int session_of(struct hf_slice name);     /* -1: none */

#endif
