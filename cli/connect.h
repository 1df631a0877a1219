/* SPDX-License-Identifier: BSD-3-Clause */
/* One connection attempt with libmosquitto: set up by the options, and in words why it failed. */
#ifndef HF_CLI_CONNECT_H
#define HF_CLI_CONNECT_H

#include <mosquitto.h>
#include <stddef.h>
#include <stdint.h>

#include "options.h"

#define HF_KEEPALIVE_S 10
#define HF_WILL_DELAY_S 60

/*
 * Apply the options to a new instance and connect: TCP, and with TLS the beginning of its handshake; CONNACK comes
 * later. Blocks until TCP is connected or not; a signal breaks it off. session_expiry_s above 0 asks for a durable
 * session. With a will_topic, which is the client's own presence, the connection has a will there that waits for
 * HF_WILL_DELAY_S: so long it may be away. Returns an enum mosq_err_t; the instance stays the caller's.
 */
int hf_connect(
	struct mosquitto *mosq, const struct hf_client_options *options, uint32_t session_expiry_s, const char *will_topic);

/* Why hf_connect returned `rc`, as a phrase. May try the network once more, for at most a second. */
void hf_connect_why(int rc, const struct hf_client_options *options, char *why, size_t size);

#endif
