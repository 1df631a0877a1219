/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How far an erasure has come is a fact of no session, by identity, written with each step: a CBOR map. First it goes
 * through the log, then through the facts of all sessions, then it sees that nothing is left in the files.
 */
#include "session/log/forget.h"

#include <utlist.h>

#include "codec/fields.h"
#include "codec/utf8.h"
#include "session/audit/holds.h"
#include "session/audit/notes.h"
#include "session/delivery/delivery.h"
#include "session/kinds/kinds.h"
#include "session/people/presence.h"

#define STEP_ENTRIES 1000 /* looked at in one go ... */
#define STEP_SESSIONS 64  /* ... or so many sessions */
#define STEP_MS 2
#define WAIT_MS 100 /* while RocksDB is at work */

enum phase { IN_LOG, IN_FACTS, IN_FILES, PHASES };

/* As the store has it. */
struct progress {
	struct hf_slice by;
	struct hf_slice after; /* the session that was looked at last, in IN_FACTS */
	uint64_t phase;
	uint64_t lsn, until, first, count, held;
};

#define FIELD(text, type_, member) {.key = text, .type = HF_FIELD_##type_, .at = offsetof(struct progress, member)}
static const struct hf_field fields[] = {
	FIELD("by", TEXT, by),
	FIELD("lsn", UINT, lsn),
	FIELD("held", UINT, held),
	FIELD("after", TEXT, after),
	FIELD("count", UINT, count),
	FIELD("first", UINT, first),
	FIELD("phase", UINT, phase),
	FIELD("until", UINT, until),
};
#define FIELD_COUNT (sizeof(fields) / sizeof(fields[0]))

struct hf_forgetting {
	struct hf_forgetting *next;
	struct hf_hub *hub;
	enum phase phase;
	struct hf_erase erase; /* its identity is the one here */
	char after[HF_SESSION_ID_MAX];
	size_t after_len;
	char *by;
	char identity[];
};

/* ---- what the store knows */

static enum hf_reason put(const struct hf_forgetting *forgetting, const struct hf_erase *erase)
{
	const struct progress progress = {
		.by = hf_slice_of(forgetting->by),
		.after = hf_slice_from(forgetting->after, forgetting->after_len),
		.phase = forgetting->phase,
		.lsn = erase->lsn,
		.until = erase->until,
		.first = erase->first,
		.count = erase->count,
		.held = erase->held,
	};
	struct hf_buffer *value = &forgetting->hub->fact;

	hf_buffer_clear(value);
	if (!hf_fields_encode(fields, FIELD_COUNT, &progress, value)) {
		return HF_NO_MEMORY;
	}
	struct hf_slice bytes = hf_buffer_slice(value);
	return hf_fact_put(forgetting->hub->store, HF_SLICE_NONE, HF_FACT_FORGETTING, erase->identity, &bytes);
}

static enum hf_reason note_step(void *context, const struct hf_erase *after)
{
	return put(context, after);
}

static bool is_spared(void *context, struct hf_slice session)
{
	const struct hf_forgetting *forgetting = context;

	return hf_session_held(forgetting->hub, session) || hf_identity_held(forgetting->hub, forgetting->erase.identity);
}

static struct hf_forgetting *make(struct hf_hub *hub, struct hf_slice identity, struct hf_slice by)
{
	struct hf_forgetting *forgetting = calloc(1, sizeof(*forgetting) + identity.len + 1);

	if (!forgetting || !(forgetting->by = strndup(by.data, by.len))) {
		free(forgetting);
		return NULL;
	}
	memcpy(forgetting->identity, identity.data, identity.len);
	forgetting->hub = hub;
	forgetting->erase = (struct hf_erase){
		.identity = hf_slice_from(forgetting->identity, identity.len),
		.spare = is_spared,
		.note = note_step,
		.context = forgetting,
	};
	return forgetting;
}

static void dispose(struct hf_forgetting *forgetting)
{
	free(forgetting->by);
	free(forgetting);
}

struct load {
	struct hf_hub *hub;
	enum hf_reason reason;
};

static bool load_one(void *context, struct hf_slice identity, struct hf_slice value)
{
	struct load *load = context;
	struct progress progress = {.by = HF_SLICE_NONE, .after = HF_SLICE_NONE};

	load->reason = hf_fields_decode(fields, FIELD_COUNT, value, &progress) == HF_OK && progress.phase < PHASES &&
						   progress.after.len <= HF_SESSION_ID_MAX
					   ? HF_OK
					   : HF_RECORD_CORRUPT;
	struct hf_forgetting *forgetting = load->reason == HF_OK ? make(load->hub, identity, progress.by) : NULL;
	if (!forgetting) {
		load->reason = load->reason == HF_OK ? HF_NO_MEMORY : load->reason;
		return false;
	}
	forgetting->phase = (enum phase)progress.phase;
	forgetting->erase.lsn = progress.lsn;
	forgetting->erase.until = progress.until;
	forgetting->erase.first = progress.first;
	forgetting->erase.count = progress.count;
	forgetting->erase.held = progress.held;
	forgetting->after_len = progress.after.len;
	memcpy(forgetting->after, progress.after.data, progress.after.len);
	LL_APPEND(load->hub->forgettings, forgetting);
	hf_hub_due(load->hub, HF_TIMER_FORGET, STEP_MS);
	return true;
}

enum hf_reason hf_forgettings_load(struct hf_hub *hub)
{
	struct load load = {.hub = hub, .reason = HF_OK};
	enum hf_reason reason = hf_fact_each(hub->store, HF_SLICE_NONE, HF_FACT_FORGETTING, load_one, &load);

	return reason == HF_OK ? load.reason : reason;
}

void hf_forgettings_free(struct hf_hub *hub)
{
	struct hf_forgetting *forgetting, *next;

	LL_FOREACH_SAFE(hub->forgettings, forgetting, next)
	{
		dispose(forgetting);
	}
	hub->forgettings = NULL;
}

void hf_forgettings_each(const struct hf_hub *hub, hf_forgetting_fn fn, void *context)
{
	const struct hf_forgetting *forgetting;

	LL_FOREACH(hub->forgettings, forgetting)
	{
		const struct hf_forgetting_info info = {
			.identity = forgetting->erase.identity,
			.by = hf_slice_of(forgetting->by),
			.lsn = forgetting->erase.lsn,
			.until = forgetting->erase.until,
			.count = forgetting->erase.count,
		};
		if (!fn(context, &info)) {
			break;
		}
	}
}

/* ---- beginning */

static bool is_under_way(const struct hf_hub *hub, struct hf_slice identity)
{
	const struct hf_forgetting *forgetting;

	LL_FOREACH(hub->forgettings, forgetting)
	{
		if (hf_slice_equal(forgetting->erase.identity, identity)) {
			return true;
		}
	}
	return false;
}

/* Fact and record of it, in one write. */
static enum hf_reason write_down(struct hf_forgetting *forgetting, struct hf_slice why, const struct hf_asker *asker)
{
	struct hf_hub *hub = forgetting->hub;
	const struct hf_audit record = {
		.kind = HF_AUDIT_FORGETTING,
		.time_ms = hub->broker.now_ms(hub->broker.context),
		.identity = forgetting->erase.identity,
		.by = hf_slice_of(asker->identity),
		.device = hf_slice_of(asker->device),
		.address = hf_slice_of(asker->address),
		.detail = why,
	};
	enum hf_reason reason = put(forgetting, &forgetting->erase);

	if (reason == HF_OK) {
		reason = hf_audit_add(hub->store, &record);
	}
	return reason == HF_OK ? hf_devices_write(hub) : reason;
}

enum hf_reason hf_identity_erase(
	struct hf_hub *hub, struct hf_slice identity, struct hf_slice why, const struct hf_asker *asker)
{
	bool fits = identity.len > 0 && identity.len <= HF_IDENTITY_MAX && hf_utf8_valid(identity) &&
				why.len <= HF_HOLD_WHY_MAX && hf_utf8_valid(why);
	enum hf_reason reason = fits ? hf_holds_allow_identity(hub, identity) : HF_PAYLOAD_INVALID;

	if (reason != HF_OK || is_under_way(hub, identity)) {
		return reason;
	}
	struct hf_forgetting *forgetting = make(hub, identity, hf_slice_of(asker->identity));
	if (!forgetting) {
		return HF_NO_MEMORY;
	}
	reason = hf_hub_flush(hub); /* what is not, cannot be erased */
	forgetting->erase.until = hf_store_head(hub->store);
	if (reason == HF_OK) {
		reason = write_down(forgetting, why, asker);
	}
	if (reason != HF_OK) {
		(void)hf_fact_put(hub->store, HF_SLICE_NONE, HF_FACT_FORGETTING, identity, NULL);
		dispose(forgetting);
		return reason;
	}
	LL_APPEND(hub->forgettings, forgetting);
	hf_audit_due(hub);
	hf_hub_due_by(hub, HF_TIMER_FORGET, STEP_MS);
	return HF_OK;
}

/* ---- what was derived from its entries */

struct found {
	size_t count;
	struct {
		char id[HF_SESSION_ID_MAX];
		size_t len;
	} sessions[STEP_SESSIONS];
};

static bool take_session(void *context, const struct hf_session_info *info)
{
	struct found *found = context;

	memcpy(found->sessions[found->count].id, info->session.data, info->session.len);
	found->sessions[found->count++].len = info->session.len;
	return found->count < STEP_SESSIONS;
}

static enum hf_reason forget_in(struct hf_forgetting *forgetting, struct hf_slice session)
{
	struct hf_hub *hub = forgetting->hub;
	struct hf_slice identity = forgetting->erase.identity;
	enum hf_reason reason = HF_OK;

	if (is_spared(forgetting, session)) {
		return HF_OK;
	}
	reason = hf_participant_silence(hub, session, identity);
	if (reason == HF_OK) {
		reason = hf_shared_erase(hub, session, identity);
	}
	return reason == HF_OK ? hf_asks_erase(hub, session, identity) : reason;
}

static enum hf_reason step_in_facts(struct hf_forgetting *forgetting)
{
	struct hf_hub *hub = forgetting->hub;
	struct found found = {.count = 0};
	enum hf_reason reason =
		hf_session_each(hub->store, hf_slice_from(forgetting->after, forgetting->after_len), take_session, &found);

	for (size_t i = 0; i < found.count && reason == HF_OK; i++) {
		struct hf_slice session = hf_slice_from(found.sessions[i].id, found.sessions[i].len);
		reason = forget_in(forgetting, session);
		if (reason == HF_OK) {
			memcpy(forgetting->after, session.data, session.len);
			forgetting->after_len = session.len;
		}
	}
	bool last = reason == HF_OK && found.count < STEP_SESSIONS;
	if (last) {
		forgetting->phase = IN_FILES;
	}
	if (reason == HF_OK) {
		reason = put(forgetting, &forgetting->erase);
	}
	if (reason == HF_OK && last) {
		reason = hf_hub_flush(hub); /* what only waits to be removed would stay in the files */
	}
	if (reason != HF_OK) {
		forgetting->phase = IN_FACTS;
	}
	return reason;
}

/* ---- steps */

static enum hf_reason step_in_log(struct hf_forgetting *forgetting)
{
	struct hf_erase *erase = &forgetting->erase;
	enum hf_reason reason =
		erase->lsn < erase->until ? hf_log_erase(forgetting->hub->store, erase, STEP_ENTRIES) : HF_OK;

	if (reason == HF_OK && erase->lsn >= erase->until) {
		forgetting->phase = IN_FACTS;
		reason = put(forgetting, erase);
	} else if (reason != HF_OK) {
		(void)put(
			forgetting, erase); /* it is where it was: a step that failed must not be taken for one that was made */
	}
	return reason;
}

/* The fact goes with the record that says that it is done. */
static enum hf_reason end(struct hf_forgetting *forgetting)
{
	struct hf_hub *hub = forgetting->hub;
	const struct hf_erase *erase = &forgetting->erase;
	const struct hf_audit record = {
		.kind = HF_AUDIT_FORGOTTEN,
		.time_ms = hub->broker.now_ms(hub->broker.context),
		.identity = erase->identity,
		.by = hf_slice_of(forgetting->by),
		.count = erase->count,
		.detail = hf_slice_of(erase->held > 0 ? "but for what is under a legal hold" : NULL),
	};
	enum hf_reason reason = hf_fact_put(hub->store, HF_SLICE_NONE, HF_FACT_FORGETTING, erase->identity, NULL);

	if (reason == HF_OK) {
		reason = hf_audit_add(hub->store, &record);
	}
	return reason == HF_OK ? hf_devices_write(hub) : reason;
}

/* The store does it beside us. */
static enum hf_reason step_in_files(struct hf_forgetting *forgetting, bool *done)
{
	const struct hf_erase *erase = &forgetting->erase;
	bool clean;

	if (forgetting->hub->scrubs_session) { /* its turn comes: erase.c */
		return HF_OK;
	}
	enum hf_reason reason = hf_store_scrub(forgetting->hub->store, erase->first, erase->until, &clean);

	if (reason == HF_OK && clean) {
		reason = end(forgetting);
		*done = reason == HF_OK;
	}
	return reason;
}

static enum hf_reason step(struct hf_forgetting *forgetting, bool *done)
{
	*done = false;
	switch (forgetting->phase) {
	case IN_LOG:
		return step_in_log(forgetting);
	case IN_FACTS:
		return step_in_facts(forgetting);
	default:
		return step_in_files(forgetting, done);
	}
}

/* The first of the list: one step of it. */
void hf_forgettings_go_on(struct hf_hub *hub)
{
	struct hf_forgetting *forgetting = hub->forgettings;

	if (!forgetting) {
		return;
	}
	bool done;
	enum hf_reason reason = step(forgetting, &done);
	if (reason == HF_RECORD_CORRUPT || (reason == HF_OK && done)) {
		if (reason == HF_RECORD_CORRUPT) { /* the next start tries again */
			hf_say(hub, HF_LOG_ERROR, "what '%s' has published cannot be erased to its end: %s", forgetting->identity,
				hf_store_error(hub->store));
		}
		LL_DELETE(hub->forgettings, forgetting);
		dispose(forgetting);
		hf_audit_due(hub);
	}
	if (hub->forgettings) {
		bool waits = hub->forgettings->phase == IN_FILES;
		hf_hub_due(hub, HF_TIMER_FORGET, reason != HF_OK ? HF_RECOVER_MS : waits ? WAIT_MS : STEP_MS);
	}
}
