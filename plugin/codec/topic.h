/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The topic grammar: root/{session}/{kind...}. One place knows which topics a session has, which of them are
 * entries of its log, and what a subscription filter can match.
 */
#ifndef HF_CODEC_TOPIC_H
#define HF_CODEC_TOPIC_H

#include <stdint.h>

#include "codec/reason.h"
#include "codec/slice.h"

#define HF_SESSION_ID_MAX 64
#define HF_TOPIC_MAX 1024

/* What a topic under a session is for. The numbers of logged kinds are on disk: never renumber. */
enum hf_kind {
	HF_KIND_NONE = 0,
	HF_KIND_TOKENS = 1,
	HF_KIND_INPUT = 2,
	HF_KIND_EVENT = 3,
	HF_KIND_SIGNAL = 4,
	HF_KIND_ASK = 5,
	HF_KIND_ANSWER = 6,
	HF_KIND_NOTICE = 7,
	HF_KIND_SHARED = 8, /* shared/{key} */
	HF_KIND_LOGGED_LAST = HF_KIND_SHARED,
	HF_KIND_CONTROL = 16,
	HF_KIND_HISTORY = 17,
	HF_KIND_PRESENCE = 18, /* presence/{identity} */
	HF_KIND_STATE = 19,
	HF_KIND_EPHEMERAL = 20, /* ephemeral/# */
	HF_KIND_MARK = 21,
	HF_KIND_ERROR = 22,
	HF_KIND_COUNT
};

#define HF_KIND_BIT(kind) (UINT32_C(1) << (kind))
#define HF_KINDS_LOGGED UINT32_C(0x1fe)

static inline bool hf_kind_is_logged(enum hf_kind kind)
{
	return kind > HF_KIND_NONE && kind <= HF_KIND_LOGGED_LAST;
}

struct hf_topic {
	enum hf_kind kind;
	struct hf_slice session;
	struct hf_slice rest; /* what follows root/{session}/, such as "tokens" or "shared/title" */
	struct hf_slice key; /* what follows the kind: the key of shared, the (still encoded) identity of presence, the tail
							of ephemeral */
};

/*
 * Take a topic name apart. `root` has no slash at either end and may have several levels. `topic` is a topic
 * name (no wildcards) as the broker gives it; the slices of `out` point into it.
 * HF_OK; HF_TOPIC_OUTSIDE when it is not under the root; HF_SESSION_ID_INVALID, also for the root itself;
 * HF_TOPIC_INVALID when a session has no such topic, a shared key is empty or has more than one level, or the topic is
 * longer than HF_TOPIC_MAX bytes: then out->session is set all the same, for telling somebody. Otherwise out is
 * untouched.
 */
enum hf_reason hf_topic_parse(const char *root, const char *topic, struct hf_topic *out);

/* Is this a session id: 1 to 64 characters of [A-Za-z0-9_.-]? */
bool hf_session_id_valid(struct hf_slice id);

/* Can this be the root: 1 to 256 bytes of UTF-8, no wildcard, no empty level, not beginning with $? */
bool hf_root_valid(const char *root);

/* The name of a kind on the wire ("tokens"). Static; "" for a number that is no kind. */
const char *hf_kind_name(enum hf_kind kind);

/* Percent-encode every byte but A-Z a-z 0-9 - . _ ~ (RFC 3986, section 2.1), for identities in topics and in
 * keys. Writes at most `size` bytes with a final zero. Returns the length without the zero, or 0 if it does
 * not fit (and for an empty text). */
size_t hf_percent_encode(struct hf_slice text, char *out, size_t size);

/* The reverse, in the same form. Takes only what hf_percent_encode writes, so that one identity has one spelling;
 * 0 also for anything else (a bad or lower-case escape, an escape of a byte that needs none, a bare other byte). */
size_t hf_percent_decode(struct hf_slice text, char *out, size_t size);

#endif
