/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Subscription filters as Holdfast reads them:
 *
 *     {filter}                        continue at the device's cursor; live from now on where there is none
 *     $from/{position}/{filter}       always start at the position
 *     $resume/{position}/{filter}     continue at the cursor; the position only where there is none
 *     $share/{group}/... before any of the three
 *
 * A position may have an option behind it: $from/{position},batches/{filter} delivers token batches as they were
 * published, also while catching up.
 *
 * The topics of a session are few and fixed, so a filter is matched against them once, here, into a bit set;
 * at run time an entry is matched by one bit test.
 */
#ifndef HF_CODEC_FILTER_H
#define HF_CODEC_FILTER_H

#include "codec/buffer.h"
#include "codec/topic.h"

enum hf_position_kind {
	HF_POSITION_EARLIEST,
	HF_POSITION_LATEST,
	HF_POSITION_OFFSET, /* value: the first offset wanted, from 1 */
	HF_POSITION_LAST,   /* -N; value: N, at least 1 */
	HF_POSITION_TIME,   /* @{Unix ms}; value: the first millisecond wanted */
};

struct hf_position {
	enum hf_position_kind kind;
	uint64_t value;
};

enum hf_verb {
	HF_VERB_PLAIN,
	HF_VERB_FROM,
	HF_VERB_RESUME,
};

struct hf_filter {
	enum hf_verb verb;
	struct hf_position position; /* HF_POSITION_LATEST for a plain filter */
	bool batches;                /* token batches are not to be joined */
	struct hf_slice group;       /* of $share; empty when not shared */
	struct hf_slice plain;       /* the filter without any prefix */
	bool named;                  /* it spells the root out; else it covers other topics, too */
	bool any_session;            /* a wildcard stands for the session id; false for "+/abc/tokens" */
	struct hf_slice session;     /* empty when any_session */
	struct hf_slice rest;        /* the levels behind the session; "#" where a '#' took the session in */
	uint32_t kinds;              /* HF_KIND_BIT of each kind that the filter can match */
	struct hf_slice key;         /* the one shared key, or the one presence identity, it names; empty: any */
};

/*
 * Read a topic filter that the broker has found well-formed. Slices of `out` point into `filter`.
 * HF_OK; HF_TOPIC_OUTSIDE when it can match nothing under the root and has no prefix of ours ($from, $resume);
 * HF_FILTER_INVALID when it has such a prefix, or names the root, but can match no topic of a session;
 * HF_FILTER_BROAD when it has such a prefix, and covers other topics, too; HF_POSITION_INVALID, also for another
 * option; HF_SESSION_ID_INVALID when the session level is neither a wildcard nor an id. After anything but HF_OK only
 * `verb` is of use. A filter such as "#" or "+/+/tokens" that covers the root among other topics is HF_OK with
 * any_session.
 */
enum hf_reason hf_filter_parse(const char *root, const char *filter, struct hf_filter *out);

/*
 * What the broker shall keep in place of a filter: the plain one; of a group {root}/$share/{group}/{plain}, which no
 * topic can match, since "$share" is no session id: so the broker hands the group nothing, and the group can be read
 * back from it. A group's filter that covers other topics, too, is kept as it is, for those.
 * Written to `out`, which is cleared first. False: no memory.
 */
bool hf_filter_kept(const char *root, const struct hf_filter *filter, struct hf_buffer *out);

/* Read a filter as the broker keeps it. As hf_filter_parse. */
enum hf_reason hf_filter_parse_kept(const char *root, const char *kept, struct hf_filter *out);

/* Read a position as it stands in a filter or in a history request. Numbers are decimal, without sign, leading
 * zero or space, at most INT64_MAX. HF_OK or HF_POSITION_INVALID (*out is untouched then). */
enum hf_reason hf_position_parse(struct hf_slice text, struct hf_position *out);

/* Does the filter match this topic? Exact; assumes both under the same root. O(1), but for ephemeral topics,
 * which are compared level by level. */
bool hf_filter_matches(const struct hf_filter *filter, const struct hf_topic *topic);

#endif
