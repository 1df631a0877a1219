/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One document to Holdfast and what it says to it: published on a topic of a session with a Response Topic, on which
 * the broker answers this client alone. A connection that breaks meanwhile is made again and the document goes out
 * again, under the same idempotency key, so that it is stored once.
 */
#ifndef HF_CLI_REQUEST_H
#define HF_CLI_REQUEST_H

#include <cjson/cJSON.h>

#include "codec/slice.h"
#include "codec/topic.h"
#include "command.h"
#include "options.h"

/* An entry that came while a request waits for what follows it. Borrowed. */
struct hf_followed {
	struct hf_topic topic;
	uint64_t offset;
	struct hf_slice from;
	const cJSON *document; /* NULL: the payload is no CBOR */
};

struct hf_request {
	const struct hf_client_options *options;
	const char *purpose; /* part of a made-up client id */
	const char *session;
	const char *rest; /* the topic behind the session */
	struct hf_slice payload;
	bool silent; /* only a refusal is answered: an acknowledgement is enough */

	/* Before it goes out: what is retained on this filter behind the session, and what of it comes until the answer.
	 * NULL: nothing. */
	const char *look;
	void (*found)(void *context, const struct hf_topic *topic, const cJSON *document);

	/* It is stored, or carried out: the broker's answer. False: that is enough. NULL likewise. */
	bool (*accepted)(void *context, const cJSON *answer);
	/* Then: the entries of these kinds (HF_KIND_BIT) from the answer's offset on, each once and in order, also over
	 * connections that break. False: that was enough. */
	uint32_t follow;
	bool (*followed)(void *context, const struct hf_followed *entry);
	void *context;
};

/* A request that changes nothing, a page of history with one entry: where all that is wanted is to look. */
#define HF_LOOK_REST "history"
#define HF_LOOK_PAYLOAD hf_slice_of("\xa1\x65limit\x01")

/* HF_EXIT_OK: accepted, and all that was waited for has come. HF_EXIT_FAILED: refused or failed, and the user was told;
 * or the user has ended it. */
enum hf_exit hf_request(const struct hf_request *request);

#endif
