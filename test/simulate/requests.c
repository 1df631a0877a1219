/* SPDX-License-Identifier: BSD-3-Clause */
/* What clients ask for, what the hub must answer, and what that changes. */
#include "fake.h"

#include <inttypes.h>

#include "groups.h"
#include "log.h"
#include "store_control.h"

/* ---- publishing */

static enum hf_reason expected_reason(
	unsigned index, const struct entry *entry, bool *repeat, const struct entry **because)
{
	enum hf_role role = role_of(index, entry->session);

	*repeat = false;
	*because = NULL;
	bool floorless = role == HF_ROLE_OPERATOR && entry->kind == HF_KIND_TOKENS; /* it might have it */
	if (!publishes(role, (enum hf_kind)entry->kind) && !floorless) {
		return role == HF_ROLE_NONE && people[index].identity == NULL ? HF_NOT_AUTHENTICATED : HF_NOT_PERMITTED;
	}
	enum hf_reason reason = log_id_check(entry, repeat);
	if (floorless && reason == HF_OK && !*repeat) {
		return HF_FLOOR_OPEN;
	}
	if (reason == HF_OK && !*repeat && entry->ask != NOBODY) {
		return log_ask_check(entry, repeat, because);
	}
	return reason != HF_OK || *repeat || entry->response == NOBODY ? reason : log_response_check(entry, repeat);
}

static enum hf_verdict call_publish(unsigned index, const struct entry *entry, enum hf_reason *reason)
{
	struct hf_buffer payload = {.data = NULL}, properties = {.data = NULL};
	char topic[100];

	log_topic(entry, topic, sizeof(topic));
	log_payload(entry, &payload);
	log_properties(entry, &properties);
	snprintf(refusal.topic, sizeof(refusal.topic), "%s", topic);
	struct hf_publish publish = {
		.device = people[index].device,
		.identity = people[index].identity,
		.topic = topic,
		.payload = hf_buffer_slice(&payload),
		.properties = hf_buffer_slice(&properties),
		.correlation = HF_SLICE_NONE,
		.conditions = {.id = hf_slice_of(log_id(entry))},
		.qos = entry->qos,
	};
	enum hf_verdict verdict = hf_publish(hub, &publish, reason);
	hf_buffer_free(&payload);
	hf_buffer_free(&properties);
	return verdict;
}

/* The store failed: the entry may be there, and then it is there for good. */
static void indeterminate(void)
{
	if (log_pending() && store_control_head() == world->head + 1) {
		note("  the entry was stored all the same");
		log_commit(true);
	}
	log_forget();
}

static void expect_refusal(unsigned index, unsigned session, enum hf_reason reason, uint64_t next_seq)
{
	refusal.expected = reason != HF_OK && contexts[index].connected && reader_listens(index, session, "error");
	refusal.told = false;
	refusal.reader = index;
	refusal.session = session;
	refusal.reason = reason;
	refusal.next_seq = next_seq;
	refusal.because = NULL;
}

static void check_refusal(unsigned index)
{
	must(!refusal.expected || refusal.told, "%s is not told of a refusal that it listens for", people[index].device);
	refusal.expected = false;
}

void client_publish(unsigned index, const struct entry *template, bool is_will)
{
	struct entry entry = *template;
	const char *device = people[index].device;
	enum hf_reason reason;
	const struct entry *because;
	bool repeat;

	entry.role = (uint8_t)role_of(index, entry.session);
	(void)log_head(); /* what has come to light meanwhile counts */
	enum hf_reason wanted = expected_reason(index, &entry, &repeat, &because);
	bool stores = wanted == HF_OK && !repeat;
	note("%s publishes #%u on %s/%s seq %" PRIu64 ": %s%s%s", device, (unsigned)entry.number,
		session_names[entry.session], hf_kind_name((enum hf_kind)entry.kind), entry.seq, hf_reason_name(wanted),
		repeat ? ", a repeat" : "", is_will ? ", a will" : "");
	expect_refusal(index, entry.session, wanted,
		entry.response == NOBODY
			? 0
			: world->responses[entry.session][people[index].identity_index][entry.response].next_seq);
	refusal.because = because;
	if (stores) {
		log_prepare(&entry);
	}
	enum hf_verdict verdict = call_publish(index, &entry, &reason);
	if (stores && verdict == HF_VERDICT_FAILED) {
		must(store_control_failed(), "a publish fails though the store does not: %s", hf_reason_name(reason));
		watch_store();
		indeterminate();
		if (!is_will) {
			client_go(index, false);
		}
		return;
	}
	must(reason == wanted, "%s publishes: %s, not %s", device, hf_reason_name(reason), hf_reason_name(wanted));
	must(verdict == (wanted == HF_OK ? HF_VERDICT_STORED : HF_VERDICT_REFUSED), "%s publishes: verdict %d", device,
		(int)verdict);
	if (log_pending()) {
		log_commit(false);
	}
	check_refusal(index);
}

/* ---- subscribing */

void client_subscribe(unsigned index, const struct wish *asked)
{
	uint8_t max_qos = contexts[index].max_qos, qos = asked->options & 0x03;
	struct wish granted = *asked, *wish = &granted; /* what the broker makes of it before anybody sees it */
	const char *device = people[index].device;
	struct hf_slice plain = HF_SLICE_NONE;

	granted.options = (uint8_t)((asked->options & ~0x03) | (qos < max_qos ? qos : max_qos));
	(void)log_head();
	enum hf_reason wanted = reader_may_subscribe(index, wish);
	note("%s subscribes to %s, options %u, identifier %u: %s", device, wish->text, wish->options,
		(unsigned)wish->identifier, hf_reason_name(wanted));
	if (!wish->outside && wish->session != NOBODY) {
		expect_refusal(index, wish->session, wanted == HF_TOPIC_OUTSIDE ? HF_OK : wanted, 0);
		snprintf(refusal.topic, sizeof(refusal.topic), "%s", asked->text);
	}
	enum hf_reason reason = hf_may_subscribe(hub, device, wish->text);
	must(reason == wanted, "%s may subscribe to %s: %s, not %s", device, wish->text, hf_reason_name(reason),
		hf_reason_name(wanted));
	check_refusal(index);
	if (reason != HF_OK && reason != HF_TOPIC_OUTSIDE) {
		return;
	}
	reason = hf_subscribe(hub, device, wish->text, wish->options, wish->identifier, &plain);
	must(reason == (wish->outside ? HF_TOPIC_OUTSIDE : HF_OK), "%s subscribes to %s: %s", device, wish->text,
		hf_reason_name(reason));
	must(wish->outside || hf_slice_is(plain, wish->plain), "%s subscribes to %s: the broker shall hold %.*s", device,
		wish->text, (int)plain.len, plain.data);
	reader_subscribed(index, wish);
	show_retained(index, wish->plain);
	if (contexts[index].persisted) {
		reason = hf_subscription_keep(hub, device, wish->plain, wish->options, wish->identifier);
		must(reason == HF_OK || (reason == HF_STORE_FAILED && store_control_failed()),
			"%s: a subscription is not kept: %s", device, hf_reason_name(reason));
	}
}

void client_unsubscribe(unsigned index, const char *filter, const char *plain)
{
	struct hf_slice out = HF_SLICE_NONE;
	bool outside = strncmp(plain, "other/", 6) == 0;

	note("%s unsubscribes from %s", people[index].device, filter);
	enum hf_reason reason = hf_unsubscribe(hub, people[index].device, filter, &out);
	must(reason == (outside ? HF_TOPIC_OUTSIDE : HF_OK), "%s unsubscribes from %s: %s", people[index].device, filter,
		hf_reason_name(reason));
	must(hf_slice_is(out, plain), "%s unsubscribes from %s: the broker shall drop %.*s", people[index].device, filter,
		(int)out.len, out.data);
	reader_unsubscribed(index, plain);
}

/* ---- groups */

void client_join(unsigned index, unsigned group, const struct wish *asked)
{
	uint8_t max_qos = contexts[index].max_qos, qos = asked->options & 0x03;
	struct wish granted = *asked, *wish = &granted;
	struct hf_slice out = HF_SLICE_NONE;
	const char *device = people[index].device;
	char kept[120];

	granted.options = qos < max_qos ? qos : max_qos;
	enum hf_reason wanted = reader_may_subscribe(index, wish);
	note("%s joins %s, options %u: %s", device, wish->text, wish->options, hf_reason_name(wanted));
	if (wish->session != NOBODY) {
		expect_refusal(index, wish->session, wanted, 0);
		snprintf(refusal.topic, sizeof(refusal.topic), "%s", asked->text);
	}
	enum hf_reason reason = hf_may_subscribe(hub, device, wish->text);
	must(reason == wanted, "%s may join %s: %s, not %s", device, wish->text, hf_reason_name(reason),
		hf_reason_name(wanted));
	check_refusal(index);
	if (reason != HF_OK) {
		return;
	}
	group_kept(group, kept, sizeof(kept));
	reason = hf_subscribe(hub, device, wish->text, wish->options, wish->identifier, &out);
	must(reason == HF_OK && hf_slice_is(out, kept), "%s joins %s: %s, kept as %.*s", device, wish->text,
		hf_reason_name(reason), (int)out.len, out.data);
	group_joined(group, index, wish);
	if (contexts[index].persisted) {
		reason = hf_subscription_keep(hub, device, kept, wish->options, wish->identifier);
		must(reason == HF_OK, "%s: a subscription is not kept: %s", device, hf_reason_name(reason));
	}
}

void client_leave(unsigned index, unsigned group, const char *filter)
{
	struct hf_slice out = HF_SLICE_NONE;
	char kept[120];

	note("%s leaves %s", people[index].device, filter);
	group_kept(group, kept, sizeof(kept));
	enum hf_reason reason = hf_unsubscribe(hub, people[index].device, filter, &out);
	must(reason == HF_OK && hf_slice_is(out, kept), "%s leaves %s: %s, %.*s", people[index].device, filter,
		hf_reason_name(reason), (int)out.len, out.data);
	group_left(group, index);
}
