/* SPDX-License-Identifier: BSD-3-Clause */
#include "variant.h"

const struct hf_variant_info hf_variant_info[HF_VARIANTS] = {
	[HF_BARE] = {.name = "bare", .server = HF_MOSQUITTO},
	[HF_SQLITE] = {.name = "persist-sqlite", .server = HF_MOSQUITTO, .plugin = HF_PERSIST_SQLITE},
	[HF_HOLDFAST] = {.name = "holdfast", .server = HF_MOSQUITTO, .plugin = HF_PLUGIN},
	[HF_NO_AUDIT] = {.name = "no-audit", .server = HF_MOSQUITTO, .plugin = HF_PLUGIN, .no_audit = true},
	[HF_BATCHES] = {.name = "batches", .server = HF_MOSQUITTO, .plugin = HF_PLUGIN, .batches = true},
	[HF_NO_UPKEEP] = {.name = "no-upkeep", .server = HF_MOSQUITTO, .plugin = HF_PLUGIN, .no_upkeep = true},
	[HF_ASKED_COMMAND] = {.name = "asked-command",
		.server = HF_MOSQUITTO,
		.plugin = HF_PLUGIN,
		.auditor = HF_BY_COMMAND},
	[HF_ASKED_CONTROL] = {.name = "asked-control",
		.server = HF_MOSQUITTO,
		.plugin = HF_PLUGIN,
		.auditor = HF_BY_CONTROL},
	[HF_BARE_NAGLE] = {.name = "bare-nagle", .server = HF_MOSQUITTO, .nagle = true},
	[HF_HOLDFAST_NAGLE] = {.name = "holdfast-nagle", .server = HF_MOSQUITTO, .plugin = HF_PLUGIN, .nagle = true},
	[HF_BATCHES_NAGLE] =
		{.name = "batches-nagle", .server = HF_MOSQUITTO, .plugin = HF_PLUGIN, .nagle = true, .batches = true},
	[HF_STAMPED] = {.name = "bare-stamped", .server = HF_MOSQUITTO, .stamped = true},
	[HF_STAMPED_NAGLE] = {.name = "bare-stamped-nagle", .server = HF_MOSQUITTO, .nagle = true, .stamped = true},
	[HF_XREAD] = {.name = "redis-xread", .server = HF_REDIS},
	[HF_XREADGROUP] = {.name = "redis-group", .server = HF_REDIS, .group = true},
	[HF_JETSTREAM] = {.name = "jetstream", .server = HF_NATS},
};
