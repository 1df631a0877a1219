/* SPDX-License-Identifier: BSD-3-Clause */
/* The roles file: who may do what, by the rules of codec/roles.h. */
#ifndef HF_SESSION_ACCESS_H
#define HF_SESSION_ACCESS_H

#include "codec/roles.h"

/* Read the rules; `path` NULL gives none. On failure `message` names file, line and what is wrong with it.
 * HF_OK, HF_ROLES_INVALID, HF_NO_MEMORY. Free with hf_access_free (NULL allowed). */
enum hf_reason hf_access_load(const char *path, struct hf_access **out, char *message, size_t message_size);

#endif
