/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clients who take part in a session, each under a user name of its own: they subscribe, begin a response if they are
 * agents, and look out for the notice that an agent has crashed.
 */
#ifndef HF_BENCH_CROWD_H
#define HF_BENCH_CROWD_H

#include "client.h"
#include "tally.h"

#define HF_CROWD_FILTERS_MAX 3

struct hf_crowd;

struct hf_crowd_setup {
	unsigned count;
	const char *name;                          /* user names and client ids are this and a number */
	const char *filters[HF_CROWD_FILTERS_MAX]; /* up to the first NULL */
	const char *tokens;                        /* each begins a response on this topic; NULL: none does */
};

/* Begins to connect them. The loop and the tally must outlive it; so must the setup's strings. NULL after hf_loop_fail.
 */
struct hf_crowd *hf_crowd_open(
	struct hf_loop *loop, uint16_t port, const struct hf_crowd_setup *setup, struct hf_tally *tally);
void hf_crowd_close(struct hf_crowd *crowd); /* NULL allowed */

bool hf_crowd_is_ready(const struct hf_crowd *crowd); /* all that they begin with is acknowledged */

/* One member's connection breaks: its socket is closed, without a word. */
void hf_crowd_break(struct hf_crowd *crowd, unsigned index);

/* From now on: how many have the notice that somebody has crashed, behind one that closes its response. The time that
 * each took is put into tally->delivery_ns. */
void hf_crowd_expect(struct hf_crowd *crowd, int64_t since_ns);
bool hf_crowd_has_noticed(const struct hf_crowd *crowd); /* all of them */

#endif
