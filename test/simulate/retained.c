/* SPDX-License-Identifier: BSD-3-Clause */
/* What the hub has the broker retain and publish: the state of sessions, and shared values. */
#include "due.h"
#include "fake.h"
#include "log.h"
#include "store_control.h"

struct own {
	unsigned session;
	struct hf_buffer payload;
	struct own *next;
};
static struct own *own_first, **own_last = &own_first;
static bool state_retained[SESSIONS];
static uint64_t state_of[SESSIONS];       /* the session's head when its state was last told */
static struct hf_buffer newest[SESSIONS]; /* that state */

static void check_state(struct hf_slice session, struct hf_slice rest, struct hf_slice payload)
{
	int index = session_of(session);

	must(index >= 0 && hf_slice_is(rest, "state"), "a retained message of no session, or not its state");
	must(store_control_failed() || world->erased[index] || log_state_is((unsigned)index, payload),
		"the state of %s is not true", session_names[index]);
	hf_buffer_clear(&newest[index]);
	must(hf_buffer_append(&newest[index], payload.data, payload.len), "out of memory");
	state_retained[index] = true;
	state_of[index] = log_session_head((unsigned)index);
}

static bool is_presence(struct hf_slice rest)
{
	return rest.len > 9 && memcmp(rest.data, "presence/", 9) == 0; /* the model knows nothing of it yet */
}

static void retain(void *unused, struct hf_slice session, struct hf_slice rest, struct hf_slice payload)
{
	(void)unused;
	if (is_presence(rest)) {
		return;
	}
	check_state(session, rest, payload);
}

static void announce(void *unused, struct hf_slice session, struct hf_slice rest, struct hf_slice payload)
{
	struct own *own = is_presence(rest) ? NULL : calloc(1, sizeof(*own));

	(void)unused;
	if (is_presence(rest)) {
		return;
	}
	check_state(session, rest, payload);
	must(own && hf_buffer_append(&own->payload, payload.data, payload.len), "out of memory");
	own->session = (unsigned)session_of(session);
	*own_last = own;
	own_last = &own->next;
}

static void send_live(void *unused, struct hf_slice session, struct hf_slice rest, struct hf_slice payload)
{
	(void)unused;
	(void)session;
	(void)rest;
	(void)payload;
	must(false, "there is no push gateway to be told");
}

/* Shared values are there only while a subscription is looked after: the newest of each key that was written. */
static bool shown[SESSIONS][SHARED_KEYS];

static int key_of(struct hf_slice rest)
{
	return rest.len == 9 && memcmp(rest.data, "shared/k", 8) == 0 && rest.data[8] >= '0' &&
				   rest.data[8] < '0' + SHARED_KEYS
			   ? rest.data[8] - '0'
			   : -1;
}

static void retain_entry(void *unused, const struct hf_entry *entry)
{
	int session = session_of(entry->session), key = key_of(entry->topic);
	struct hf_entry seen = *entry;

	(void)unused;
	must(session >= 0 && key >= 0 && !shown[session][key], "a shared value is retained twice, or is none");
	seen.lsn = log_newest((unsigned)session, (unsigned)key);
	must(seen.lsn > 0, "a shared value is retained that nobody wrote");
	log_check(&seen);
	shown[session][key] = true;
}

static void unretain(void *unused, struct hf_slice session, struct hf_slice rest)
{
	int index = session_of(session), key = key_of(rest);

	(void)unused;
	if (is_presence(rest)) {
		return;
	}
	if (index >= 0 && key >= 0) {
		must(shown[index][key], "a shared value is removed that is not there");
		shown[index][key] = false;
		return;
	}
	must(index >= 0 && hf_slice_is(rest, "state") && (state_retained[index] || world->erased[index]),
		"a retained state is removed that is not there");
	state_retained[index] = false;
}

static void deliver_state(
	unsigned session, unsigned index, const char *filter, uint8_t options, struct hf_slice payload)
{
	char topic[64];

	snprintf(topic, sizeof(topic), "sessions/%s/state", session_names[session]);
	if (!contexts[index].connected || !filter_matches(filter, topic) || world->erased[session]) {
		return;
	}
	bool allowed = hf_may_receive(hub, people[index].device, people[index].identity, topic, payload, false) == HF_OK;
	bool overtaken = !hf_slice_equal(payload, hf_buffer_slice(&newest[session]));
	must(allowed == (reads(role_of(index, session)) && !overtaken), "the state of %s for %s: %s",
		session_names[session], people[index].device, allowed ? "allowed" : "denied");
	if (allowed) {
		uint8_t qos = options & 0x03;
		hand_other(index, topic, qos > 1 ? 1 : qos);
	}
}

void deliver_own(void)
{
	while (own_first) {
		struct own *own = own_first;
		own_first = own->next;
		if (!own_first) {
			own_last = &own_first;
		}
		for (unsigned index = 0; index < READERS; index++) {
			for (unsigned i = 0; i < FILTERS && world->readers[index].exists; i++) {
				const struct filter *filter = &world->readers[index].filters[i];
				if (filter->used) {
					deliver_state(own->session, index, filter->plain, filter->options, hf_buffer_slice(&own->payload));
				}
			}
		}
		hf_buffer_free(&own->payload);
		free(own);
	}
}

/* Each that this client may read and its filter matches must be there, and not given to anybody who may not. */
static void check_shown(unsigned session, unsigned index, const char *filter)
{
	for (unsigned key = 0; key < SHARED_KEYS; key++) {
		char topic[64];
		snprintf(topic, sizeof(topic), "sessions/%s/shared/k%u", session_names[session], key);
		must(!world->erased[session] || !shown[session][key], "a value of %s is shown, which was erased",
			session_names[session]);
		if (!filter_matches(filter, topic) || world->erased[session]) {
			continue;
		}
		bool readable = reads(role_of(index, session));
		must(!readable || shown[session][key] == (log_newest(session, key) > 0), "%s is not shown the value of %s",
			people[index].device, topic);
		must((hf_may_receive(hub, people[index].device, people[index].identity, topic, HF_SLICE_NONE, true) == HF_OK) ==
				 readable,
			"%s and the value of %s", people[index].device, topic);
	}
}

void show_retained(unsigned index, const char *filter)
{
	for (unsigned session = 0; session < SESSIONS; session++) {
		check_shown(session, index, filter);
	}
	for (unsigned session = 0; session < SESSIONS; session++) {
		if (state_retained[session]) {
			deliver_state(session, index, filter, 1, hf_buffer_slice(&newest[session]));
		}
	}
}

bool state_is_told(unsigned session)
{
	return state_of[session] == log_session_head(session);
}

void fake_retained(struct hf_broker *out)
{
	out->retain = retain;
	out->retain_entry = retain_entry;
	out->announce = announce;
	out->send = send_live;
	out->unretain = unretain;
}
