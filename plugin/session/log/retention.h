/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long a session's entries are kept. As long as all limits allow: what is too old, or beyond the newest so many, or
 * so many bytes, is removed from the beginning of the log. Nothing waits for readers; who has not read it is told what
 * is gone (gaps.c). The readers who are there learn of it from a notice.
 *
 * Removing goes by runs, so that notices stay few. Numbers and bytes are kept as promised, and up to an eighth and
 * HF_KEEP_MORE_ENTRIES or HF_KEEP_MORE_BYTES more. What is under a legal hold stays, and what follows it in its session
 * with it (audit/holds.h). Age is looked at when the sweep comes by, which walks the records of
 * all sessions, a few at a time, and comes within an eighth of the shortest age, and within HF_SWEEP_MAX_MS.
 */
#ifndef HF_SESSION_RETENTION_H
#define HF_SESSION_RETENTION_H

#include "codec/reason.h"
#include "codec/slice.h"
#include "session/options.h"

#define HF_KEEP_MORE_ENTRIES 64
#define HF_KEEP_MORE_BYTES (16u << 10)
#define HF_SWEEP_MIN_MS 1000
#define HF_SWEEP_MAX_MS (10u * 60 * 1000)

struct hf_hub;
struct hf_session;

/* What hf_log_state has of a session. On disk: never renumber. */
enum hf_session_state {
	HF_STATE_CLOSED = 1,    /* its last entry says so */
	HF_STATE_ERASED = 2,    /* its entries are to go, or have gone */
	HF_STATE_RETAINING = 8, /* it has limits of its own: HF_FACT_RETENTION */
};

/* In a limit of its own: what the options say. */
#define HF_RETENTION_DEFAULT UINT64_MAX

/* Give a session limits of its own; all of them HF_RETENTION_DEFAULT take them back. On disk when it returns HF_OK.
 * HF_SESSION_UNKNOWN, HF_SESSION_ERASED, HF_STORE_FAILED, HF_NO_MEMORY, HF_RECORD_CORRUPT. */
enum hf_reason hf_session_set_retention(
	struct hf_hub *hub, struct hf_slice session, const struct hf_retention *retention);

/* The limits that hold for it, as its log says; read when it comes into memory. */
enum hf_reason hf_retention_load(struct hf_hub *hub, struct hf_session *session);

/* Timers: after the index was written, for the sessions in memory; and the sweep over all of them. */
void hf_retention_active(struct hf_hub *hub);
void hf_retention_sweep(struct hf_hub *hub);

/* The sweep shall come by soon: at start, and where limits have changed. */
void hf_retention_soon(struct hf_hub *hub);

#endif
