/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How each server is told to run: in its own directory, on loopback, storing as Holdfast's default does (in the
 * kernel's page cache before it answers, no fsync).
 */
#ifndef HF_BENCH_CONFIGURATION_H
#define HF_BENCH_CONFIGURATION_H

#include "broker.h"

/* Write the configuration file at `path`. False: errno says why. */
bool hf_configuration_write(
	const struct hf_broker_setup *setup, const char *path, const char *directory, uint16_t port);

struct hf_server {
	const char *option;  /* in front of the path of the configuration; NULL: none */
	const char *version; /* what the log says in front of it */
	int stop_signal;     /* on which it ends with status 0 */
};
extern const struct hf_server hf_servers[HF_PROGRAMS];

#endif
