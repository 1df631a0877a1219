/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec/filter.h"

#include "codec/kind.h"
#include "codec/number.h"

/* ---- levels --------------------------------------------------------------------------------------------- */

/* The levels of a topic or filter that are still to be read. "a/" has two levels, the second one empty: so the
 * end is not an empty rest but a missing one. */
struct levels {
	const char *at; /* NULL: no level is left */
	const char *end;
};

static struct levels levels_of(struct hf_slice text)
{
	return (struct levels){.at = text.data, .end = text.data + text.len};
}

static struct hf_slice levels_rest(const struct levels *levels)
{
	return hf_slice_from(levels->at, (size_t)(levels->end - levels->at));
}

static bool levels_next(struct levels *levels, struct hf_slice *level)
{
	if (!levels->at)
		return false;
	struct hf_slice rest = levels_rest(levels);
	const char *slash = memchr(rest.data, '/', rest.len);
	*level = slash ? hf_slice_from(rest.data, (size_t)(slash - rest.data)) : rest;
	levels->at = slash ? slash + 1 : NULL;
	return true;
}

static bool is_one(struct hf_slice level)
{
	return level.len == 1 && level.data[0] == '+';
}

static bool is_many(struct hf_slice level)
{
	return level.len == 1 && level.data[0] == '#';
}

/* Nothing is left, or only the '#' that also stands for nothing (MQTT 5, section 4.7.1.2). */
static bool may_end(struct levels levels)
{
	struct hf_slice level;

	return !levels_next(&levels, &level) || is_many(level);
}

/* MQTT 5, section 4.7. Neither begins at the root here, so the rule for '$' does not apply. */
static bool levels_match(struct levels filter, struct levels topic)
{
	struct hf_slice wanted, level;

	while (levels_next(&filter, &wanted)) {
		if (is_many(wanted))
			return true;
		if (!levels_next(&topic, &level) || !(is_one(wanted) || hf_slice_equal(wanted, level)))
			return false;
	}
	return !topic.at;
}

/* ---- positions ------------------------------------------------------------------------------------------ */

enum hf_reason hf_position_parse(struct hf_slice text, struct hf_position *out)
{
	struct hf_position position = {.kind = HF_POSITION_OFFSET};
	struct hf_slice number = text;

	if (hf_slice_is(text, "earliest")) {
		*out = (struct hf_position){.kind = HF_POSITION_EARLIEST};
		return HF_OK;
	}
	if (hf_slice_is(text, "latest")) {
		*out = (struct hf_position){.kind = HF_POSITION_LATEST};
		return HF_OK;
	}
	if (text.len > 0 && (text.data[0] == '-' || text.data[0] == '@')) {
		position.kind = text.data[0] == '-' ? HF_POSITION_LAST : HF_POSITION_TIME;
		number = hf_slice_from(text.data + 1, text.len - 1);
	}
	if (!hf_number_parse(number, &position.value) || (position.value == 0 && position.kind != HF_POSITION_TIME))
		return HF_POSITION_INVALID;
	*out = position;
	return HF_OK;
}

/* ---- filters -------------------------------------------------------------------------------------------- */

/* Take "$share/{group}/" off. HF_FILTER_INVALID for a group without a name: empty means "not shared" to us. */
static enum hf_reason share_parse(struct levels *levels, struct hf_filter *out)
{
	struct levels ahead = *levels;
	struct hf_slice level, group;

	if (!levels_next(&ahead, &level) || !hf_slice_is(level, "$share"))
		return HF_OK;
	if (!levels_next(&ahead, &group) || !ahead.at)
		return HF_TOPIC_OUTSIDE;
	if (group.len == 0)
		return HF_FILTER_INVALID;
	out->group = group;
	*levels = ahead;
	return HF_OK;
}

/* "{position}" or "{position},batches". */
static enum hf_reason place_parse(struct hf_slice level, struct hf_filter *out)
{
	const char *comma = level.len > 0 ? memchr(level.data, ',', level.len) : NULL;
	struct hf_slice position = comma ? hf_slice_from(level.data, (size_t)(comma - level.data)) : level;

	out->batches = comma && hf_slice_is(hf_slice_from(comma + 1, level.len - position.len - 1), "batches");
	if (comma && !out->batches)
		return HF_POSITION_INVALID;
	return hf_position_parse(position, &out->position);
}

/* Take "$from/{position}/" or "$resume/{position}/" off. */
static enum hf_reason verb_parse(struct levels *levels, struct hf_filter *out)
{
	struct levels ahead = *levels;
	struct hf_slice level;

	if (!levels_next(&ahead, &level))
		return HF_OK;
	if (hf_slice_is(level, "$from"))
		out->verb = HF_VERB_FROM;
	else if (hf_slice_is(level, "$resume"))
		out->verb = HF_VERB_RESUME;
	else
		return HF_OK;

	if (!levels_next(&ahead, &level))
		return HF_FILTER_INVALID;
	enum hf_reason reason = place_parse(level, out);
	if (reason != HF_OK)
		return reason;
	*levels = ahead;
	return ahead.at ? HF_OK : HF_FILTER_INVALID;
}

/* Read the filter against the levels of the root and the session, and leave in out->rest what stands behind
 * them. False: it cannot match a topic below a session. *named: it spells the root out. */
static bool session_parse(const char *root, struct levels filter, struct hf_filter *out, bool *named)
{
	struct levels roots = levels_of(hf_slice_of(root));
	struct hf_slice level, root_level;

	*named = false;
	bool literal = true;
	while (levels_next(&roots, &root_level)) {
		if (!levels_next(&filter, &level))
			return false;
		if (is_many(level)) {
			out->any_session = true;
			out->rest = level;
			return true;
		}
		literal = literal && !is_one(level);
		if (!is_one(level) && !hf_slice_equal(level, root_level))
			return false;
	}
	*named = literal;

	if (!levels_next(&filter, &level))
		return false;
	out->any_session = is_one(level) || is_many(level);
	if (!out->any_session)
		out->session = level;
	if (!is_many(level) && !filter.at)
		return !out->any_session && !hf_session_id_valid(level); /* let the id be what is wrong with it */
	out->rest = is_many(level) ? level : levels_rest(&filter);
	return true;
}

/* Can a filter with these levels behind the name of a kind match topics of it? */
static bool shape_fits(enum hf_kind_shape shape, struct levels behind)
{
	struct hf_slice level;

	if (shape == HF_SHAPE_NAME)
		return may_end(behind);
	if (shape == HF_SHAPE_NONE || !levels_next(&behind, &level))
		return false;
	if (shape == HF_SHAPE_TAIL)
		return level.len > 0 || behind.at;
	return level.len > 0 && may_end(behind);
}

static void kinds_parse(struct hf_filter *out)
{
	struct levels behind = levels_of(out->rest);
	struct hf_slice name, key;

	if (!levels_next(&behind, &name))
		return;
	for (int kind = HF_KIND_NONE + 1; kind < HF_KIND_COUNT; kind++) {
		const struct hf_kind_info *info = &hf_kind_table[kind];
		if (info->shape == HF_SHAPE_NONE)
			continue;
		bool named = is_one(name) || hf_slice_equal(name, hf_slice_from(info->name, info->len));
		if (is_many(name) || (named && shape_fits(info->shape, behind)))
			out->kinds |= HF_KIND_BIT(kind);
	}
	uint32_t keyed = HF_KIND_BIT(HF_KIND_SHARED) | HF_KIND_BIT(HF_KIND_PRESENCE);
	if ((out->kinds & keyed) && !is_many(name) && levels_next(&behind, &key) && !is_one(key) && !is_many(key))
		out->key = key;
}

enum hf_reason hf_filter_parse(const char *root, const char *filter, struct hf_filter *out)
{
	struct levels levels = levels_of(hf_slice_of(filter));

	*out = (struct hf_filter){
		.verb = HF_VERB_PLAIN,
		.position = {.kind = HF_POSITION_LATEST},
		.group = HF_SLICE_NONE,
		.session = HF_SLICE_NONE,
		.rest = HF_SLICE_NONE,
		.key = HF_SLICE_NONE,
	};
	enum hf_reason reason = share_parse(&levels, out);
	if (reason == HF_OK)
		reason = verb_parse(&levels, out);
	if (reason != HF_OK)
		return reason;
	out->plain = levels_rest(&levels);

	bool below = session_parse(root, levels, out, &out->named);
	bool ours = out->named || out->verb != HF_VERB_PLAIN; /* meant for us, or one that merely passes by */
	if (below && !out->any_session && !hf_session_id_valid(out->session))
		return ours ? HF_SESSION_ID_INVALID : HF_TOPIC_OUTSIDE;
	if (below)
		kinds_parse(out);
	if (out->kinds == 0)
		return ours ? HF_FILTER_INVALID : HF_TOPIC_OUTSIDE;
	/* Others, who know nothing of our prefixes, decide who may have such a filter: so they must see it as it is. */
	return out->named || out->verb == HF_VERB_PLAIN ? HF_OK : HF_FILTER_BROAD;
}

#define SHARE "$share/"

bool hf_filter_kept(const char *root, const struct hf_filter *filter, struct hf_buffer *out)
{
	hf_buffer_clear(out);
	if (filter->group.len > 0) {
		bool inert = !filter->named || (hf_buffer_append(out, root, strlen(root)) && hf_buffer_append(out, "/", 1));
		if (!inert || !hf_buffer_append(out, SHARE, strlen(SHARE)) ||
			!hf_buffer_append(out, filter->group.data, filter->group.len) || !hf_buffer_append(out, "/", 1))
			return false;
	}
	return hf_buffer_append(out, filter->plain.data, filter->plain.len);
}

enum hf_reason hf_filter_parse_kept(const char *root, const char *kept, struct hf_filter *out)
{
	size_t root_len = strlen(root);
	bool inert = strncmp(kept, root, root_len) == 0 && strncmp(kept + root_len, "/" SHARE, strlen("/" SHARE)) == 0;

	return hf_filter_parse(root, inert ? kept + root_len + 1 : kept, out);
}

bool hf_filter_matches(const struct hf_filter *filter, const struct hf_topic *topic)
{
	if (!(filter->kinds & HF_KIND_BIT(topic->kind)))
		return false;
	if (!filter->any_session && !hf_slice_equal(filter->session, topic->session))
		return false;
	switch (hf_kind_table[topic->kind].shape) {
	case HF_SHAPE_NAME:
		return true;
	case HF_SHAPE_KEY:
		return filter->key.len == 0 || hf_slice_equal(filter->key, topic->key);
	case HF_SHAPE_TAIL:
		return levels_match(levels_of(filter->rest), levels_of(topic->rest));
	case HF_SHAPE_NONE:
		break;
	}
	return false;
}
