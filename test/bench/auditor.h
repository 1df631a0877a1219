/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An auditor who asks all the time: one question after the other, each as soon as the one before is answered. Either
 * with the command line, which opens the store beside the broker, or over $CONTROL. An answer that is none fails the
 * loop.
 */
#ifndef HF_BENCH_AUDITOR_H
#define HF_BENCH_AUDITOR_H

#include "broker.h"
#include "client.h"

struct hf_auditor;

/* Begins, as the broker's variant says. The loop and the broker must outlive it. NULL after hf_loop_fail. */
struct hf_auditor *hf_auditor_open(struct hf_loop *loop, const struct hf_broker *broker);
void hf_auditor_close(struct hf_auditor *auditor); /* NULL allowed */

/* Ask the next question, if it is time. */
void hf_auditor_poll(struct hf_auditor *auditor);

/* How many were answered so far. */
uint64_t hf_auditor_answers(struct hf_auditor *auditor);

#endif
