/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may do what. A roles file gives identities a role in sessions; a fixed table (README, "Topics") says what
 * a role may do on each topic. Whatever neither names is refused.
 *
 * The roles file has one rule a line:  identity-pattern  role  session-pattern[,session-pattern...]
 * Patterns are shell globs (fnmatch(3)); '#' begins a comment; the first rule whose identity and session patterns
 * both match decides.
 */
#ifndef HF_SESSION_ACCESS_H
#define HF_SESSION_ACCESS_H

#include "codec/entry.h"
#include "codec/reason.h"
#include "codec/topic.h"

struct hf_access;

/* Read the rules; `path` NULL gives none. On failure `message` names file, line and what is wrong with it.
 * HF_OK, HF_ROLES_INVALID, HF_NO_MEMORY. Free with hf_access_free (NULL allowed). */
enum hf_reason hf_access_load(const char *path, struct hf_access **out, char *message, size_t message_size);
void hf_access_free(struct hf_access *access);

/* The role of an identity in a session; HF_ROLE_NONE when no rule matches. */
enum hf_role hf_access_role(const struct hf_access *access, struct hf_slice identity, struct hf_slice session);

/* May this identity read some session, whichever? What a filter with a wildcard in the session needs. */
bool hf_access_reads_some(const struct hf_access *access, struct hf_slice identity);

/* Append the rules as text, one a line, as a roles file has them. False: no memory. */
bool hf_access_text(const struct hf_access *access, struct hf_buffer *out);

/* The table. */
bool hf_role_may_publish(enum hf_role role, enum hf_kind kind);
bool hf_role_may_read(enum hf_role role);

#endif
