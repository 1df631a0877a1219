/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Taking away what was said in a session: the entries, as retention does it (where the audit is on, each leaves a
 * record without its payload), and all facts of the session. A few thousand in a turn; a long session takes several.
 * Then it leaves the store's files. Until then the store has a fact, HF_FACT_ERASING, of no session, that names it and
 * says at which LSN it began: from that a restart goes on.
 *
 * Meanwhile nobody is given anything of it: requests are refused by the session's state, and readers that are fed from
 * the log and could come by it wait.
 */
#include "session/kinds/kinds.h"
#include "session/log/ending.h"
#include "session/people/presence.h"
#include "session/record.h"

#include <utlist.h>

#define FACTS_AT_ONCE 4096
#define STEP_MS 1
#define SCRUB_WAIT_MS 100 /* while RocksDB is at work */
#define LSN_SIZE 8

struct hf_erasure {
	struct hf_erasure *next;
	uint64_t first, last; /* LSNs of what is erased; last: once it is */
	size_t len;
	char session[HF_SESSION_ID_MAX];
};

static bool enlist(struct hf_hub *hub, struct hf_slice session, uint64_t first)
{
	struct hf_erasure *erasure = calloc(1, sizeof(*erasure));

	if (erasure) {
		memcpy(erasure->session, session.data, session.len);
		erasure->len = session.len;
		erasure->first = first;
		LL_APPEND(hub->erasures, erasure);
		hf_hub_due_by(hub, HF_TIMER_ERASE, STEP_MS);
	}
	return erasure;
}

bool hf_erasure_runs(const struct hf_hub *hub, const struct hf_session *session)
{
	const struct hf_erasure *erasure;

	LL_FOREACH(hub->erasures, erasure)
	{
		if (!session || hf_slice_equal(hf_slice_from(erasure->session, erasure->len), hf_session_id(session))) {
			return true;
		}
	}
	return false;
}

/* ---- facts */

struct names {
	struct hf_buffer bytes; /* each: its length; itself */
	size_t count;
	bool complete;
};

static bool gather(void *context, struct hf_slice name, struct hf_slice value)
{
	struct names *names = context;

	(void)value;
	names->complete = names->count < FACTS_AT_ONCE && hf_buffer_append(&names->bytes, &name.len, sizeof(name.len)) &&
					  hf_buffer_append(&names->bytes, name.data, name.len);
	names->count += names->complete;
	return names->complete;
}

/* Those of one type. *complete: there are no more. */
static enum hf_reason forget(struct hf_hub *hub, struct hf_slice session, uint8_t type, bool *complete)
{
	struct names names = {.complete = true};
	enum hf_reason reason = hf_fact_each(hub->store, session, type, gather, &names);
	const char *at = (const char *)names.bytes.data;

	for (size_t i = 0; i < names.count && reason == HF_OK; i++) {
		struct hf_slice name = hf_slice_from(at + sizeof(name.len), 0);
		memcpy(&name.len, at, sizeof(name.len));
		reason = hf_fact_put(hub->store, session, type, name, NULL);
		at = name.data + name.len;
	}
	hf_buffer_free(&names.bytes);
	*complete = names.complete;
	return reason;
}

static enum hf_reason forget_all(struct hf_hub *hub, struct hf_slice session, bool *complete)
{
	enum hf_reason reason = HF_OK;

	*complete = true;
	for (uint8_t type = 1; type < HF_FACT_COUNT && reason == HF_OK && *complete; type++) {
		reason = forget(hub, session, type, complete);
	}
	return reason;
}

/* ---- steps */

/* *done: nothing is left of it. */
static enum hf_reason step(struct hf_hub *hub, struct hf_session *session, bool *done)
{
	struct hf_log *log = session->log;
	enum hf_reason reason = hf_hub_flush(hub); /* what is not, cannot be removed */

	*done = false;
	if (reason == HF_OK) {
		reason = hf_log_truncate(log, hf_log_head(log) + 1);
	}
	if (reason == HF_OK && hf_log_tail(log) > hf_log_head(log)) {
		reason = forget_all(hub, hf_session_id(session), done);
	}
	return reason;
}

static void dispose(struct hf_erasure **list)
{
	struct hf_erasure *erasure = *list;

	LL_DELETE(*list, erasure);
	free(erasure);
}

/* The first of the list: one step of it. */
static enum hf_reason remove_some(struct hf_hub *hub)
{
	struct hf_erasure *erasure = hub->erasures;
	struct hf_slice id = hf_slice_from(erasure->session, erasure->len);
	struct hf_session *session = hf_session_use(hub, id);
	bool done = false;
	enum hf_reason reason = session && session->log ? step(hub, session, &done) : HF_NO_MEMORY;

	if (reason == HF_RECORD_CORRUPT) { /* the next start tries that one again */
		hf_say(hub, HF_LOG_ERROR, "what is left of the erased session %.*s cannot be removed: %s", (int)id.len, id.data,
			hf_store_error(hub->store));
		dispose(&hub->erasures);
		return HF_OK;
	}
	if (reason == HF_OK && done) {
		erasure->last = hf_log_gone_lsn(session->log, HF_KINDS_LOGGED);
		LL_DELETE(hub->erasures, erasure);
		LL_APPEND(hub->emptied, erasure);
		hf_hub_due(hub, HF_TIMER_INDEX, HF_INDEX_FLUSH_MS);
	}
	return reason;
}

/* The store does it beside us, one at a time: what an identity has published may be under way (forget.c). */
static enum hf_reason scrub(struct hf_hub *hub)
{
	struct hf_erasure *erasure = hub->emptied;
	bool done = false;
	enum hf_reason reason = HF_OK;

	if (!hub->scrubs_session && hub->forgettings) {
		return HF_OK;
	}
	if (!hub->scrubs_session) {
		reason = hf_hub_flush(hub); /* what only waits to be removed would stay in the files */
	}
	if (reason == HF_OK) {
		reason = hf_store_scrub(hub->store, erasure->first, erasure->last, &done);
	}
	hub->scrubs_session = reason == HF_OK && !done;
	if (reason == HF_OK && done) {
		reason = hf_fact_put(
			hub->store, HF_SLICE_NONE, HF_FACT_ERASING, hf_slice_from(erasure->session, erasure->len), NULL);
	}
	if (reason == HF_OK && done) {
		dispose(&hub->emptied);
		hf_hub_due(hub, HF_TIMER_INDEX, HF_INDEX_FLUSH_MS);
	}
	return reason;
}

void hf_erasures_go_on(struct hf_hub *hub)
{
	bool removes = hub->erasures;
	enum hf_reason reason = removes ? remove_some(hub) : hub->emptied ? scrub(hub) : HF_OK;

	if (hub->erasures || hub->emptied) {
		hf_hub_due(hub, HF_TIMER_ERASE, reason != HF_OK ? HF_RECOVER_MS : removes ? STEP_MS : SCRUB_WAIT_MS);
	}
}

/* ---- begin, here and after a restart */

/* Those who have a filter for it learn that there is no more to come. */
static void tell_readers(struct hf_hub *hub, struct hf_session *session)
{
	const struct hf_attachment *attachment;

	DL_FOREACH(session->attached, attachment)
	{
		struct hf_device *device = attachment->device;
		for (size_t i = 0; i < device->subscription_count; i++) {
			device->subscriptions[i].mark_due |= device->subscriptions[i].session == session;
		}
		hf_device_pend(hub, device, HF_RETRY_MS);
	}
}

enum hf_reason hf_erasure_begin(struct hf_hub *hub, struct hf_session *session)
{
	struct hf_slice id = hf_session_id(session);
	uint64_t first = 1;
	unsigned char bytes[LSN_SIZE], *at = bytes;
	enum hf_reason reason = HF_OK;

	if (hf_log_tail(session->log) <= hf_log_head(session->log)) {
		reason = hf_log_lsn_of(session->log, hf_log_tail(session->log), &first);
	}
	hf_record_put(&at, first, LSN_SIZE);
	if (reason == HF_OK) {
		struct hf_slice value = hf_slice_from((const char *)bytes, sizeof(bytes));
		reason = hf_fact_put(hub->store, HF_SLICE_NONE, HF_FACT_ERASING, id, &value);
	}
	if (reason == HF_OK && !enlist(hub, id, first)) {
		reason = HF_NO_MEMORY;
	}
	if (reason != HF_OK) {
		return reason;
	}
	hf_session_dismiss(hub, session);
	hf_log_set_state(session->log, (uint8_t)((hf_log_state(session->log) | HF_STATE_ERASED) & ~HF_STATE_RETAINING));
	session->shared = (struct hf_shared){.counted = true};
	session->retention = hub->options.retention;
	hf_session_state_changed(hub, session, true);
	tell_readers(hub, session);
	reason = hf_hub_flush(hub);
	if (reason == HF_OK && !hub->erasures->next) {
		hf_erasures_go_on(hub); /* most are done with this */
	}
	return reason;
}

static bool load_one(void *context, struct hf_slice name, struct hf_slice value)
{
	struct hf_hub *hub = context;
	const char *at = value.data;

	return name.len <= HF_SESSION_ID_MAX && value.len == LSN_SIZE && enlist(hub, name, hf_record_take(&at, LSN_SIZE));
}

enum hf_reason hf_erasures_load(struct hf_hub *hub)
{
	return hf_fact_each(hub->store, HF_SLICE_NONE, HF_FACT_ERASING, load_one, hub);
}

void hf_erasures_free(struct hf_hub *hub)
{
	while (hub->erasures) {
		dispose(&hub->erasures);
	}
	while (hub->emptied) {
		dispose(&hub->emptied);
	}
}
