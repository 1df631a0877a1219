/* SPDX-License-Identifier: BSD-3-Clause */
/* The small documents of a session in words, for people who follow it in a terminal. */
#ifndef HF_QUERY_DESCRIBE_H
#define HF_QUERY_DESCRIBE_H

#include <cjson/cJSON.h>

#include "codec/topic.h"

/*
 * What a document says: one line or several, without a line feed at the end. Contains text of others as it is: make it
 * safe before it meets a terminal. NULL when there are no words for it (then show it as it is), or no memory. To be
 * freed by the caller.
 */
char *hf_describe(enum hf_kind kind, const cJSON *document);

#endif
