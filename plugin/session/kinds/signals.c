/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Signals: what people tell agents while they stream. All go into the log, and so to the agents; two of them Holdfast
 * acts upon. An interrupt gives the responses that it names the time of the option interrupt_grace to end; then they
 * are closed (responses.c). One that names a response which nobody has begun is held (held.c). A resume takes back what
 * has not been carried out.
 */
#include "session/kinds/kinds.h"
#include "session/kinds/responses.h"
#include "session/people/presence.h"
#include "session/publish/publish.h"

static bool names(const struct hf_signal *signal, struct hf_slice identity, struct hf_slice id)
{
	return (signal->response.len == 0 || hf_slice_equal(signal->response, id)) &&
		   (signal->from.len == 0 || hf_slice_equal(signal->from, identity));
}

/* Would hold: it names one response, and not one that an agent must have. */
static bool may_be_held(const struct hf_signal *signal)
{
	return signal->response.len > 0 && hf_response_key_fits(signal->from, signal->response);
}

/* ---- what comes of signals */

enum hf_reason hf_signal_check(struct hf_hub *hub, struct hf_incoming *incoming)
{
	(void)hub;
	return hf_signal_decode(incoming->publish->payload, &incoming->signal);
}

static bool has_ended(
	struct hf_hub *hub, const struct hf_session *session, struct hf_slice identity, struct hf_slice id)
{
	struct hf_response_fact fact;

	return hf_response_fact_get(hub, hf_session_id(session), identity, id, &fact) == HF_OK && fact.next_seq > 0;
}

/* Has the response that is named, and not in memory, been there? Then nobody waits for it to begin. Where no agent is
 * named those are asked about that are there. */
static bool is_over(struct hf_hub *hub, const struct hf_session *session, const struct hf_signal *signal)
{
	if (signal->from.len > 0) {
		return has_ended(hub, session, signal->from, signal->response);
	}
	for (const struct hf_participant *one = session->participants; one; one = one->hh.next) {
		if (one->role == HF_ROLE_AGENT &&
			has_ended(hub, session, hf_slice_of(one->person->identity), signal->response)) {
			return true;
		}
	}
	return has_ended(hub, session, HF_SLICE_NONE, signal->response);
}

static void interrupt(struct hf_hub *hub, struct hf_session *session, const struct hf_signal *signal,
	const struct hf_entry *entry, int64_t at_ms)
{
	bool found = false;

	for (struct hf_response *response = session->responses; response; response = response->hh.next) {
		if (!names(signal, hf_response_identity(response), hf_response_id(response))) {
			continue;
		}
		found = true; /* also one that has ended, and is not written yet */
		if (response->end == HF_END_NONE &&
			response->stop_ms == 0) { /* the first one counts: no more time by another */
			hf_response_stop(hub, response, at_ms + hub->options.interrupt_grace_ms);
		}
	}
	if (!found && may_be_held(signal) && !is_over(hub, session, signal)) {
		hf_held_add(hub, session, signal->from, signal->response, entry->offset);
	}
}

static void resume(struct hf_hub *hub, struct hf_session *session, const struct hf_signal *signal)
{
	struct hf_held *held, *next;
	struct hf_slice identity, id;

	for (struct hf_response *response = session->responses; response; response = response->hh.next) {
		if (response->stop_ms != 0 && names(signal, hf_response_identity(response), hf_response_id(response))) {
			hf_response_stop(hub, response, 0);
		}
	}
	HASH_ITER(hh, session->held, held, next)
	{
		if (hf_response_key_split(hf_slice_from(held->key, held->key_len), &identity, &id) &&
			names(signal, identity, id)) {
			hf_held_drop(hub, session, held);
		}
	}
}

static void apply(struct hf_hub *hub, struct hf_session *session, const struct hf_signal *signal,
	const struct hf_entry *entry, int64_t at_ms)
{
	if (signal->kind == HF_SIGNAL_INTERRUPT) {
		interrupt(hub, session, signal, entry, at_ms);
	} else if (signal->kind == HF_SIGNAL_RESUME) {
		resume(hub, session, signal);
	}
}

void hf_signal_apply(struct hf_hub *hub, const struct hf_incoming *incoming, const struct hf_entry *entry)
{
	apply(hub, incoming->session, &incoming->signal, entry, hf_hub_clock_ms(hub));
}

/* ---- replay: the session is not in memory */

/* Facts of responses or held interrupts that a signal names, by their keys, each behind its length. */
struct named {
	const struct hf_signal *signal;
	bool responses;
	struct hf_buffer keys;
	bool over; /* a response has ended that is named */
	bool complete;
};

static bool name_one(void *context, struct hf_slice key, struct hf_slice value)
{
	struct named *named = context;
	struct hf_response_fact fact = {.end = HF_END_NONE};
	struct hf_slice identity, id;
	uint16_t len = (uint16_t)key.len;

	if (!hf_response_key_split(key, &identity, &id) || !names(named->signal, identity, id) ||
		(named->responses && !hf_response_fact_read(value, &fact))) {
		return true;
	}
	if (fact.end != HF_END_NONE) {
		named->over = true;
		return true;
	}
	named->complete =
		hf_buffer_append(&named->keys, &len, sizeof(len)) && hf_buffer_append(&named->keys, key.data, key.len);
	return named->complete;
}

static void change_fact(
	struct hf_hub *hub, const struct hf_entry *entry, bool response, struct hf_slice key, int64_t stop_ms)
{
	struct hf_response_fact fact;
	struct hf_slice identity, id;
	bool ok = true;

	if (!response) {
		ok = hf_fact_put(hub->store, entry->session, HF_FACT_HELD, key, NULL) == HF_OK;
	} else if (hf_response_key_split(key, &identity, &id) &&
			   hf_response_fact_get(hub, entry->session, identity, id, &fact) == HF_OK &&
			   (stop_ms == 0 || fact.stop_ms == 0)) {
		fact.stop_ms = stop_ms;
		ok = hf_response_fact_put(hub, entry->session, key, &fact) == HF_OK;
	}
	if (!ok) {
		hf_held_lost(hub, entry->session);
	}
}

static void change_facts(struct hf_hub *hub, const struct hf_entry *entry, const struct named *named, int64_t stop_ms)
{
	for (size_t at = 0; at < named->keys.len;) {
		uint16_t len;
		memcpy(&len, named->keys.data + at, sizeof(len));
		at += sizeof(len);
		change_fact(hub, entry, named->responses, hf_slice_from(named->keys.data + at, len), stop_ms);
		at += len;
	}
}

static void replay_facts(struct hf_hub *hub, const struct hf_entry *entry, const struct hf_signal *signal)
{
	struct named responses = {.signal = signal, .responses = true, .complete = true},
				 held = {.signal = signal, .complete = true};
	bool interrupts = signal->kind == HF_SIGNAL_INTERRUPT;
	int64_t stop_ms = interrupts ? entry->time_ms + hub->options.interrupt_grace_ms : 0;
	enum hf_reason reason = hf_fact_each(hub->store, entry->session, HF_FACT_RESPONSE, name_one, &responses);

	if (reason == HF_OK && !interrupts) {
		reason = hf_fact_each(hub->store, entry->session, HF_FACT_HELD, name_one, &held);
	}
	if (reason != HF_OK || !responses.complete || !held.complete) {
		hf_held_lost(hub, entry->session);
	} else if (interrupts && responses.keys.len == 0 && !responses.over && may_be_held(signal)) {
		char key[HF_RESPONSE_KEY_MAX];
		size_t len = hf_response_key(key, signal->from, signal->response);
		hf_held_put_fact(hub, entry->session, hf_slice_from(key, len), entry->offset);
	} else {
		change_facts(hub, entry, &responses, stop_ms);
		change_facts(hub, entry, &held, 0);
	}
	hf_buffer_free(&responses.keys);
	hf_buffer_free(&held.keys);
}

void hf_signal_replay(struct hf_hub *hub, struct hf_session *session, const struct hf_entry *entry)
{
	struct hf_signal signal;

	if (hf_signal_decode(entry->payload, &signal) != HF_OK || signal.kind == HF_SIGNAL_STEER) {
		return;
	}
	if (session) {
		apply(hub, session, &signal, entry, entry->time_ms);
	}
	replay_facts(hub, entry, &signal);
}
