/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may do what. A roles file gives identities a role in sessions; a fixed table (README.md, "Topics") says what
 * a role may do on each topic. Whatever neither names is refused.
 *
 * The roles file has one rule a line:  identity-pattern  role  session-pattern[,session-pattern...]
 * Patterns are shell globs (fnmatch(3)); '#' begins a comment; the first rule whose identity and session patterns
 * both match decides.
 */
#ifndef HF_CODEC_ROLES_H
#define HF_CODEC_ROLES_H

#include "codec/entry.h"
#include "codec/reason.h"
#include "codec/topic.h"

struct hf_access;

/* No rules. Free with hf_access_free (NULL allowed). HF_OK, HF_NO_MEMORY. */
enum hf_reason hf_access_new(struct hf_access **out);
void hf_access_free(struct hf_access *access);

/* Add the rule of one line, if it has one; the line is taken apart. HF_OK, HF_ROLES_INVALID. */
enum hf_reason hf_access_add(struct hf_access *access, char *line);

/* The rules of a text, such as hf_access_text has written. HF_OK, HF_ROLES_INVALID, HF_NO_MEMORY: *out is NULL. */
enum hf_reason hf_access_parse(struct hf_slice text, struct hf_access **out);

/* The role of an identity in a session; HF_ROLE_NONE when no rule matches. */
enum hf_role hf_access_role(const struct hf_access *access, struct hf_slice identity, struct hf_slice session);

/* The role of an identity in sessions at large, for what is not about one session: that of the first rule for it that
 * has the session pattern "*". HF_ROLE_NONE when there is none. */
enum hf_role hf_access_role_at_large(const struct hf_access *access, struct hf_slice identity);

/* Does the rule that decides about an identity in a session name that session, itself and not by a pattern? */
bool hf_access_names(const struct hf_access *access, struct hf_slice identity, struct hf_slice session);

/* Does a rule give this identity one of these roles (1 << enum hf_role) in some session, whichever? */
bool hf_access_has_some(const struct hf_access *access, struct hf_slice identity, unsigned int roles);

/* May this identity read some session, whichever? What a filter with a wildcard in the session needs. */
bool hf_access_reads_some(const struct hf_access *access, struct hf_slice identity);

/* Append the rules as text, one a line, as a roles file has them. False: no memory. */
bool hf_access_text(const struct hf_access *access, struct hf_buffer *out);

/* The table. */
bool hf_role_may_publish(enum hf_role role, enum hf_kind kind);
bool hf_role_may_read(enum hf_role role);

#endif
