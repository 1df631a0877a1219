/* SPDX-License-Identifier: BSD-3-Clause */
#include "session/audit/holds.h"

#include "codec/fields.h"
#include "codec/utf8.h"
#include "session/audit/notes.h"
#include "session/delivery/delivery.h"

/* As a fact of no session: its name is what is held, behind one of these; the value a CBOR map. */
#define OF_SESSION 's'
#define OF_IDENTITY 'i'

struct hf_hold_on {
	UT_hash_handle hh;
	struct hf_hold_info info; /* into `value` and `key` */
	struct hf_buffer value;
	size_t key_len;
	char key[];
};

#define FIELD(text, type_, member) {.key = text, .type = HF_FIELD_##type_, .at = offsetof(struct hf_hold_info, member)}
static const struct hf_field fields[] = {
	FIELD("by", TEXT, by),
	FIELD("why", TEXT, why),
	FIELD("time", INT, time_ms),
};
#define FIELD_COUNT (sizeof(fields) / sizeof(fields[0]))

/* ---- in memory */

static bool put_key(struct hf_buffer *key, struct hf_slice session, struct hf_slice identity)
{
	struct hf_slice name = session.len > 0 ? session : identity;
	char type = session.len > 0 ? OF_SESSION : OF_IDENTITY;

	hf_buffer_clear(key);
	return hf_buffer_append(key, &type, 1) && hf_buffer_append(key, name.data, name.len);
}

static struct hf_hold_on *find(const struct hf_hub *hub, char type, struct hf_slice name)
{
	char few[HF_IDENTITY_MAX + 1];
	struct hf_hold_on *hold = NULL;

	if (!hub->holds || name.len == 0 || name.len > HF_IDENTITY_MAX) {
		return NULL;
	}
	few[0] = type;
	memcpy(few + 1, name.data, name.len);
	HASH_FIND(hh, hub->holds, few, name.len + 1, hold);
	return hold;
}

bool hf_session_held(const struct hf_hub *hub, struct hf_slice session)
{
	return find(hub, OF_SESSION, session);
}

bool hf_identity_held(const struct hf_hub *hub, struct hf_slice identity)
{
	return hub->identity_holds > 0 && find(hub, OF_IDENTITY, identity);
}

static void drop(struct hf_hub *hub, struct hf_hold_on *hold)
{
	hub->identity_holds -= hold->key[0] == OF_IDENTITY;
	HASH_DEL(hub->holds, hold);
	hf_buffer_free(&hold->value);
	free(hold);
}

static int by_key(const struct hf_hold_on *a, const struct hf_hold_on *b)
{
	size_t common = a->key_len < b->key_len ? a->key_len : b->key_len;
	int order = memcmp(a->key, b->key, common);

	/* 's' comes before 'i' for people. */
	if (a->key[0] != b->key[0]) {
		return a->key[0] == OF_SESSION ? -1 : 1;
	}
	return order != 0 ? order : (a->key_len > b->key_len) - (a->key_len < b->key_len);
}

/* Take up a hold as the store has it, in place of another one. HF_OK, HF_NO_MEMORY, HF_RECORD_CORRUPT. */
static enum hf_reason take(struct hf_hub *hub, struct hf_slice key, struct hf_slice value)
{
	struct hf_slice name = hf_slice_from(key.data + 1, key.len - 1);
	struct hf_hold_on *before = find(hub, key.data[0], name), *hold = calloc(1, sizeof(*hold) + key.len);

	if (!hold || !hf_buffer_append(&hold->value, value.data, value.len)) {
		free(hold);
		return HF_NO_MEMORY;
	}
	memcpy(hold->key, key.data, key.len);
	hold->key_len = key.len;
	hold->info = (struct hf_hold_info){
		.session = HF_SLICE_NONE, .identity = HF_SLICE_NONE, .why = HF_SLICE_NONE, .by = HF_SLICE_NONE};
	name = hf_slice_from(hold->key + 1, key.len - 1);
	*(key.data[0] == OF_SESSION ? &hold->info.session : &hold->info.identity) = name;
	if (hf_fields_decode(fields, FIELD_COUNT, hf_buffer_slice(&hold->value), &hold->info) != HF_OK) {
		hf_buffer_free(&hold->value);
		free(hold);
		return HF_RECORD_CORRUPT;
	}
	if (before) {
		drop(hub, before);
	}
	HASH_ADD_KEYPTR(hh, hub->holds, hold->key, hold->key_len, hold);
	hub->identity_holds += key.data[0] == OF_IDENTITY;
	HASH_SORT(hub->holds, by_key);
	return HF_OK;
}

struct load {
	struct hf_hub *hub;
	enum hf_reason reason;
};

static bool load_one(void *context, struct hf_slice name, struct hf_slice value)
{
	struct load *load = context;

	load->reason = name.len > 1 ? take(load->hub, name, value) : HF_RECORD_CORRUPT;
	return load->reason == HF_OK;
}

enum hf_reason hf_holds_load(struct hf_hub *hub)
{
	struct load load = {.hub = hub, .reason = HF_OK};
	enum hf_reason reason = hf_fact_each(hub->store, HF_SLICE_NONE, HF_FACT_HOLD, load_one, &load);

	return reason == HF_OK ? load.reason : reason;
}

void hf_holds_free(struct hf_hub *hub)
{
	struct hf_hold_on *hold, *next;

	HASH_ITER(hh, hub->holds, hold, next)
	{
		drop(hub, hold);
	}
}

/* ---- placing and lifting */

static enum hf_reason check(struct hf_slice session, struct hf_slice identity, struct hf_slice why)
{
	bool one = (session.len > 0) != (identity.len > 0);

	if (!one || session.len > HF_SESSION_ID_MAX || identity.len > HF_IDENTITY_MAX || !hf_utf8_valid(identity) ||
		why.len > HF_HOLD_WHY_MAX || !hf_utf8_valid(why)) {
		return HF_PAYLOAD_INVALID;
	}
	return session.len == 0 || hf_session_id_valid(session) ? HF_OK : HF_SESSION_ID_INVALID;
}

static enum hf_reason check_session(struct hf_hub *hub, struct hf_slice session)
{
	struct hf_log *log;
	enum hf_reason reason = session.len > 0 ? hf_log_acquire(hub->store, session, false, &log) : HF_OK;

	if (reason != HF_OK || session.len == 0) {
		return reason;
	}
	if (hf_log_state(log) & HF_STATE_ERASED) {
		reason = HF_SESSION_ERASED;
	}
	hf_log_release(log);
	return reason;
}

/* Fact and record, in one write. `value` NULL: it is lifted. */
static enum hf_reason write(struct hf_hub *hub, struct hf_slice key, const struct hf_slice *value,
	const struct hf_hold_info *info, const struct hf_asker *asker)
{
	struct hf_audit record = {
		.kind = value ? HF_AUDIT_HELD : HF_AUDIT_RELEASED,
		.time_ms = info->time_ms,
		.session = info->session,
		.identity = info->identity,
		.by = info->by,
		.device = hf_slice_of(asker->device),
		.address = hf_slice_of(asker->address),
		.detail = info->why,
	};
	enum hf_reason reason = hf_fact_put(hub->store, HF_SLICE_NONE, HF_FACT_HOLD, key, value);

	if (reason == HF_OK) {
		reason = hf_audit_add(hub->store, &record);
	}
	if (reason == HF_OK) {
		hf_audit_due(hub);
		reason = hf_devices_write(hub);
	}
	if (reason == HF_STORE_FAILED) {
		hf_hub_due(hub, HF_TIMER_RECOVER, HF_RECOVER_MS);
	}
	return reason;
}

static struct hf_hold_info info_of(struct hf_hub *hub, struct hf_slice session, struct hf_slice identity,
	struct hf_slice why, const struct hf_asker *asker)
{
	return (struct hf_hold_info){
		.session = session,
		.identity = identity,
		.why = why,
		.by = hf_slice_of(asker->identity),
		.time_ms = hub->broker.now_ms(hub->broker.context),
	};
}

enum hf_reason hf_hold_place(struct hf_hub *hub, struct hf_slice session, struct hf_slice identity, struct hf_slice why,
	const struct hf_asker *asker)
{
	const struct hf_hold_info info = info_of(hub, session, identity, why, asker);
	struct hf_buffer key = {0}, value = {0};
	enum hf_reason reason = check(session, identity, why);

	if (reason == HF_OK) {
		reason = check_session(hub, session);
	}
	if (reason == HF_OK &&
		(!put_key(&key, session, identity) || !hf_fields_encode(fields, FIELD_COUNT, &info, &value))) {
		reason = HF_NO_MEMORY;
	}
	/* In force before it is on disk: what cannot be written now will be. */
	if (reason == HF_OK) {
		reason = take(hub, hf_buffer_slice(&key), hf_buffer_slice(&value));
	}
	if (reason == HF_OK) {
		struct hf_slice bytes = hf_buffer_slice(&value);
		reason = write(hub, hf_buffer_slice(&key), &bytes, &info, asker);
	}
	hf_buffer_free(&key);
	hf_buffer_free(&value);
	return reason;
}

enum hf_reason hf_hold_lift(struct hf_hub *hub, struct hf_slice session, struct hf_slice identity, struct hf_slice why,
	const struct hf_asker *asker)
{
	const struct hf_hold_info info = info_of(hub, session, identity, why, asker);
	struct hf_buffer key = {0};
	enum hf_reason reason = check(session, identity, why);
	struct hf_hold_on *hold =
		reason != HF_OK ? NULL
						: find(hub, session.len > 0 ? OF_SESSION : OF_IDENTITY, session.len > 0 ? session : identity);

	if (reason == HF_OK && !hold) {
		reason = HF_HOLD_UNKNOWN;
	}
	if (reason == HF_OK && !put_key(&key, session, identity)) {
		reason = HF_NO_MEMORY;
	}
	if (reason == HF_OK) {
		reason = write(hub, hf_buffer_slice(&key), NULL, &info, asker);
	}
	if (reason == HF_OK || (reason == HF_STORE_FAILED && hold)) { /* it is pending then */
		drop(hub, hold);
		hf_retention_soon(hub);
		hf_audit_keep_soon(hub);
	}
	hf_buffer_free(&key);
	return reason;
}

/* ---- asking */

void hf_holds_each(const struct hf_hub *hub, hf_hold_fn fn, void *context)
{
	for (const struct hf_hold_on *hold = hub->holds; hold && fn(context, &hold->info); hold = hold->hh.next) {
	}
}

bool hf_holds_list(const struct hf_hub *hub, struct hf_hold **out, size_t *count)
{
	struct hf_hold *holds = calloc(HASH_COUNT(hub->holds) + (size_t)1, sizeof(*holds));

	*out = holds;
	*count = 0;
	for (const struct hf_hold_on *hold = hub->holds; holds && hold; hold = hold->hh.next) {
		holds[(*count)++] = (struct hf_hold){.session = hold->info.session, .identity = hold->info.identity};
	}
	return holds;
}

/* The first entry from the tail on, and below `end`, that is of this identity; empty: of any that is held. */
static enum hf_reason first_of(
	struct hf_hub *hub, struct hf_log *log, uint64_t end, struct hf_slice identity, uint64_t *first)
{
	struct hf_records *records = NULL;
	struct hf_scan *scan = NULL;
	struct hf_entry entry;
	struct hf_ref ref;
	bool found = false;
	enum hf_reason reason = hf_records_open(hub->store, &records);

	*first = end;
	if (reason == HF_OK) {
		reason = hf_scan_open(log, hf_log_tail(log), &scan);
	}
	while (reason == HF_OK && !found && hf_scan_next(scan, &ref) && ref.offset < end) {
		reason = hf_records_at(records, ref.lsn, &entry);
		found = reason == HF_OK &&
				(identity.len > 0 ? hf_slice_equal(entry.identity, identity) : hf_identity_held(hub, entry.identity));
	}
	if (reason == HF_OK && scan) {
		reason = hf_scan_reason(scan);
	}
	if (found) {
		*first = ref.offset;
	}
	hf_scan_close(scan);
	hf_records_close(records);
	return reason;
}

enum hf_reason hf_holds_limit(struct hf_hub *hub, struct hf_log *log, uint64_t end, uint64_t *limit)
{
	*limit = end;
	return hub->identity_holds > 0 ? first_of(hub, log, end, HF_SLICE_NONE, limit) : HF_OK;
}

enum hf_reason hf_holds_allow_session(struct hf_hub *hub, struct hf_log *log)
{
	uint64_t limit, end = hf_log_head(log) + 1;

	if (hf_session_held(hub, hf_log_session(log))) {
		return HF_HELD;
	}
	enum hf_reason reason = hf_holds_limit(hub, log, end, &limit);
	return reason == HF_OK && limit < end ? HF_HELD : reason;
}

enum hf_reason hf_holds_allow_identity(struct hf_hub *hub, struct hf_slice identity)
{
	enum hf_reason reason = hf_identity_held(hub, identity) ? HF_HELD : HF_OK;

	for (const struct hf_hold_on *hold = hub->holds; hold && reason == HF_OK; hold = hold->hh.next) {
		struct hf_log *log;
		uint64_t first;
		if (hold->info.session.len == 0) {
			continue;
		}
		reason = hf_log_acquire(hub->store, hold->info.session, false, &log);
		if (reason == HF_OK) {
			reason = first_of(hub, log, hf_log_head(log) + 1, identity, &first);
			reason = reason == HF_OK && first <= hf_log_head(log) ? HF_HELD : reason;
			hf_log_release(log);
		}
	}
	return reason;
}
