/* SPDX-License-Identifier: BSD-3-Clause */
/* What the log of a session says, in words. */
#ifndef HF_TEST_UNIT_SESSION_NOTICES_H
#define HF_TEST_UNIT_SESSION_NOTICES_H

#include "codec/notice.h"

#include "session_fake.h"

static inline void put_word(char *text, size_t size, struct hf_slice word)
{
	size_t len = strlen(text);

	if (word.len > 0) {
		snprintf(
			text + len, size - len, "%s%.*s", len > 0 && text[len - 1] != '\n' ? " " : "", (int)word.len, word.data);
	}
}

/* One entry a line: the kind of others, the words of notices. Read from the beginning by a reader who leaves no trace:
 * `watcher`, whose filter has a wildcard in the session. */
static inline const char *told(const char *session)
{
	static char text[65536];
	char topic[128];

	text[0] = '\0';
	settle();
	fake.count = 0;
	connect_as("told", "olga", true);
	ck_assert_ok(try_subscribe("told", "$from/earliest/sessions/+/+", 0, 0));
	settle();
	snprintf(topic, sizeof(topic), "sessions/%s/", session);
	for (size_t i = 0; i < fake.count; i++) {
		const struct handed *handed = &fake.handed[i];
		struct hf_notice notice;
		if (strcmp(handed->device, "told") != 0 || handed->offset == 0 ||
			strncmp(handed->topic, topic, strlen(topic)) != 0) {
			continue;
		}
		if (strcmp(handed->topic + strlen(topic), "notice") != 0) {
			put_word(text, sizeof(text), hf_slice_of(handed->topic + strlen(topic)));
		} else {
			ck_assert_ok(hf_notice_decode(hf_slice_from(handed->payload, handed->payload_len), &notice));
			if (notice.kind == HF_NOTICE_RESPONSE_CLOSED) {
				put_word(text, sizeof(text), hf_slice_of("closed"));
			}
			put_word(text, sizeof(text), notice.id);
			put_word(text, sizeof(text), notice.from);
			put_word(text, sizeof(text), notice.identity);
			put_word(text, sizeof(text), notice.state);
			put_word(text, sizeof(text), notice.reason);
		}
		strcat(text, "\n");
	}
	disconnect("told");
	settle();
	fake.count = 0;
	return text;
}

#define ck_assert_told(session, wanted) ck_assert_str_eq(told(session), wanted)

#endif
