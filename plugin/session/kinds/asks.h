/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is kept of questions: facts in the store (ask_facts.c), of which the open ones are also in memory while their
 * session is (asks.c). Between these two files.
 */
#ifndef HF_SESSION_ASKS_H
#define HF_SESSION_ASKS_H

#include "session/internal.h"

/* An open question. */
struct hf_ask_terms {
	uint64_t offset;
	int64_t expires_ms;                 /* by hf_hub_clock_ms */
	struct hf_slice identity;           /* who asked */
	struct hf_slice digest;             /* SHA-256 of the payload, which may be removed before; empty: not known */
	struct hf_slice choices, to, roles; /* as in struct hf_ask */
};

struct hf_open_ask {
	UT_hash_handle hh; /* key: id */
	struct hf_ask_terms terms;
	size_t id_len;
	char bytes[]; /* the id, and the fact that terms points into */
};

/* One that was answered, or has expired. */
struct hf_ask_ended {
	bool answered;
	uint64_t offset;          /* of the question */
	uint64_t end_offset;      /* of the answer, or of the notice */
	struct hf_slice digest;   /* as above */
	struct hf_slice identity; /* who asked ... */
	struct hf_slice by;       /* ... and who answered */
};

/* Slices of `out` point into hub->fact, or into `value`. HF_OK, HF_STORE_FAILED, HF_RECORD_CORRUPT, HF_NO_MEMORY. */
enum hf_reason hf_ask_open_get(
	struct hf_hub *hub, struct hf_slice session, struct hf_slice id, struct hf_ask_terms *out, bool *found);
enum hf_reason hf_ask_ended_get(
	struct hf_hub *hub, struct hf_slice session, struct hf_slice id, struct hf_ask_ended *out, bool *found);
bool hf_ask_open_read(struct hf_slice value, struct hf_ask_terms *out); /* false: it does not decode */

/* It is open, and its deadline set; its fact is also left in hub->fact. False: no memory, nothing was put. */
bool hf_ask_open_put(struct hf_hub *hub, struct hf_slice session, struct hf_slice id, const struct hf_ask_terms *terms);
/* It is open no more. The slices may point into hub->fact. False: no memory; some of it may be done. */
bool hf_ask_ended_put(struct hf_hub *hub, struct hf_slice session, struct hf_slice id, const struct hf_ask_ended *ended,
	int64_t expires_ms);

/* The deadlines that have passed, at most `max` of them, soonest first. *next_ms is when the one after these is due, 0
 * when there is none. They are found in the store, so that a session at rest costs no memory. */
struct hf_deadline {
	int64_t at_ms;
	size_t session_len, id_len;
	char session[HF_SESSION_ID_MAX];
	char id[HF_ASK_ID_MAX];
};
enum hf_reason hf_deadlines_passed(
	struct hf_hub *hub, struct hf_deadline *out, size_t max, size_t *count, int64_t *next_ms);
bool hf_deadline_remove(
	struct hf_hub *hub, int64_t at_ms, struct hf_slice session, struct hf_slice id); /* false: no memory */

#endif
