/* SPDX-License-Identifier: BSD-3-Clause */
/* How much of what there was: by session, by identity, by what was refused. */
#ifndef HF_QUERY_REPORT_H
#define HF_QUERY_REPORT_H

#include <uthash.h>

#include "codec/buffer.h"
#include "query/query.h"

enum hf_count_by { HF_COUNT_ALL, HF_COUNT_SESSION, HF_COUNT_IDENTITY, HF_COUNT_REFUSAL };

/* Entries are counted for each device they were meant for: two devices that were sent ten are twenty. */
struct hf_count {
	UT_hash_handle hh;
	enum hf_count_by by;
	struct hf_slice name;   /* session; identity; of a refusal, the act */
	struct hf_slice reason; /* of a refusal */
	uint64_t published, bytes;
	uint64_t sent;         /* the first time, whatever became of it */
	uint64_t acknowledged; /* of them, also later */
	uint64_t resent, rejected, answered;
	uint64_t too_large, gone; /* not sent */
	uint64_t connected, refused;
	uint64_t asked; /* questions over $CONTROL; further pages do not count */
	size_t key_len;
	char key[];
};

struct hf_report {
	struct hf_count *counts; /* uthash, sorted: all, then sessions, identities, refusals, each by name */
	struct hf_buffer key;    /* scratch */
};

/* Count what the query asks for. HF_OK, and as hf_query_open. Free in every case. */
enum hf_reason hf_report_make(struct hf_store *store, const struct hf_query *query, struct hf_report *out);
void hf_report_free(struct hf_report *report);

#endif
