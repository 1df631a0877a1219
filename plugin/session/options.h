/* SPDX-License-Identifier: BSD-3-Clause */
/* The options of the plugin (plugin_opt_NAME VALUE in mosquitto.conf), checked. plugin/REFERENCE.md has the table. */
#ifndef HF_SESSION_OPTIONS_H
#define HF_SESSION_OPTIONS_H

#include "codec/entry.h"
#include "store/store.h"

/* Whose presence transitions are notices in the log. */
enum hf_notices {
	HF_NOTICES_ALL,
	HF_NOTICES_AGENTS,
	HF_NOTICES_NONE,
};

/* What becomes of token batches that nobody is there to read: people/unattended.c. The numbers are on disk. */
enum hf_unattended {
	HF_UNATTENDED_UNSET, /* of a session: as the option says */
	HF_UNATTENDED_ALLOW,
	HF_UNATTENDED_REJECT,
};

/* What is kept of a session: see retention.h. 0: without limit. */
struct hf_retention {
	uint64_t age_ms;
	uint64_t bytes; /* of records */
	uint64_t count; /* of entries */
};

struct hf_options {
	char root[257];
	char store[4096];
	char roles[4096]; /* "" when there is no roles file */
	enum hf_role anonymous_role;
	bool any_identity; /* a durable device may come back under another one */
	enum hf_durability durability;
	unsigned int sync_interval_ms; /* of HF_DURABILITY_INTERVAL */
	bool audit;
	char audit_key[4096];   /* "": beside the store, under its name and ".key" */
	uint64_t audit_keep_ms; /* how long what the audit has is kept; 0: for ever */
	unsigned int ack_flush_ms;
	unsigned int window;
	unsigned int payload_max;
	unsigned int history_page;
	struct hf_retention retention;
	unsigned int rollup; /* bytes that the payload of joined token batches may have; 0: none are joined */
	unsigned int share_expiry_s;
	unsigned int ask_expiry_s; /* of questions that do not say when they expire */
	unsigned int agent_grace_ms;
	unsigned int stall_after_ms; /* 0: never */
	unsigned int restart_grace_ms;
	unsigned int interrupt_grace_ms;
	enum hf_notices presence_notices;
	unsigned int floor_lease_ms;
	enum hf_unattended unattended;
	char wake_identity[1025]; /* of the push gateway; "": none */
};

/* The defaults; store stays "" (the caller knows the broker's persistence location). */
void hf_options_defaults(struct hf_options *options);

/*
 * Set one option. On false `message` names the option, its value, and what it takes; nothing was changed.
 */
bool hf_options_set(
	struct hf_options *options, const char *name, const char *value, char *message, size_t message_size);

#endif
