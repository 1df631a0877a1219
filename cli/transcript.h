/* SPDX-License-Identifier: BSD-3-Clause */
/* A session as people read it, printed. */
#ifndef HF_CLI_TRANSCRIPT_H
#define HF_CLI_TRANSCRIPT_H

#include "query/transcript.h"

/* What a turn is, beside who and when, in a few words: "input", "response r-7, continued". Freed by the caller. */
char *hf_turn_title(const struct hf_turn *turn);
/* How it ended, of a response that did so by other means than its end; "" of others. Freed by the caller. */
char *hf_turn_ending(const struct hf_turn *turn);

/* Print it on standard output. False: no memory. */
bool hf_transcript_text(const struct hf_transcript *transcript);
bool hf_transcript_json(const struct hf_transcript *transcript);
bool hf_transcript_html(const struct hf_transcript *transcript);

#endif
