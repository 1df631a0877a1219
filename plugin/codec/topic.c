/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec/topic.h"

#include "codec/kind.h"
#include "codec/utf8.h"

#define ROOT_MAX 256

#define KIND(number, text, what) [HF_KIND_##number] = {.name = text, .len = sizeof(text) - 1, .shape = HF_SHAPE_##what}
const struct hf_kind_info hf_kind_table[HF_KIND_COUNT] = {
	KIND(TOKENS, "tokens", NAME),
	KIND(INPUT, "input", NAME),
	KIND(EVENT, "event", NAME),
	KIND(SIGNAL, "signal", NAME),
	KIND(ASK, "ask", NAME),
	KIND(ANSWER, "answer", NAME),
	KIND(NOTICE, "notice", NAME),
	KIND(SHARED, "shared", KEY),
	KIND(CONTROL, "control", NAME),
	KIND(HISTORY, "history", NAME),
	KIND(PRESENCE, "presence", KEY),
	KIND(STATE, "state", NAME),
	KIND(EPHEMERAL, "ephemeral", TAIL),
	KIND(MARK, "mark", NAME),
	KIND(ERROR, "error", NAME),
};
#undef KIND

/* isalnum() and friends follow the locale; what stands in topics and on disk must not. */
static bool is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
		   c == '-';
}

static size_t session_id_len(const char *text, size_t max)
{
	size_t len = 0;

	while (len < max && is_unreserved(text[len]))
		len++;
	return len;
}

bool hf_session_id_valid(struct hf_slice id)
{
	return id.len >= 1 && id.len <= HF_SESSION_ID_MAX && session_id_len(id.data, id.len) == id.len;
}

static bool key_fits(enum hf_kind_shape shape, bool has_key, struct hf_slice key)
{
	switch (shape) {
	case HF_SHAPE_NAME:
		return !has_key;
	case HF_SHAPE_KEY:
		return key.len > 0 && !memchr(key.data, '/', key.len);
	case HF_SHAPE_TAIL:
		return key.len > 0;
	case HF_SHAPE_NONE:
		break;
	}
	return false;
}

static enum hf_kind kind_of(struct hf_slice rest, struct hf_slice *key)
{
	const char *slash = memchr(rest.data, '/', rest.len);
	size_t name_len = slash ? (size_t)(slash - rest.data) : rest.len;

	*key = slash ? hf_slice_from(slash + 1, rest.len - name_len - 1) : HF_SLICE_NONE;
	for (int kind = HF_KIND_NONE + 1; kind < HF_KIND_COUNT; kind++) {
		const struct hf_kind_info *info = &hf_kind_table[kind];
		if (info->len == name_len && info->name && memcmp(info->name, rest.data, name_len) == 0)
			return key_fits(info->shape, slash != NULL, *key) ? (enum hf_kind)kind : HF_KIND_NONE;
	}
	return HF_KIND_NONE;
}

enum hf_reason hf_topic_parse(const char *root, const char *topic, struct hf_topic *out)
{
	size_t root_len = strlen(root);

	if (strncmp(topic, root, root_len) != 0 || (topic[root_len] != '/' && topic[root_len] != '\0'))
		return HF_TOPIC_OUTSIDE;
	if (topic[root_len] == '\0')
		return HF_SESSION_ID_INVALID; /* the root itself: "root/#" matches it too */

	const char *session = topic + root_len + 1;
	size_t session_len = session_id_len(session, HF_SESSION_ID_MAX);
	char after = session[session_len];
	if (session_len == 0 || (after != '/' && after != '\0'))
		return HF_SESSION_ID_INVALID;
	out->session = hf_slice_from(session, session_len);
	if (after == '\0')
		return HF_TOPIC_INVALID;

	struct hf_slice rest = hf_slice_of(session + session_len + 1);
	if (root_len + 1 + session_len + 1 + rest.len > HF_TOPIC_MAX)
		return HF_TOPIC_INVALID;

	struct hf_slice key;
	enum hf_kind kind = kind_of(rest, &key);
	if (kind == HF_KIND_NONE)
		return HF_TOPIC_INVALID;
	*out = (struct hf_topic){.kind = kind, .session = hf_slice_from(session, session_len), .rest = rest, .key = key};
	return HF_OK;
}

bool hf_root_valid(const char *root)
{
	size_t len = strlen(root);

	return len >= 1 && len <= ROOT_MAX && root[0] != '$' && root[0] != '/' && root[len - 1] != '/' &&
		   !strpbrk(root, "+#") && !strstr(root, "//") && hf_utf8_valid(hf_slice_from(root, len));
}

const char *hf_kind_name(enum hf_kind kind)
{
	const char *name = (unsigned int)kind < HF_KIND_COUNT ? hf_kind_table[kind].name : NULL;

	return name ? name : "";
}

size_t hf_percent_encode(struct hf_slice text, char *out, size_t size)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t len = 0;

	for (size_t i = 0; i < text.len; i++) {
		unsigned char byte = (unsigned char)text.data[i];
		bool plain = is_unreserved(text.data[i]) || byte == '~';
		if (size - len <= (plain ? 1u : 3u)) /* one more than is written now: the final zero */
			return 0;
		if (plain) {
			out[len++] = text.data[i];
			continue;
		}
		out[len++] = '%';
		out[len++] = digits[byte >> 4];
		out[len++] = digits[byte & 15];
	}
	if (size > 0)
		out[len] = '\0';
	return len;
}

/* Upper case only: what hf_percent_encode writes. */
static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

size_t hf_percent_decode(struct hf_slice text, char *out, size_t size)
{
	size_t len = 0;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];
		if (size - len <= 1)
			return 0;
		if (c == '%') {
			if (text.len - i < 3)
				return 0;
			int high = hex_digit(text.data[i + 1]), low = hex_digit(text.data[i + 2]);
			if (high < 0 || low < 0)
				return 0;
			c = (char)(unsigned char)(high << 4 | low);
			/* One identity, one spelling: %61 beside a would be two topics of the same identity. */
			if (is_unreserved(c) || c == '~')
				return 0;
			i += 2;
		} else if (!is_unreserved(c) && c != '~') {
			return 0;
		}
		out[len++] = c;
	}
	if (size > 0)
		out[len] = '\0';
	return len;
}
