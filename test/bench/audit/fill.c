/* SPDX-License-Identifier: BSD-3-Clause */
#include "fill.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "codec/receipts.h"
#include "store/audit.h"

#define FLUSH_EVERY 4096 /* entries: as the broker's flushes under load */

void hf_fill_session(unsigned int number, char out[32])
{
	snprintf(out, 32, "session-%05u", number);
}

void hf_fill_identity(unsigned int number, char out[32])
{
	snprintf(out, 32, "person-%04u", number);
}

/* A talk: who is in it, and where it stands. */
struct burst {
	struct hf_store *store;
	struct hf_log *log;
	char session[32];
	int64_t begin_ms;
	int64_t at_ms[HF_FILL_BURST];
	uint64_t first;
	unsigned int seed;
};

static unsigned int pick(struct burst *burst, unsigned int below)
{
	return (unsigned int)rand_r(&burst->seed) % below;
}

static enum hf_reason publish(struct burst *burst, const char *identity)
{
	char payload[HF_FILL_PAYLOAD], device[48];
	enum hf_reason reason = HF_OK;
	int64_t now_ms = burst->begin_ms;

	snprintf(device, sizeof(device), "%s-agent", identity);
	for (int i = 0; i < HF_FILL_BURST && reason == HF_OK; i++) {
		now_ms += 50 + pick(burst, 250);
		for (size_t j = 0; j < sizeof(payload); j++) {
			payload[j] = (char)('a' + pick(burst, 26));
		}
		struct hf_entry entry = {
			.kind = HF_KIND_TOKENS,
			.role = HF_ROLE_AGENT,
			.qos = 1,
			.topic = hf_slice_of("tokens"),
			.identity = hf_slice_of(identity),
			.device = hf_slice_of(device),
			.address = hf_slice_of("192.0.2.7"),
			.payload = hf_slice_from(payload, sizeof(payload)),
		};
		reason = hf_log_append(burst->log, &entry, now_ms);
		burst->at_ms[i] = entry.time_ms;
		burst->first = i == 0 ? entry.offset : burst->first;
	}
	return reason;
}

/* What one device was sent of it, in one page. */
static enum hf_reason deliver(struct burst *burst, const char *identity)
{
	struct hf_device_receipt receipts[HF_FILL_BURST];
	struct hf_buffer page = {0};
	char device[48];

	snprintf(device, sizeof(device), "%s-phone", identity);
	for (int i = 0; i < HF_FILL_BURST; i++) {
		receipts[i] = (struct hf_device_receipt){
			.first = burst->first + (uint64_t)i,
			.count = 1,
			.state = HF_RECEIPT_ACKNOWLEDGED,
			.sent_ms = burst->at_ms[i] + 1,
			.took_ms = 10 + pick(burst, 80),
		};
	}
	enum hf_reason reason = hf_page_encode(receipts[0].sent_ms, receipts, HF_FILL_BURST, &page);
	if (reason == HF_OK) {
		struct hf_audit record = {
			.kind = HF_AUDIT_DELIVERED,
			.time_ms = receipts[HF_FILL_BURST - 1].sent_ms + 100,
			.identity = hf_slice_of(identity),
			.device = hf_slice_of(device),
			.address = hf_slice_of("192.0.2.8"),
			.session = hf_slice_of(burst->session),
			.first = burst->first,
			.last = burst->first + HF_FILL_BURST - 1,
			.count = HF_FILL_BURST,
			.page = hf_buffer_slice(&page),
		};
		reason = hf_audit_add(burst->store, &record);
	}
	hf_buffer_free(&page);
	return reason;
}

/* Those who read come and go: a connection and a subscription for each page. */
static enum hf_reason connect_one(struct burst *burst, const char *identity)
{
	char device[48], filter[64];

	snprintf(device, sizeof(device), "%s-phone", identity);
	snprintf(filter, sizeof(filter), "sessions/%s/#", burst->session);
	struct hf_audit record = {
		.kind = HF_AUDIT_CONNECTED,
		.time_ms = burst->begin_ms,
		.identity = hf_slice_of(identity),
		.device = hf_slice_of(device),
		.address = hf_slice_of("192.0.2.8"),
		.protocol = hf_slice_of("MQTT 5"),
		.port = 1883,
	};
	enum hf_reason reason = hf_audit_add(burst->store, &record);
	record.kind = HF_AUDIT_SUBSCRIBED;
	record.protocol = HF_SLICE_NONE;
	record.port = 0;
	record.session = hf_slice_of(burst->session);
	record.topic = hf_slice_of(filter);
	record.detail = hf_slice_of("QoS 1, " HF_AUDIT_KEPT);
	return reason == HF_OK ? hf_audit_add(burst->store, &record) : reason;
}

static enum hf_reason make_burst(struct burst *burst)
{
	char identity[32];
	unsigned int session = pick(burst, HF_FILL_SESSIONS);

	hf_fill_session(session, burst->session);
	enum hf_reason reason = hf_log_acquire(burst->store, hf_slice_of(burst->session), true, &burst->log);
	if (reason != HF_OK) {
		return reason;
	}
	/* A session has its people. */
	for (unsigned int i = 0; i < HF_FILL_READERS && reason == HF_OK; i++) {
		hf_fill_identity((session * 7 + i * 501) % HF_FILL_PEOPLE, identity);
		reason = pick(burst, 4) == 0 ? connect_one(burst, identity) : HF_OK;
	}
	if (reason == HF_OK) {
		reason = publish(burst, "agent");
	}
	for (unsigned int i = 0; i < HF_FILL_READERS && reason == HF_OK; i++) {
		hf_fill_identity((session * 7 + i * 501) % HF_FILL_PEOPLE, identity);
		reason = deliver(burst, identity);
	}
	hf_log_release(burst->log);
	return reason == HF_OK ? hf_store_commit(burst->store) : reason;
}

bool hf_fill(const char *path, uint64_t deliveries)
{
	const uint64_t bursts = (deliveries + HF_FILL_BURST * HF_FILL_READERS - 1) / (HF_FILL_BURST * HF_FILL_READERS);
	struct burst burst = {.seed = 1};
	char key[4096], message[512];
	uint64_t flushed = 0;

	snprintf(key, sizeof(key), "%s.key", path);
	struct hf_store_options options = {.path = path, .audit_key = key, .now_ms = HF_FILL_BEGIN_MS};
	enum hf_reason reason = hf_store_open(&options, NULL, NULL, &burst.store, message, sizeof(message));
	if (reason != HF_OK) {
		fprintf(stderr, "holdfast-bench-audit: %s\n", message);
		return false;
	}
	for (uint64_t i = 0; i < bursts && reason == HF_OK; i++) {
		burst.begin_ms = HF_FILL_BEGIN_MS + (int64_t)((double)HF_FILL_DURATION_MS * (double)i / (double)bursts);
		reason = make_burst(&burst);
		/* Five seconds after it, as the broker does. */
		if (reason == HF_OK) {
			reason = hf_audit_seal(burst.store, burst.begin_ms + 20000);
		}
		if (reason == HF_OK && hf_store_head(burst.store) - flushed >= FLUSH_EVERY) {
			flushed = hf_store_head(burst.store);
			reason = hf_store_flush(burst.store);
		}
		if (isatty(STDERR_FILENO) && i % 1000 == 0) {
			fprintf(stderr, "\r\033[Kmaking the store: %" PRIu64 " of %" PRIu64 " talks ", i, bursts);
		}
	}
	if (isatty(STDERR_FILENO)) {
		fputs("\r\033[K", stderr);
	}
	if (reason == HF_OK) {
		reason = hf_store_flush(burst.store);
	}
	if (reason != HF_OK) {
		fprintf(stderr, "holdfast-bench-audit: %s: %s\n", hf_reason_sentence(reason), hf_store_error(burst.store));
	}
	hf_store_close(burst.store);
	return reason == HF_OK;
}
