/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What publishers and readers count together, and the stamp that every benchmark message begins with.
 */
#ifndef HF_BENCH_TALLY_H
#define HF_BENCH_TALLY_H

#include <hdr/hdr_histogram.h>
#include <stdint.h>

#define HF_SESSION "bench"
#define HF_EVENT_TOPIC "sessions/" HF_SESSION "/event"
#define HF_TOKENS_TOPIC "sessions/" HF_SESSION "/tokens"
#define HF_SESSION_FILTER "sessions/" HF_SESSION "/#"
#define HF_PUBLISHERS_MAX 16

/* In the byte order of this machine: the process that reads it has written it. */
struct hf_stamp {
	int64_t sent_ns; /* when it was sent, or at a fixed rate when it was due */
	uint32_t publisher;
	uint32_t sequence; /* dense from 0, per publisher */
};

struct hf_tally {
	struct hdr_histogram *ack_ns;      /* PUBLISH to PUBACK */
	struct hdr_histogram *delivery_ns; /* PUBLISH to the reader */
	uint64_t acked;
	uint64_t delivered;       /* entries */
	uint64_t messages;        /* with repeats, and fewer than entries where these come joined */
	uint64_t delivered_bytes; /* of whole PUBLISH packets */
};

#endif
