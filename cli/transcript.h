/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A session as people read it: who said what, when, and who got it. Token batches are joined to what was said, until
 * somebody else does something; entries of other kinds, and what Holdfast noticed, stand in their places.
 */
#ifndef HF_CLI_TRANSCRIPT_H
#define HF_CLI_TRANSCRIPT_H

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
	bool continued;                          /* there was a turn of this response before */
	struct hf_buffer text;                   /* UTF-8: what was said, or words for it */
	struct hf_slice type;                    /* Content Type */
	const char *end;                         /* of a response: "complete" ...; NULL while it goes on */
	struct hf_slice closed;                  /* or why Holdfast closed it */
	uint64_t answers;                        /* of an answer: the offset of its question, 0: unknown */
	bool binary;                             /* the payload is no text: `text` says how many bytes */
	bool removed;                            /* the payload is not kept any more */
	struct hf_buffer digests;                /* SHA-256 of each payload that is binary or removed */
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

struct hf_transcript {
	struct hf_store *store;
	struct hf_slice session;
	struct hf_turn *turns;
	size_t count, size;
	uint64_t entries;
	uint32_t *turn_of; /* index + 1, by offset - first; 0: none */
	uint64_t first, offsets;
	struct hf_turn_name *names;        /* uthash, in the order they came up */
	struct hf_turn_device *devices;    /* uthash */
	struct hf_turn_device **numbered;  /* the same, by number */
	struct hf_turn_receipts *receipts; /* uthash, in the order of time */
};

/* Read a session. `query` names it, and the times. HF_OK, and as hf_query_open. Free in every case. */
enum hf_reason hf_transcript_make(struct hf_store *store, const struct hf_query *query, struct hf_transcript *out);
void hf_transcript_free(struct hf_transcript *transcript);

/* transcript_receipts.c: who got each turn. As hf_transcript_make. */
enum hf_reason hf_transcript_receipts(struct hf_transcript *transcript);
/* What became of a turn for a device: a state's name, and of how many entries that is true (fewer than the turn has:
 * the others were sent, or are on their way). */
struct hf_turn_fate {
	const char *state;
	uint64_t count;
	bool acknowledged;
};
struct hf_turn_fate hf_turn_fate(const struct hf_turn *turn, const struct hf_turn_receipts *receipts);

/* What a turn is, beside who and when, in a few words: "input", "response r-7, continued". Freed by the caller. */
char *hf_turn_title(const struct hf_turn *turn);
/* How it ended, of a response that did so by other means than its end; "" of others. Freed by the caller. */
char *hf_turn_ending(const struct hf_turn *turn);

/* Print it on standard output. False: no memory. */
bool hf_transcript_text(const struct hf_transcript *transcript);
bool hf_transcript_json(const struct hf_transcript *transcript);
bool hf_transcript_html(const struct hf_transcript *transcript);

#endif
