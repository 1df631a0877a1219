/* SPDX-License-Identifier: BSD-3-Clause */
/* A store as a month of talk would leave it, made through the store's own functions, as the broker calls them. */
#ifndef HF_BENCH_AUDIT_FILL_H
#define HF_BENCH_AUDIT_FILL_H

#include "store/store.h"

#define HF_FILL_BURST 50  /* entries of a session in a row, some 10 seconds of talk */
#define HF_FILL_READERS 4 /* devices that are sent and acknowledge each of them */
#define HF_FILL_SESSIONS 10000
#define HF_FILL_PEOPLE 2000
#define HF_FILL_PAYLOAD 64                      /* bytes */
#define HF_FILL_BEGIN_MS INT64_C(1767225600000) /* 2026-01-01 */
#define HF_FILL_DURATION_MS (INT64_C(31) * 86400 * 1000)

/* Names of sessions and identities by number; a device is its identity and "-phone". */
void hf_fill_session(unsigned int number, char out[32]);
void hf_fill_identity(unsigned int number, char out[32]);

/* Make the store at `path` with so many deliveries. False: standard error says why not. */
bool hf_fill(const char *path, uint64_t deliveries);

#endif
