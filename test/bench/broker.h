/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One server under test: its process on its own core, its directory, and what it costs. Mostly a Mosquitto.
 */
#ifndef HF_BENCH_BROKER_H
#define HF_BENCH_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "variant.h"

#define HF_PLUGIN_OPTIONS_MAX 8

/* Of Holdfast: NAME=VALUE becomes a line `plugin_opt_NAME VALUE` of the configuration. */
struct hf_plugin_options {
	size_t count;
	const char *text[HF_PLUGIN_OPTIONS_MAX];
};

struct hf_broker_setup {
	enum hf_variant variant;
	const char *program[HF_PROGRAMS];        /* those that the variant needs */
	const char *parent_path;                 /* where its own directory is made */
	int cpu;                                 /* the core to pin it to, or -1 */
	bool nagle;                              /* without set_tcp_nodelay */
	unsigned window;                         /* messages that a client may have unacknowledged, either way */
	const struct hf_plugin_options *options; /* for Holdfast */
};

struct hf_broker;

/* Start it on a free loopback port and wait until it listens. The setup's strings must outlive it. On failure
 * NULL, and `why` says in words what happened; nothing is left behind. */
struct hf_broker *hf_broker_start(const struct hf_broker_setup *setup, char *why, size_t why_size);

/* Stop it and start it again on what it has stored. False as above; then only hf_broker_free is allowed. */
bool hf_broker_restart(struct hf_broker *broker, char *why, size_t why_size);

/* Stop it and remove its directory. False when it had died or did not end well: `why` says how. */
bool hf_broker_free(struct hf_broker *broker, char *why, size_t why_size);

enum hf_variant hf_broker_variant(const struct hf_broker *broker);
uint16_t hf_broker_port(const struct hf_broker *broker);
const char *hf_broker_program(const struct hf_broker *broker, enum hf_program program); /* "": there is none */
const char *hf_broker_directory(const struct hf_broker *broker);
int64_t hf_broker_cpu_ns(const struct hf_broker *broker);   /* CPU time of all its threads */
int64_t hf_broker_main_ns(const struct hf_broker *broker);  /* of its main thread, which serves all clients */
int64_t hf_broker_wait_ns(const struct hf_broker *broker);  /* for how long its main thread was ready but had no core */
double hf_broker_rss_bytes(const struct hf_broker *broker); /* resident now */

/* The version that it printed when it started; "" when that was not found. */
void hf_broker_version(const struct hf_broker *broker, char *version, size_t version_size);

#endif
