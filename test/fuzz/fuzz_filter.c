/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Input: a root, a zero byte, a filter, a zero byte, topics with zero bytes between them. A filter that parses
 * matches exactly the topics of sessions that MQTT's rule says; one that is refused would match none of them.
 */
#include "fuzz.h"

#include "codec/filter.h"

/* MQTT 5, section 4.7.1: a wildcard is a whole level, and '#' the last one. */
static bool well_formed(const char *filter)
{
	for (const char *c = filter; *c; c++) {
		bool alone = (c == filter || c[-1] == '/') && (c[1] == '/' || c[1] == '\0');
		if ((*c == '+' && !alone) || (*c == '#' && (!alone || c[1] != '\0')))
			return false;
	}
	return *filter != '\0';
}

static bool plainly_matches(const char *filter, const char *topic)
{
	for (;;) {
		if (strcmp(filter, "#") == 0)
			return true;
		size_t filter_len = strcspn(filter, "/"), topic_len = strcspn(topic, "/");
		bool one = filter_len == 1 && *filter == '+';
		if (!one && (filter_len != topic_len || memcmp(filter, topic, topic_len) != 0))
			return false;
		filter += filter_len;
		topic += topic_len;
		if (*topic == '\0')
			return *filter == '\0' || strcmp(filter, "/#") == 0;
		if (*filter == '\0')
			return false;
		filter++;
		topic++;
	}
}

static const char *behind_levels(const char *text, int levels)
{
	while (text && levels-- > 0) {
		text = strchr(text, '/');
		text = text ? text + 1 : NULL;
	}
	return text;
}

/* The filter without "$share/{group}/", "$from/{position}/" and "$resume/{position}/"; NULL when there is none. */
static const char *plain_of(const char *filter)
{
	if (strncmp(filter, "$share/", 7) == 0)
		filter = behind_levels(filter, 2);
	if (filter && (strncmp(filter, "$from/", 6) == 0 || strncmp(filter, "$resume/", 8) == 0))
		filter = behind_levels(filter, 2);
	return filter;
}

static void check_topic(
	const char *root, const char *plain, enum hf_reason reason, const struct hf_filter *filter, const char *topic)
{
	struct hf_topic parsed;

	if (hf_topic_parse(root, topic, &parsed) != HF_OK)
		return;
	bool wanted = plain && plainly_matches(plain, topic);
	if (reason == HF_OK)
		MUST(hf_filter_matches(filter, &parsed) == wanted);
	else if (reason != HF_POSITION_INVALID && reason != HF_FILTER_BROAD)
		MUST(!wanted);
}

static void check_shape(const struct hf_filter *filter, const char *text, const char *plain)
{
	struct hf_slice whole = hf_slice_of(text);

	MUST(plain && hf_slice_is(filter->plain, plain));
	MUST(filter->kinds != 0 && (filter->kinds & HF_KIND_BIT(HF_KIND_NONE)) == 0);
	MUST(filter->any_session ? filter->session.len == 0 : hf_session_id_valid(filter->session));
	MUST(lies_in(filter->session, filter->plain) && lies_in(filter->key, filter->plain) && filter->rest.len > 0 &&
		 lies_in(filter->rest, filter->plain) && lies_in(filter->group, whole));
	MUST(filter->verb != HF_VERB_PLAIN || (filter->position.kind == HF_POSITION_LATEST && !filter->batches));
	MUST(filter->position.value <= INT64_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hf_slice rest = hf_slice_from(data, size);
	char *root = take_string(&rest), *text = take_string(&rest);
	struct hf_filter filter;

	enum hf_reason reason = hf_filter_parse(root, text, &filter); /* whatever it is, it must not crash */
	if (hf_root_valid(root) && well_formed(text)) {
		const char *plain = plain_of(text);
		if (reason == HF_OK)
			check_shape(&filter, text, plain);
		for (int kind = HF_KIND_NONE + 1; kind < HF_KIND_COUNT; kind++) {
			char topic[1400];
			static const char *const sessions[] = {"abc", "s"}, *const keys[] = {"", "/k", "/k/l"};
			for (size_t i = 0; i < 6; i++) {
				snprintf(topic, sizeof(topic), "%s/%s/%s%s", root, sessions[i % 2], hf_kind_name((enum hf_kind)kind),
					keys[i / 2]);
				check_topic(root, plain, reason, &filter, topic);
			}
		}
		while (rest.len > 0) {
			char *topic = take_string(&rest);
			check_topic(root, plain, reason, &filter, topic);
			free(topic);
		}
	}
	free(root);
	free(text);
	return 0;
}
