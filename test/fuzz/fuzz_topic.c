/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Input: a root, a zero byte, a topic. What parses is put together again from its parts; what does not has a
 * reason that a second, slower reading agrees with. The topic is also an identity to encode, and to decode.
 */
#include "fuzz.h"

#include "codec/topic.h"

static enum hf_reason read_slowly(const char *root, const char *topic)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
	static const char *const names[] = {"tokens", "input", "event", "signal", "ask", "answer", "notice", "control",
		"history", "state", "mark", "error"};
	char prefix[300];

	if (strcmp(topic, root) == 0)
		return HF_SESSION_ID_INVALID;
	snprintf(prefix, sizeof(prefix), "%s/", root);
	if (strncmp(topic, prefix, strlen(prefix)) != 0)
		return HF_TOPIC_OUTSIDE;
	const char *session = topic + strlen(prefix);
	size_t len = strcspn(session, "/");
	if (len < 1 || len > 64 || strspn(session, alphabet) != len)
		return HF_SESSION_ID_INVALID;
	if (session[len] == '\0' || strlen(topic) > HF_TOPIC_MAX)
		return HF_TOPIC_INVALID;

	const char *rest = session + len + 1, *slash = strchr(rest, '/');
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(rest, names[i]) == 0)
			return HF_OK;
	}
	if (!slash || slash[1] == '\0')
		return HF_TOPIC_INVALID;
	if (strncmp(rest, "ephemeral/", 10) == 0)
		return HF_OK;
	bool keyed = strncmp(rest, "shared/", 7) == 0 || strncmp(rest, "presence/", 9) == 0;
	return keyed && !strchr(slash + 1, '/') ? HF_OK : HF_TOPIC_INVALID;
}

static void check_topic(const char *root, const char *topic)
{
	struct hf_slice whole = hf_slice_of(topic);
	struct hf_topic parsed;

	enum hf_reason reason = hf_topic_parse(root, topic, &parsed);
	MUST(reason == read_slowly(root, topic));
	if (reason != HF_OK)
		return;
	MUST(lies_in(parsed.session, whole) && lies_in(parsed.rest, whole) && lies_in(parsed.key, parsed.rest));
	MUST(hf_session_id_valid(parsed.session));

	const char *name = hf_kind_name(parsed.kind);
	char again[HF_TOPIC_MAX + 1];
	int len = snprintf(again, sizeof(again), "%s/%.*s/%s%s%.*s", root, (int)parsed.session.len, parsed.session.data,
		name, parsed.key.len ? "/" : "", (int)parsed.key.len, parsed.key.data);
	MUST(len > 0 && strcmp(again, topic) == 0);
}

static void check_percent(struct hf_slice text)
{
	size_t size = 3 * text.len + 1;
	char *encoded = malloc(size), *decoded = malloc(size);

	MUST(encoded && decoded);
	size_t len = hf_percent_encode(text, encoded, size);
	MUST((len == 0) == (text.len == 0) && encoded[len] == '\0');
	MUST(hf_percent_decode(hf_slice_from(encoded, len), decoded, size) == text.len);
	MUST(text.len == 0 || memcmp(decoded, text.data, text.len) == 0);

	/* What decodes was written by encoding. */
	len = hf_percent_decode(text, decoded, size);
	if (len > 0) {
		MUST(hf_percent_encode(hf_slice_from(decoded, len), encoded, size) == text.len);
		MUST(memcmp(encoded, text.data, text.len) == 0);
	}
	free(encoded);
	free(decoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hf_slice rest = hf_slice_from(data, size);
	char *root = take_string(&rest);

	check_percent(rest);
	char *topic = take_string(&rest);
	if (hf_root_valid(root))
		check_topic(root, topic);
	free(root);
	free(topic);
	return 0;
}
