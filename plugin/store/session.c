/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The record of a session in family "sessions", under the session's id, and the list of sessions.
 *
 *      0  u64  head: offset of the newest entry            (integers little-endian)
 *      8  u64  tail: offset of the oldest entry that is left; head + 1 when none is
 *     16  u64  LSN of the newest entry
 *     24  u64  first offset of the newest chunk in family "index"; 0 when no entry is left
 *     32  u64  bytes: of the records that are left
 *     40  i64  created: time of the first entry, Unix ms
 *     48  i64  changed: time of the newest entry
 *     56  i64  oldest: time of the entry at the tail; meaningless when no entry is left
 *     64  u8   state: of the layer above
 *     65  u8   of which kinds entries were removed: bit 0 for kind 1 and so on; 0 when none were, then this is the end
 *     66  u64  stamp of the last removal: the key in family "truncated"
 *     74  i64  time of the newest entry that was removed
 *     82       for each bit that is set, from the lowest: u64 LSN of the newest entry of that kind that was removed
 */
#include <assert.h>

#include "store/store_internal.h"

#define WHOLE_SIZE 66 /* of a session from which nothing was removed */
#define GONE_SIZE 82  /* of one from which something was, without the kinds */

static size_t encode_gone(const struct hf_gone *gone, char *out)
{
	size_t len = GONE_SIZE;
	unsigned char kinds = 0;

	for (enum hf_kind kind = 1; kind <= HF_KIND_LOGGED_LAST; kind++) {
		if (gone->lsns[kind] != 0) {
			kinds |= (unsigned char)(1u << (kind - 1));
			hf_put_le64(out + len, gone->lsns[kind]);
			len += 8;
		}
	}
	out[65] = (char)kinds;
	hf_put_le64(out + 66, gone->stamp);
	hf_put_le64(out + 74, (uint64_t)gone->time_ms);
	return len;
}

size_t hf_session_record_encode(const struct hf_session_record *record, char out[HF_SESSION_RECORD_SIZE])
{
	hf_put_le64(out, record->head);
	hf_put_le64(out + 8, record->tail);
	hf_put_le64(out + 16, record->head_lsn);
	hf_put_le64(out + 24, record->chunk);
	hf_put_le64(out + 32, record->bytes);
	hf_put_le64(out + 40, (uint64_t)record->created_ms);
	hf_put_le64(out + 48, (uint64_t)record->changed_ms);
	hf_put_le64(out + 56, (uint64_t)record->oldest_ms);
	out[64] = (char)record->state;
	out[65] = 0;
	return record->gone.stamp == 0 ? WHOLE_SIZE : encode_gone(&record->gone, out);
}

static bool decode_gone(struct hf_slice value, struct hf_gone *out)
{
	unsigned char kinds = (unsigned char)value.data[65];
	const char *at = value.data + GONE_SIZE;

	if (kinds == 0 || value.len < GONE_SIZE || value.len != GONE_SIZE + 8 * (size_t)__builtin_popcount(kinds))
		return false;
	out->stamp = hf_get_le64(value.data + 66);
	out->time_ms = (int64_t)hf_get_le64(value.data + 74);
	for (enum hf_kind kind = 1; kind <= HF_KIND_LOGGED_LAST; kind++) {
		if ((kinds & 1u << (kind - 1)) == 0)
			continue;
		out->lsns[kind] = hf_get_le64(at);
		if (out->lsns[kind] == 0 || out->lsns[kind] > out->stamp)
			return false;
		at += 8;
	}
	return true;
}

/* Do the numbers go together? */
static bool is_sound(const struct hf_session_record *record)
{
	bool some_left = record->tail <= record->head;

	return record->head >= 1 && record->head < UINT64_MAX && record->head_lsn >= record->head && record->tail >= 1 &&
		   record->tail <= record->head + 1 && (record->tail > 1) == (record->gone.stamp != 0) &&
		   record->chunk <= record->head && (record->chunk > 0) == some_left && (record->bytes > 0) == some_left;
}

bool hf_session_record_decode(struct hf_slice value, struct hf_session_record *out)
{
	if (value.len < WHOLE_SIZE)
		return false;
	out->head = hf_get_le64(value.data);
	out->tail = hf_get_le64(value.data + 8);
	out->head_lsn = hf_get_le64(value.data + 16);
	out->chunk = hf_get_le64(value.data + 24);
	out->bytes = hf_get_le64(value.data + 32);
	out->created_ms = (int64_t)hf_get_le64(value.data + 40);
	out->changed_ms = (int64_t)hf_get_le64(value.data + 48);
	out->oldest_ms = (int64_t)hf_get_le64(value.data + 56);
	out->state = (uint8_t)value.data[64];
	out->gone = (struct hf_gone){0};
	bool whole = value.len == WHOLE_SIZE && value.data[65] == 0;
	return (whole || decode_gone(value, &out->gone)) && is_sound(out);
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
										 .bytes = record.bytes,
										 .created_ms = record.created_ms,
										 .changed_ms = record.changed_ms,
										 .oldest_ms = record.oldest_ms,
										 .state = record.state,
									 });
}

enum hf_reason hf_session_each(struct hf_store *store, struct hf_slice after, hf_session_fn fn, void *context)
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
			if (hf_key_compare(hf_slice_from(log->session, log->session_len), after) <= 0)
				continue;
			memcpy(at, log->session, log->session_len);
			items[count++] = (struct hf_overlay_item){
				.key = hf_slice_from(at, log->session_len),
				.value = hf_slice_from(
					at + HF_SESSION_ID_MAX, hf_session_record_encode(&log->record, at + HF_SESSION_ID_MAX)),
			};
			at += HF_SESSION_ID_MAX + HF_SESSION_RECORD_SIZE;
		}
		reason = hf_overlay_each(store, HF_FAMILY_SESSIONS, HF_SLICE_NONE, after, items, count, visit_session, &visit);
	}
	free(items);
	free(bytes);
	if (reason == HF_OK && visit.damaged) {
		hf_store_say(store, "%s: the record of a session does not decode", store->path);
		reason = HF_RECORD_CORRUPT;
	}
	return reason;
}
