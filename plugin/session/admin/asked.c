/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Questions are taken down: who asked what, how many rows were given, and whether what was said in a session was among
 * it. The first answer to a question is a record at once, before it is sent. What follows of it within a minute, its
 * further pages or the same again, is one more record, at the end of that minute: so a walk over many pages does not
 * leave a record of each, and whoever looks every second does not fill the disk.
 */
#include "session/admin/admin.h"
#include "session/audit/notes.h"

#define TOGETHER_MS 60000
#define BYTES_MAX (1u << 20) /* of questions that are remembered; beyond, they are written down and forgotten */

/* A question that was taken down in this minute. */
struct hf_asked {
	UT_hash_handle hh;
	struct hf_audit record; /* of what followed; its texts are in key */
	bool again;
	size_t key_len;
	char key[];
};

/* The texts of the record, one after the other, each ended by a zero. Returns the length. */
static size_t put_key(struct hf_audit *record, char *key)
{
	size_t len = 0;

	for (size_t i = 0; hf_audit_slice(record, i); i++) {
		const struct hf_slice *text = hf_audit_slice(record, i);
		if (key && text->len > 0) {
			memcpy(key + len, text->data, text->len);
		}
		if (key) {
			key[len + text->len] = '\0';
		}
		len += text->len + 1;
	}
	return len;
}

/* Let the record's texts be those of its key. */
static void take_key(struct hf_asked *asked)
{
	char *at = asked->key;

	for (size_t i = 0; hf_audit_slice(&asked->record, i); i++) {
		struct hf_slice *text = hf_audit_slice(&asked->record, i);
		*text = hf_slice_from(at, text->len);
		at += text->len + 1;
	}
}

void hf_asked_pass(struct hf_hub *hub)
{
	struct hf_asked *asked, *next;

	HASH_ITER(hh, hub->asked, asked, next)
	{
		if (asked->again) {
			if (asked->record.reason.len == 0) {
				asked->record.reason = hf_slice_of(HF_AUDIT_CONTINUED);
			}
			hf_note(hub, &asked->record);
		}
		HASH_DEL(hub->asked, asked);
		free(asked);
	}
	hub->asked_bytes = 0;
}

/* The question, if it was taken down in this minute; else it is from now on. NULL: no memory. */
static struct hf_asked *look_up(struct hf_hub *hub, struct hf_audit *record, bool *made)
{
	size_t len = put_key(record, NULL);
	struct hf_asked *found, *asked = malloc(sizeof(*asked) + len);

	*made = false;
	if (!asked) {
		return NULL;
	}
	put_key(record, asked->key);
	HASH_FIND(hh, hub->asked, asked->key, len, found);
	if (found) {
		free(asked);
		return found;
	}
	if (hub->asked_bytes + len > BYTES_MAX) {
		hf_asked_pass(hub);
	}
	asked->record = *record;
	asked->record.count = 0;
	asked->again = false;
	asked->key_len = len;
	take_key(asked);
	HASH_ADD(hh, hub->asked, key, len, asked);
	hub->asked_bytes += len;
	hf_hub_due(hub, HF_TIMER_ASKED, TOGETHER_MS);
	*made = true;
	return asked;
}

static void note(struct hf_hub *hub, struct hf_audit *record)
{
	bool made;
	struct hf_asked *asked = look_up(hub, record, &made);

	if (!asked || made) {
		hf_note(hub, record);
		return;
	}
	asked->again = true;
	asked->record.count += record->count;
}

/* How many rows an answer has; 0: it is no list. */
static uint64_t rows_in(const cJSON *data)
{
	static const char *const lists[] = {"rows", "turns", "sessions", "devices", "holds", "erasures"};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		const cJSON *list = cJSON_GetObjectItemCaseSensitive(data, lists[i]);
		if (cJSON_IsArray(list)) {
			return (uint64_t)cJSON_GetArraySize(list);
		}
	}
	return 0;
}

void hf_note_asked(struct hf_hub *hub, const struct hf_audit *who, const struct hf_question *question, bool given)
{
	const cJSON *data = cJSON_GetObjectItemCaseSensitive(question->response, "data");
	const cJSON *reason = cJSON_GetObjectItemCaseSensitive(question->response, "reason");
	struct hf_audit record = *who;

	if (!hf_store_audits(hub->store)) {
		return;
	}
	record.kind = HF_AUDIT_ASKED;
	record.act = hf_slice_of(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(question->response, "command")));
	record.session = question->arguments.session;
	record.detail = hf_slice_of(question->filter);
	record.reason = hf_slice_of(given ? cJSON_GetStringValue(reason) : HF_AUDIT_UNANSWERED);
	if (given) {
		record.count = rows_in(data);
		if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(data, "payloads")) && record.count > 0) {
			record.text = hf_slice_of(HF_AUDIT_PAYLOADS);
		}
	}
	note(hub, &record);
}
