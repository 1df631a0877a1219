/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A session as people read it: who said what, when, and who got it. Token batches are joined to what was said, until
 * somebody else does something; entries of other kinds, and what Holdfast noticed, stand in their places.
 */
#ifndef HF_QUERY_TRANSCRIPT_H
#define HF_QUERY_TRANSCRIPT_H

#include <cjson/cJSON.h>
#include <uthash.h>

#include "query/query.h"

/* What became of a turn for one device. */
struct hf_turn_receipts {
	UT_hash_handle hh;
	struct {
		uint32_t turn, device;
	} key;
	uint64_t states[8]; /* offsets, by enum hf_receipt_state */
	uint64_t again;     /* of them, sent once more */
	int64_t first_ms;   /* when the first of it was sent, or that it would not be was known */
	int64_t settled_ms; /* when the last of it was acknowledged or rejected */
};

struct hf_turn_device {
	UT_hash_handle hh;
	uint32_t number;
	struct hf_slice identity, device; /* into key */
	char key[];
};

struct hf_turn {
	enum hf_kind kind;
	enum hf_role role;
	uint64_t first, last; /* offsets; those between may belong to other turns */
	uint64_t count;       /* entries in it */
	int64_t time_ms, until_ms;
	struct hf_slice from, device; /* who; into texts, as all slices here */
	struct hf_slice topic;
	struct hf_slice response, response_kind; /* of token batches */
	bool continued;                          /* the response had begun before this turn */
	struct hf_buffer text;                   /* UTF-8: what was said, or words for it */
	struct hf_slice type;                    /* Content Type */
	uint64_t bytes;                          /* of the payloads */
	const char *end;                         /* of a response: "complete" ...; NULL while it goes on */
	struct hf_slice closed;                  /* or why Holdfast closed it */
	struct hf_slice question;                /* of a question, or an answer: the question's id */
	uint64_t answers;                        /* of an answer: the offset of its question, 0: not in the transcript */
	bool binary;                             /* the payload is no text: `text` says how many bytes */
	bool removed;                            /* the payload is not kept any more */
	bool withheld;                           /* it is not for who asks */
	bool large;                              /* it is too large for a page */
	struct hf_buffer digests;                /* SHA-256 of each payload that is binary, or is not there */
	struct hf_buffer texts;
	struct hf_turn_receipts **receipts; /* by device, in the order they were first sent it */
	size_t receipt_count;
};

/* Something that turns are found by: a speaker ('s', from its role on), a response ('r'), a question ('a'). */
struct hf_turn_name {
	UT_hash_handle hh;
	size_t turn; /* of a speaker the first one, else the last one */
	uint64_t entries;
	int64_t last_ms;
	char key[];
};

/* What is wanted of a session. */
struct hf_transcript_want {
	struct hf_query query; /* names the session, and the times */
	bool withhold; /* what was said is left out, its sizes and digests are in its place; not what Holdfast says */
	/* A page at a time: at most so many turns, and about 256 KiB of what was said. A page ends between two entries; a
	 * response that goes on there is another turn. 0: all of it. */
	uint64_t turns_max;
	struct hf_slice after; /* `next` of the page before; empty: from the beginning */
};

struct hf_transcript {
	struct hf_store *store;
	struct hf_slice session;
	struct hf_turn *turns;
	size_t count, size;
	uint64_t entries;
	size_t bytes;                 /* of what was said, and around it, about */
	char next[HF_QUERY_KEY_SIZE]; /* there may be more, behind this; "": that was the last page */
	uint32_t *turn_of;            /* index + 1, by offset - first; 0: none */
	uint64_t first, offsets;
	struct hf_turn_name *names;        /* uthash, in the order they came up */
	struct hf_turn_device *devices;    /* uthash */
	struct hf_turn_device **numbered;  /* the same, by number */
	struct hf_turn_receipts *receipts; /* uthash */
	struct hf_buffer key;              /* scratch */
};

/* Read a session. HF_OK, and as hf_query_open. Free in every case. */
enum hf_reason hf_transcript_make(
	struct hf_store *store, const struct hf_transcript_want *want, struct hf_transcript *out);
void hf_transcript_free(struct hf_transcript *transcript);

/* transcript_receipts.c: who got each turn. `stop` as in a query. As hf_transcript_make. */
enum hf_reason hf_transcript_receipts(struct hf_transcript *transcript, const atomic_bool *stop);
/* What became of a turn for a device: a state's name, and of how many entries that is true (fewer than the turn has:
 * the others were sent, or are on their way). */
struct hf_turn_fate {
	const char *state;
	uint64_t count;
	bool acknowledged;
};
struct hf_turn_fate hf_turn_fate(const struct hf_turn *turn, const struct hf_turn_receipts *receipts);

/* A turn by schemas/transcript.cddl, which the caller owns. It has at most *receipts_left receipts, which counts down,
 * and says how many more there are. NULL: no memory. */
cJSON *hf_turn_json(const struct hf_transcript *transcript, const struct hf_turn *turn, size_t *receipts_left);

#endif
