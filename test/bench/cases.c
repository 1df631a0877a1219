/* SPDX-License-Identifier: BSD-3-Clause */
#include "cases.h"

/* One case or macro is one block, not one field a line. */
/* clang-format off */
/* What the audit costs, is measured where it tells most. */
#define LIVE(in_quick) (HF_MQTT_BROKERS | ((in_quick) ? HF_VARIANT_BIT(HF_NO_AUDIT) : 0u))
#define RIVALS                                                                                                         \
	(HF_VARIANT_BIT(HF_BARE) | HF_VARIANT_BIT(HF_BARE_NAGLE) | HF_VARIANT_BIT(HF_HOLDFAST) |                           \
		HF_VARIANT_BIT(HF_STAMPED) | HF_VARIANT_BIT(HF_STAMPED_NAGLE) | HF_VARIANT_BIT(HF_HOLDFAST_NAGLE) |            \
	    HF_VARIANT_BIT(HF_BATCHES) | HF_VARIANT_BIT(HF_BATCHES_NAGLE) |            \
		HF_VARIANT_BIT(HF_XREAD) | HF_VARIANT_BIT(HF_XREADGROUP) | HF_VARIANT_BIT(HF_JETSTREAM))
#define SATURATED(label, text, pubs, size, unacked, metric, offline, in_quick)                                         \
	{                                                                                                                  \
		.name = label "-" #pubs "x" #size "-w" #unacked,                                                               \
		.title = #pubs " publisher(s), " #size " bytes, " #unacked " unacknowledged, " text, .kind = HF_CASE_PUBLISH,  \
		.primary = metric, .publishers = pubs, .payload_size = size, .window = unacked, .offline_reader = offline,     \
		.variants = LIVE(in_quick), .receive_maximum = 100, .quick = in_quick,                                         \
	}

#define PUBLISH(pubs, size, unacked, metric, in_quick)                                                                 \
	SATURATED("publish", "no reader", pubs, size, unacked, metric, false, in_quick)
#define STORE(pubs, size, unacked, metric, in_quick)                                                                   \
	SATURATED("store", "one offline durable reader", pubs, size, unacked, metric, true, in_quick)

#define DELIVER(count, size, in_quick)                                                                                 \
	{                                                                                                                  \
		.name = "deliver-" #count "x" #size,                                                                           \
		.title = "1 publisher, " #size " bytes, 100 unacknowledged, to " #count                                        \
				 " connected durable reader(s) at QoS 1, Receive Maximum 100",                                         \
		.kind = HF_CASE_DELIVER, .primary = HF_DELIVERED_PER_S, .publishers = 1, .payload_size = size, .window = 100,  \
		.readers = count, .reader_qos = 1, .variants = LIVE(in_quick), .receive_maximum = 100, .quick = in_quick,      \
	}

#define PACE(label, text, rate, together, metric, without_nodelay, in_quick)                                           \
	{                                                                                                                  \
		.name = label, .title = text, .kind = HF_CASE_PACE, .primary = metric, .publishers = 1, .payload_size = 64,    \
		.window = 100, .readers = 1, .rate_hz = rate, .burst = together, .reader_qos = 1, .nagle = without_nodelay,    \
		.variants = LIVE(in_quick), .receive_maximum = 100, .quick = in_quick,                                         \
	}

#define CATCH_UP(label, text, count, which, in_quick)                                                                  \
	{                                                                                                                  \
		.name = label, .title = text ", 64 bytes, QoS 1, Receive Maximum 1000", .kind = HF_CASE_CATCH_UP,              \
		.primary = HF_DURATION_MS, .entries = count, .fresh = true, .publishers = 1, .payload_size = 64, .window = 100,\
		.reader_qos = 1, .variants = which, .receive_maximum = 1000, .quick = in_quick,                                \
	}

/* With an auditor who asks all the time, and without. */
#define ASKED (HF_VARIANT_BIT(HF_HOLDFAST) | HF_VARIANT_BIT(HF_ASKED_COMMAND) | HF_VARIANT_BIT(HF_ASKED_CONTROL))
#define BESIDE_AUDITOR(label, text, which_kind, metric, rate)                                                          \
	{                                                                                                                  \
		.name = label,                                                                                                 \
		.title = text ", 64 bytes, to one durable reader, while an auditor asks about 50,000 entries that were there " \
				 "before, all the time",                                                                               \
		.kind = which_kind, .primary = metric, .publishers = 1, .payload_size = 64, .window = 100, .readers = 1,       \
		.entries = 50000, .rate_hz = rate, .burst = 1, .reader_qos = 1, .asked = true, .variants = ASKED,              \
		.receive_maximum = 100,                                                                                        \
	}

const struct hf_case hf_cases[] = {
	PUBLISH(1, 64, 1, HF_ACK_P50_US, true),
	PUBLISH(1, 64, 20, HF_ACKED_PER_S, false),
	PUBLISH(1, 64, 100, HF_ACKED_PER_S, true),
	PUBLISH(1, 256, 1, HF_ACK_P50_US, false),
	PUBLISH(1, 256, 20, HF_ACKED_PER_S, false),
	PUBLISH(1, 256, 100, HF_ACKED_PER_S, false),
	PUBLISH(10, 64, 1, HF_ACKED_PER_S, false),
	PUBLISH(10, 64, 20, HF_ACKED_PER_S, false),
	PUBLISH(10, 64, 100, HF_ACKED_PER_S, false),
	PUBLISH(10, 256, 1, HF_ACKED_PER_S, false),
	PUBLISH(10, 256, 20, HF_ACKED_PER_S, false),
	PUBLISH(10, 256, 100, HF_ACKED_PER_S, false),
	STORE(1, 64, 1, HF_ACK_P50_US, true),
	STORE(1, 64, 20, HF_ACKED_PER_S, false),
	STORE(1, 64, 100, HF_ACKED_PER_S, true),
	STORE(1, 256, 1, HF_ACK_P50_US, false),
	STORE(1, 256, 20, HF_ACKED_PER_S, false),
	STORE(1, 256, 100, HF_ACKED_PER_S, false),
	STORE(10, 64, 1, HF_ACKED_PER_S, false),
	STORE(10, 64, 20, HF_ACKED_PER_S, false),
	STORE(10, 64, 100, HF_ACKED_PER_S, true),
	STORE(10, 256, 1, HF_ACKED_PER_S, false),
	STORE(10, 256, 20, HF_ACKED_PER_S, false),
	STORE(10, 256, 100, HF_ACKED_PER_S, false),
	DELIVER(1, 64, true),
	DELIVER(1, 256, false),
	DELIVER(10, 64, true),
	DELIVER(10, 256, false),
	PACE("pace-20", "20 messages a second, 64 bytes, to one durable reader", 20, 1, HF_DELIVERY_P50_US, false, false),
	PACE("pace-2000", "2,000 messages a second, 64 bytes, to one durable reader", 2000, 1, HF_DELIVERY_P50_US, false, true),
	/* Nagle's algorithm holds back the second acknowledgement of a burst until TCP confirms the first, up to 40 ms. */
	PACE("burst", "20 bursts a second of 5 messages, 64 bytes, to one durable reader", 100, 5, HF_ACK_P50_US, false, false),
	PACE("burst-nagle", "the same without set_tcp_nodelay, for the record", 100, 5, HF_ACK_P50_US, true, false),
	BESIDE_AUDITOR("asked-deliver", "1 publisher, 100 unacknowledged", HF_CASE_DELIVER, HF_DELIVERED_PER_S, 0),
	BESIDE_AUDITOR("asked-pace-2000", "2,000 messages a second", HF_CASE_PACE, HF_DELIVERY_P99_US, 2000),
	{
		.name = "catch-up-offline", .kind = HF_CASE_CATCH_UP, .primary = HF_DURATION_MS, .entries = 10000,
		.title = "a durable device that was offline, 10,000 token batches, 64 bytes, QoS 1, Receive Maximum 100",
		.publishers = 1, .payload_size = 64, .window = 100, .reader_qos = 1, .variants = HF_MQTT_BROKERS,
		.receive_maximum = 100, .quick = true,
	},
	CATCH_UP("catch-up-10k", "a new device comes to 10,000 token batches (to Mosquitto, one that was offline)", 10000, RIVALS, true),
	CATCH_UP("catch-up-100k", "a new device comes to 100,000 token batches (to Mosquitto, one that was offline)", 100000, RIVALS, false),
	{
		.name = "drain-10x100k", .kind = HF_CASE_DRAIN, .primary = HF_DELIVERY_P99_US, .entries = 100000, .readers = 10,
		.title = "the latency of others, 500 messages a second, while 10 devices that were offline catch up on 100,000"
				 " token batches, 64 bytes, QoS 1, Receive Maximum 1000",
		.publishers = 1, .payload_size = 64, .window = 100, .reader_qos = 1, .rate_hz = 500, .burst = 1,
		.variants = HF_VARIANT_BIT(HF_BARE) | HF_VARIANT_BIT(HF_HOLDFAST) | HF_VARIANT_BIT(HF_BATCHES),
		.receive_maximum = 1000,
	},
	{
		.name = "offline", .kind = HF_CASE_OFFLINE, .primary = HF_BACKLOG_BYTES, .entries = 1000,
		.title = "memory of durable devices that are offline (holdfast: 10,000, bare: 1,000) while 1,000 messages of 64"
				 " bytes are published to a session that each follows",
		.publishers = 1, .payload_size = 64, .window = 100, .reader_qos = 1, .receive_maximum = 100,
		.variants = HF_VARIANT_BIT(HF_BARE) | HF_VARIANT_BIT(HF_HOLDFAST), .quick = true,
	},
	{
		.name = "history", .kind = HF_CASE_HISTORY, .primary = HF_PAGE_WORST_P50_MS,
		.title = "pages of a long session of 64 bytes an entry, 100 entries a page (x1000: that many): from an offset, from a "
				 "time, backwards, and from the newest back for a topic of which there is none",
		.publishers = 1, .payload_size = 64, .window = 100, .variants = HF_VARIANT_BIT(HF_HOLDFAST),
		.receive_maximum = 100,
	},
	{
		.name = "crash-100", .kind = HF_CASE_CRASH, .primary = HF_CRASH_P99_MS,
		.title = "from the end of an agent's socket, in the middle of a response, to the notice that it has crashed, at each of"
				 " 100 people (20 agents, one after the other)",
		.variants = HF_VARIANT_BIT(HF_HOLDFAST), .receive_maximum = 100, .quick = true,
	},
	{
		.name = "upkeep-120", .kind = HF_CASE_UPKEEP, .primary = HF_ACKED_PER_S, .entries = 100000,
		.title = "1 publisher, 100,000 token batches, 64 bytes, 100 unacknowledged, in a session of 100 people, who look at its"
				 " state and presence, and 20 agents with a response open (no-upkeep: the same clients take no part in it)",
		.payload_size = 64, .window = 100, .variants = HF_VARIANT_BIT(HF_HOLDFAST) | HF_VARIANT_BIT(HF_NO_UPKEEP),
		.receive_maximum = 100, .quick = true,
	},
	{
		.name = "rest", .kind = HF_CASE_REST, .primary = HF_BYTES_PER_SESSION,
		.title = "memory of sessions that nobody uses, after a restart of the broker",
		.publishers = 1, .payload_size = 64, .window = 100, .variants = HF_VARIANT_BIT(HF_HOLDFAST),
		.receive_maximum = 100, .quick = true,
	},
};
/* clang-format on */

const size_t hf_case_count = sizeof(hf_cases) / sizeof(hf_cases[0]);
