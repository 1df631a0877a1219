/* SPDX-License-Identifier: BSD-3-Clause */
#include "connection.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "command.h"
#include "connect.h"
#include "stop.h"

#define ANSWER_MS 10000 /* until CONNACK */
#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 5000
#define TURN_MAX_MS 1000 /* libmosquitto looks at its keepalive only when called */
#define GOODBYE_MS 1000
#define GOODBYE_RETRY_MS 20
#define EXTRA_MAX 2

enum state {
	STATE_DOWN,
	STATE_WAITING, /* for CONNACK */
	STATE_UP,
};

struct hf_client {
	struct hf_client_setup setup;
	struct mosquitto *mosq; /* of this connection; NULL while there is none */
	enum state state;
	bool ever_up;
	bool lost;   /* this connection is over; `why` says why */
	bool fatal;  /* and another one would be no better */
	bool failed; /* the user was told that this is the end */
	bool told;   /* the user was told that the connection is lost */
	char why[256];
	char logged[256]; /* the last thing that libmosquitto complained about: all that it says about TLS */
	char id[64];
	unsigned int receive_max;
	int64_t answer_due_ms;
	int64_t retry_due_ms;
	unsigned int retry_ms;
};

static void lose(struct hf_client *client, const char *why)
{
	if (!client->lost) {
		client->lost = true;
		snprintf(client->why, sizeof(client->why), "%s", why);
	}
}

static void make_id(struct hf_client *client)
{
	uint64_t number;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number)) {
		number = (uint64_t)hf_monotonic_ms();
	}
	snprintf(client->id, sizeof(client->id), "holdfast-%s-%016llx", client->setup.purpose, (unsigned long long)number);
}

/* ---- libmosquitto's callbacks */

static void on_connect(
	struct mosquitto *mosq, void *context, int reason, int flags, const mosquitto_property *properties)
{
	struct hf_client *client = context;
	uint16_t receive_max = UINT16_MAX;

	(void)mosq;
	(void)flags;
	if (reason == MQTT_RC_SUCCESS) {
		mosquitto_property_read_int16(properties, MQTT_PROP_RECEIVE_MAXIMUM, &receive_max, false);
		client->receive_max = receive_max;
		client->state = STATE_UP;
		client->ever_up = true;
		if (client->told && !client->setup.options->quiet) {
			hf_complain("connected again");
		}
		client->told = false;
		if (client->setup.handlers->up) {
			client->setup.handlers->up(client->setup.context);
		}
		return;
	}
	client->fatal =
		!client->ever_up || (reason != MQTT_RC_SERVER_UNAVAILABLE && reason != MQTT_RC_SERVER_BUSY &&
								reason != MQTT_RC_QUOTA_EXCEEDED && reason != MQTT_RC_CONNECTION_RATE_EXCEEDED);
	lose(client, mosquitto_reason_string(reason));
	if (client->fatal) {
		hf_complain("the broker at %s:%d refuses the connection: %s%s", client->setup.options->host,
			client->setup.options->port, client->why,
			reason == MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION ? ". It must speak MQTT 5."
			: reason == MQTT_RC_NOT_AUTHORIZED || reason == MQTT_RC_BAD_USERNAME_OR_PASSWORD
				? ". Check --user and its password (HOLDFAST_PASSWORD or --password-file)."
				: ".");
		client->failed = true;
	}
}

static void on_disconnect(struct mosquitto *mosq, void *context, int reason, const mosquitto_property *properties)
{
	struct hf_client *client = context;
	int error = errno;

	(void)mosq;
	(void)properties;
	if (reason >= 0x80) { /* the broker's own DISCONNECT, not an error of the library */
		client->fatal = client->fatal || reason == MQTT_RC_SESSION_TAKEN_OVER || reason == MQTT_RC_PROTOCOL_ERROR ||
						reason == MQTT_RC_MALFORMED_PACKET || reason == MQTT_RC_RECEIVE_MAXIMUM_EXCEEDED ||
						reason == MQTT_RC_PACKET_TOO_LARGE;
		lose(client, reason == MQTT_RC_SESSION_TAKEN_OVER ? "another client has connected with the same client id"
														  : mosquitto_reason_string(reason));
	} else if (reason == MOSQ_ERR_ERRNO && error != EPROTO) {
		lose(client, strerror(error));
	} else if (reason == MOSQ_ERR_KEEPALIVE) {
		lose(client, "the broker does not answer");
	} else if (client->logged[0]) {
		lose(client, client->logged);
	} else {
		lose(client, reason == MOSQ_ERR_SUCCESS || reason == MOSQ_ERR_CONN_LOST ? "the broker closed it"
																				: mosquitto_strerror(reason));
	}
}

static void on_publish(struct mosquitto *mosq, void *context, int mid, int reason, const mosquitto_property *properties)
{
	struct hf_client *client = context;

	(void)mosq;
	(void)properties;
	if (client->setup.handlers->acknowledged) {
		client->setup.handlers->acknowledged(client->setup.context, mid, reason);
	}
}

static void on_subscribe(
	struct mosquitto *mosq, void *context, int mid, int count, const int *reasons, const mosquitto_property *properties)
{
	struct hf_client *client = context;

	(void)mosq;
	(void)mid;
	(void)properties;
	if (client->setup.handlers->subscribed && count > 0) {
		client->setup.handlers->subscribed(client->setup.context, reasons, (size_t)count);
	}
}

static void on_message(struct mosquitto *mosq, void *context, const struct mosquitto_message *message,
	const mosquitto_property *properties)
{
	struct hf_client *client = context;

	(void)mosq;
	if (client->setup.handlers->message) {
		client->setup.handlers->message(client->setup.context, message, properties);
	}
}

static void on_log(struct mosquitto *mosq, void *context, int level, const char *text)
{
	struct hf_client *client = context;

	(void)mosq;
	if (level == MOSQ_LOG_ERR || level == MOSQ_LOG_WARNING) {
		snprintf(client->logged, sizeof(client->logged), "%s", text);
	}
}

/* ---- connecting */

static int begin(struct hf_client *client)
{
	const struct hf_client_options *options = client->setup.options;

	if (client->setup.new_id) {
		make_id(client);
	}
	client->mosq = mosquitto_new(
		options->client_id ? options->client_id : client->id, client->setup.session_expiry_s == 0, client);
	if (!client->mosq) {
		return errno == ENOMEM ? MOSQ_ERR_NOMEM : MOSQ_ERR_INVAL;
	}
	mosquitto_log_callback_set(client->mosq, on_log);
	mosquitto_connect_v5_callback_set(client->mosq, on_connect);
	mosquitto_disconnect_v5_callback_set(client->mosq, on_disconnect);
	mosquitto_publish_v5_callback_set(client->mosq, on_publish);
	mosquitto_subscribe_v5_callback_set(client->mosq, on_subscribe);
	mosquitto_message_v5_callback_set(client->mosq, on_message);
	return hf_connect(client->mosq, options, client->setup.session_expiry_s, client->setup.will_topic);
}

static void connect_now(struct hf_client *client)
{
	char why[256];

	client->lost = false;
	client->fatal = false;
	client->logged[0] = '\0';
	client->state = STATE_WAITING;
	client->answer_due_ms = hf_monotonic_ms() + ANSWER_MS;

	int rc = begin(client);
	if (rc == MOSQ_ERR_SUCCESS) {
		return;
	}
	if (client->logged[0]) {
		lose(client, client->logged);
	} else if (!client->told && !hf_stop_requested()) {
		hf_connect_why(rc, client->setup.options, why, sizeof(why));
		lose(client, why);
	} else {
		lose(client, mosquitto_strerror(rc));
	}
	client->fatal = rc == MOSQ_ERR_INVAL || rc == MOSQ_ERR_NOMEM || rc == MOSQ_ERR_MALFORMED_UTF8;
}

/* The connection is lost: clear it away, and see what is next. */
static void drop(struct hf_client *client)
{
	const struct hf_client_options *options = client->setup.options;
	bool was_up = client->state == STATE_UP;

	mosquitto_destroy(client->mosq);
	client->mosq = NULL;
	client->state = STATE_DOWN;
	if (was_up && client->setup.handlers->down) {
		client->setup.handlers->down(client->setup.context);
	}
	if (client->failed || hf_stop_requested()) {
		/* Told already; or it was the signal that broke it off. */
	} else if (client->fatal) {
		hf_complain("connection to %s:%d ended: %s", options->host, options->port, client->why);
		client->failed = true;
	} else if (!client->ever_up) {
		hf_complain("cannot connect to %s:%d: %s. Is the broker running there? --host and --port say where.",
			options->host, options->port, client->why);
		client->failed = true;
	} else if (!client->told) {
		if (!options->quiet) {
			hf_complain("connection to %s:%d lost (%s); trying again", options->host, options->port, client->why);
		}
		client->told = true;
	}
	/* Not all at the same moment, where many lost the same broker. */
	unsigned int random = 0;
	if (getrandom(&random, sizeof(random), 0) != sizeof(random)) {
		random = 0;
	}
	client->retry_due_ms = hf_monotonic_ms() + client->retry_ms * 3 / 4 + random % (client->retry_ms / 2);
	client->retry_ms = client->retry_ms * 2 < RETRY_MAX_MS ? client->retry_ms * 2 : RETRY_MAX_MS;
}

/* ---- the loop */

static void write_out(struct hf_client *client)
{
	if (!client->mosq || client->lost || !mosquitto_want_write(client->mosq)) {
		return;
	}
	if (client->setup.handlers->flush && !client->setup.handlers->flush(client->setup.context)) {
		return;
	}
	int rc = mosquitto_loop_write(client->mosq, 1);
	if (rc) {
		lose(client, mosquitto_strerror(rc));
	}
}

static int wait_ms(const struct hf_client *client, int timeout_ms)
{
	int64_t wait = timeout_ms < 0 || timeout_ms > TURN_MAX_MS ? TURN_MAX_MS : timeout_ms;

	if (!client->mosq) {
		int64_t retry = client->retry_due_ms - hf_monotonic_ms();
		wait = retry < wait ? retry : wait;
	}
	return wait > 0 ? (int)wait : 0;
}

static void serve(struct hf_client *client, short events)
{
	int rc = MOSQ_ERR_SUCCESS;

	if (events & (POLLIN | POLLERR | POLLHUP)) {
		rc = mosquitto_loop_read(client->mosq, 1);
	}
	if (rc) {
		lose(client, mosquitto_strerror(rc));
	}
	write_out(client);
	if (!client->lost && mosquitto_loop_misc(client->mosq)) {
		lose(client, "the broker does not answer");
	}
	if (!client->lost && client->state == STATE_WAITING && hf_monotonic_ms() >= client->answer_due_ms) {
		lose(client, "no answer to the MQTT connection request");
	}
}

bool hf_client_turn(struct hf_client *client, struct pollfd *extra, nfds_t count, int timeout_ms)
{
	struct pollfd fds[2 + EXTRA_MAX] = {{.fd = hf_stop_fd(), .events = POLLIN}, {.fd = -1}};

	if (!client->mosq && hf_monotonic_ms() >= client->retry_due_ms) {
		connect_now(client);
	}
	write_out(client);
	if (client->mosq && !client->lost) {
		fds[1].fd = mosquitto_socket(client->mosq);
		/* While TLS shakes hands there always is something to write, and it waits for reading. */
		bool shaking = client->setup.options->tls && client->state == STATE_WAITING;
		fds[1].events = (short)(POLLIN | (mosquitto_want_write(client->mosq) && !shaking ? POLLOUT : 0));
	}
	for (nfds_t i = 0; i < count; i++) {
		fds[2 + i] = extra[i];
	}
	if (poll(fds, 2 + count, client->lost ? 0 : wait_ms(client, timeout_ms)) < 0) {
		for (nfds_t i = 0; i < 2 + count; i++) {
			fds[i].revents = 0; /* EINTR: the next turn sees why */
		}
	}
	for (nfds_t i = 0; i < count; i++) {
		extra[i].revents = fds[2 + i].revents;
	}
	if (fds[0].revents) {
		hf_stop_seen();
	}
	if (client->mosq && !client->lost) {
		serve(client, fds[1].revents);
	}
	if (client->lost) {
		client->lost = false;
		drop(client);
	}
	return !client->failed;
}

/* ---- for the commands */

bool hf_client_is_up(const struct hf_client *client)
{
	return client->state == STATE_UP && !client->lost;
}

unsigned int hf_client_receive_max(const struct hf_client *client)
{
	return client->receive_max;
}

enum hf_sent hf_client_publish(struct hf_client *client, const char *topic, const void *payload, size_t len,
	const mosquitto_property *properties, int *mid)
{
	if (!hf_client_is_up(client)) {
		return HF_SENT_NOT;
	}
	int rc = mosquitto_publish_v5(client->mosq, mid, topic, (int)len, payload, 1, false, properties);
	switch (rc) {
	case MOSQ_ERR_SUCCESS:
		return HF_SENT;
	case MOSQ_ERR_OVERSIZE_PACKET:
	case MOSQ_ERR_PAYLOAD_SIZE:
	case MOSQ_ERR_QOS_NOT_SUPPORTED:
	case MOSQ_ERR_INVAL:
		hf_complain("the broker takes no publish of %zu bytes on %s: %s", len, topic, mosquitto_strerror(rc));
		return HF_SENT_NEVER;
	default:
		lose(client, mosquitto_strerror(rc));
		return HF_SENT_NOT;
	}
}

bool hf_client_subscribe(struct hf_client *client, char *const *filters, int count)
{
	int rc = mosquitto_subscribe_multiple(client->mosq, NULL, count, filters, 1, 0, NULL);

	if (rc) {
		lose(client, mosquitto_strerror(rc));
	}
	return rc == MOSQ_ERR_SUCCESS;
}

void hf_client_progress(struct hf_client *client)
{
	client->retry_ms = RETRY_MIN_MS;
}

struct hf_client *hf_client_new(const struct hf_client_setup *setup)
{
	struct hf_client *client = calloc(1, sizeof(*client));

	if (!client || mosquitto_lib_init()) {
		hf_complain("out of memory");
		free(client);
		return NULL;
	}
	client->setup = *setup;
	client->retry_ms = RETRY_MIN_MS;
	make_id(client);
	return client;
}

void hf_client_free(struct hf_client *client)
{
	if (!client) {
		return;
	}
	if (hf_client_is_up(client) && mosquitto_disconnect_v5(client->mosq, 0, NULL) == MOSQ_ERR_SUCCESS) {
		/* The broker closes when it has read all; the library keeps the DISCONNECT queued even when written. */
		int64_t end = hf_monotonic_ms() + GOODBYE_MS;
		while (!client->lost && hf_monotonic_ms() < end) {
			write_out(client);
			struct pollfd fd = {.fd = mosquitto_socket(client->mosq), .events = POLLIN};
			if (poll(&fd, 1, GOODBYE_RETRY_MS) > 0 && mosquitto_loop_read(client->mosq, 1)) {
				break;
			}
		}
	}
	mosquitto_destroy(client->mosq);
	mosquitto_lib_cleanup();
	free(client);
}

bool hf_unique_name(char name[HF_UNIQUE_NAME_SIZE])
{
	uint64_t number;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number)) {
		hf_complain("the system gives no random numbers");
		return false;
	}
	snprintf(name, HF_UNIQUE_NAME_SIZE, "holdfast-%016" PRIx64, number);
	return true;
}
