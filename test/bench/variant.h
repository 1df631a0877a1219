/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is measured side by side: programs, and how each of them is set up and read.
 */
#ifndef HF_BENCH_VARIANT_H
#define HF_BENCH_VARIANT_H

#include <stdbool.h>

/* Files that have to be there: servers and plugins. */
enum hf_program {
	HF_MOSQUITTO,
	HF_PERSIST_SQLITE, /* plugins: of Mosquitto ... */
	HF_PLUGIN,         /* ... and ours */
	HF_REDIS,
	HF_NATS,
	HF_COMMAND, /* holdfast, the command line */
	HF_PROGRAMS,
};

/* Who asks the audit meanwhile, and how. */
enum hf_auditor_kind { HF_NOBODY, HF_BY_COMMAND, HF_BY_CONTROL };

enum hf_variant {
	HF_BARE,
	HF_SQLITE,
	HF_HOLDFAST,
	HF_NO_AUDIT,
	HF_BATCHES,
	HF_NO_UPKEEP,
	HF_ASKED_COMMAND,
	HF_ASKED_CONTROL,
	/* Without set_tcp_nodelay, as Mosquitto is by default. */
	HF_BARE_NAGLE,
	HF_HOLDFAST_NAGLE,
	HF_BATCHES_NAGLE,
	/* What Mosquitto's queue holds has what Holdfast stamps on an entry, as User Properties of the publisher. */
	HF_STAMPED,
	HF_STAMPED_NAGLE,
	HF_XREAD,
	HF_XREADGROUP,
	HF_JETSTREAM,
	HF_VARIANTS,
};

/* Sets of variants. */
#define HF_VARIANT_BIT(variant) (1u << (variant))
#define HF_MQTT_BROKERS (HF_VARIANT_BIT(HF_BARE) | HF_VARIANT_BIT(HF_SQLITE) | HF_VARIANT_BIT(HF_HOLDFAST))

struct hf_variant_info {
	const char *name;
	enum hf_program server;
	enum hf_program plugin; /* HF_MOSQUITTO: none */
	bool nagle;
	bool no_audit;
	bool no_upkeep; /* its clients are no participants: see people.c */
	enum hf_auditor_kind auditor;
	bool batches; /* reads with the filter option that has nothing joined */
	bool stamped; /* its publishers send the User Properties that an entry has */
	bool group;   /* reads as a group, whose place Redis keeps, and acknowledges */
};

extern const struct hf_variant_info hf_variant_info[HF_VARIANTS];

#endif
