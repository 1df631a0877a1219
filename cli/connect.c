/* SPDX-License-Identifier: BSD-3-Clause */
#include "connect.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "codec/presence.h"

#define RECEIVE_MAX 1000 /* as many as Holdfast hands to a device at most: nothing then waits in the broker */
#define PROBE_MS 1000
#define AUTHORITIES "/etc/ssl/certs"

static int configure(struct mosquitto *mosq, const struct hf_client_options *options)
{
	int rc = MOSQ_ERR_SUCCESS;

	/* "Threaded" is what makes the library queue packets for mosquitto_loop_write instead of writing a PUBACK
	 * before it even shows us the message. */
	mosquitto_threaded_set(mosq, true);
	mosquitto_int_option(mosq, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
	mosquitto_int_option(mosq, MOSQ_OPT_TCP_NODELAY, 1);
	mosquitto_int_option(mosq, MOSQ_OPT_RECEIVE_MAXIMUM, RECEIVE_MAX);
	if (options->user) {
		rc = mosquitto_username_pw_set(mosq, options->user, options->password);
	}
	if (rc == MOSQ_ERR_SUCCESS && options->tls) {
		if (!options->cafile) {
			mosquitto_int_option(mosq, MOSQ_OPT_TLS_USE_OS_CERTS, 1);
		}
		rc = mosquitto_tls_set(
			mosq, options->cafile, options->cafile ? NULL : AUTHORITIES, options->cert, options->key, NULL);
	}
	return rc;
}

static int set_will(struct mosquitto *mosq, const char *topic)
{
	mosquitto_property *properties = NULL;
	struct hf_buffer status = {0};
	int rc = hf_status_encode(hf_slice_of("connection lost"), &status) ? MOSQ_ERR_SUCCESS : MOSQ_ERR_NOMEM;

	if (rc == MOSQ_ERR_SUCCESS) {
		rc = mosquitto_property_add_int32(&properties, MQTT_PROP_WILL_DELAY_INTERVAL, HF_WILL_DELAY_S);
	}
	if (rc == MOSQ_ERR_SUCCESS) {
		rc = mosquitto_will_set_v5(mosq, topic, (int)status.len, status.data, 1, false, properties);
	}
	if (rc != MOSQ_ERR_SUCCESS) {
		mosquitto_property_free_all(&properties);
	}
	hf_buffer_free(&status);
	return rc;
}

int hf_connect(
	struct mosquitto *mosq, const struct hf_client_options *options, uint32_t session_expiry_s, const char *will_topic)
{
	mosquitto_property *properties = NULL;
	int rc = configure(mosq, options);

	if (rc == MOSQ_ERR_SUCCESS && will_topic) {
		rc = set_will(mosq, will_topic);
	}

	if (rc == MOSQ_ERR_SUCCESS && session_expiry_s > 0) {
		rc = mosquitto_property_add_int32(&properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL, session_expiry_s);
	}
	if (rc == MOSQ_ERR_SUCCESS) {
		rc = mosquitto_connect_bind_v5(mosq, options->host, options->port, HF_KEEPALIVE_S, NULL, properties);
	}
	mosquitto_property_free_all(&properties);
	return rc;
}

/* The error of one connect(), waited for no longer than PROBE_MS. */
static int probe(const struct addrinfo *address)
{
	socklen_t len = sizeof(int);
	int error = 0;
	int fd = socket(address->ai_family, address->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, address->ai_protocol);

	if (fd < 0) {
		return errno;
	}
	if (connect(fd, address->ai_addr, address->ai_addrlen)) {
		struct pollfd wait = {.fd = fd, .events = POLLOUT};
		error = errno;
		if (error == EINPROGRESS) {
			error = poll(&wait, 1, PROBE_MS) == 1 ? 0 : ETIMEDOUT;
			if (error == 0) {
				getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
			}
		}
	}
	close(fd);
	return error;
}

void hf_connect_why(int rc, const struct hf_client_options *options, char *why, size_t size)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *addresses;
	char port[8];

	if (rc != MOSQ_ERR_ERRNO && rc != MOSQ_ERR_EAI) {
		snprintf(why, size, "%s", mosquitto_strerror(rc));
		return;
	}
	/* libmosquitto 2.1.2 loses errno here: mosquitto__reconnect calls getpeername on a socket that is not there
	 * before it looks at the result. So ask the system ourselves. */
	snprintf(port, sizeof(port), "%d", options->port);
	int error = getaddrinfo(options->host, port, &hints, &addresses);
	if (error) {
		snprintf(why, size, "%s", error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error));
		return;
	}
	error = probe(addresses);
	snprintf(why, size, "%s", error ? strerror(error) : "it failed, but now it seems to work");
	freeaddrinfo(addresses);
}
