/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The record of a session in family "sessions", under the session's id, and the list of sessions.
 *
 *      0  u64  head: offset of the newest entry            (integers little-endian)
 *      8  u64  tail: offset of the oldest entry that is left
 *     16  u64  LSN of the newest entry
 *     24  u64  first offset of the newest chunk in family "index"
 *     32  i64  created: time of the first entry, Unix ms
 *     40  i64  changed: time of the newest entry
 */
#include <assert.h>

#include "store/store_internal.h"

void hf_session_record_encode(const struct hf_session_record *record, char out[HF_SESSION_RECORD_SIZE])
{
	hf_put_le64(out, record->head);
	hf_put_le64(out + 8, record->tail);
	hf_put_le64(out + 16, record->head_lsn);
	hf_put_le64(out + 24, record->chunk);
	hf_put_le64(out + 32, (uint64_t)record->created_ms);
	hf_put_le64(out + 40, (uint64_t)record->changed_ms);
}

bool hf_session_record_decode(struct hf_slice value, struct hf_session_record *out)
{
	if (value.len != HF_SESSION_RECORD_SIZE)
		return false;
	out->head = hf_get_le64(value.data);
	out->tail = hf_get_le64(value.data + 8);
	out->head_lsn = hf_get_le64(value.data + 16);
	out->chunk = hf_get_le64(value.data + 24);
	out->created_ms = (int64_t)hf_get_le64(value.data + 32);
	out->changed_ms = (int64_t)hf_get_le64(value.data + 40);
	return out->head >= 1 && out->head < UINT64_MAX && out->tail >= 1 && out->tail <= out->head + 1 &&
		   out->chunk >= 1 && out->chunk <= out->head && out->head_lsn >= out->head;
}

struct hf_session_record hf_log_record(const struct hf_log *log)
{
	const struct hf_chunk *newest = log->oldest;

	/* The open chunk is empty when a put failed just after the one before had filled. */
	assert(newest != NULL && newest->count > 0);
	while (newest->next != NULL && newest->next->count > 0)
		newest = newest->next;
	return (struct hf_session_record){
		.head = log->head,
		.tail = log->tail,
		.head_lsn = log->head_lsn,
		.chunk = newest->first,
		.created_ms = log->created_ms,
		.changed_ms = log->changed_ms,
	};
}

/* ---- the list -------------------------------------------------------------------------------------------- */

struct visit {
	hf_session_fn fn;
	void *context;
	bool damaged;
};

static bool visit_session(void *context, struct hf_slice key, struct hf_slice value)
{
	struct visit *visit = context;
	struct hf_session_record record;

	if (!hf_session_record_decode(value, &record)) {
		visit->damaged = true;
		return false;
	}
	return visit->fn(visit->context, &(struct hf_session_info){
										 .session = key,
										 .head = record.head,
										 .tail = record.tail,
										 .created_ms = record.created_ms,
										 .changed_ms = record.changed_ms,
									 });
}

enum hf_reason hf_session_each(struct hf_store *store, hf_session_fn fn, void *context)
{
	struct visit visit = {.fn = fn, .context = context};
	size_t count = 0;
	enum hf_reason reason = HF_NO_MEMORY;

	for (const struct hf_log *log = store->dirty; log != NULL; log = log->dirty_next)
		count++;
	/* Copies, so that the visitor may acquire and release logs. */
	struct hf_overlay_item *items = calloc(count + 1, sizeof *items);
	char *bytes = malloc((count + 1) * (HF_SESSION_ID_MAX + HF_SESSION_RECORD_SIZE));
	if (items != NULL && bytes != NULL) {
		char *at = bytes;
		count = 0;
		for (const struct hf_log *log = store->dirty; log != NULL; log = log->dirty_next) {
			struct hf_session_record record = hf_log_record(log);
			memcpy(at, log->session, log->session_len);
			hf_session_record_encode(&record, at + HF_SESSION_ID_MAX);
			items[count++] = (struct hf_overlay_item){
				.key = hf_slice_from(at, log->session_len),
				.value = hf_slice_from(at + HF_SESSION_ID_MAX, HF_SESSION_RECORD_SIZE),
			};
			at += HF_SESSION_ID_MAX + HF_SESSION_RECORD_SIZE;
		}
		reason = hf_overlay_each(store, HF_FAMILY_SESSIONS, HF_SLICE_NONE, items, count, visit_session, &visit);
	}
	free(items);
	free(bytes);
	if (reason == HF_OK && visit.damaged) {
		hf_store_say(store, "%s: the record of a session does not decode", store->path);
		reason = HF_RECORD_CORRUPT;
	}
	return reason;
}
