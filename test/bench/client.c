/* SPDX-License-Identifier: BSD-3-Clause */
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"

#define EVENTS_MAX 32
#define READ_SIZE ((size_t)64 * 1024)
#define BUFFER_MAX ((size_t)16 * 1024 * 1024)
#define SPIN_NS (150 * HF_NS_PER_US)

struct hf_loop {
	int epoll;
	const volatile sig_atomic_t *stop;
	char failure[256];
};

struct bytes {
	uint8_t *data;
	size_t begin, end, room;
};

struct hf_client {
	struct hf_loop *loop;
	int socket;
	bool waits_to_write;
	struct bytes in, out;
	const struct hf_client_events *events;
	void *context;
};

/* ---- loop ---------------------------------------------------------------------------------------------- */

struct hf_loop *hf_loop_new(const volatile sig_atomic_t *stop)
{
	struct hf_loop *loop = calloc(1, sizeof(*loop));

	if (!loop) {
		return NULL;
	}
	loop->stop = stop;
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll < 0) {
		free(loop);
		return NULL;
	}
	return loop;
}

void hf_loop_free(struct hf_loop *loop)
{
	if (!loop) {
		return;
	}
	close(loop->epoll);
	free(loop);
}

void hf_loop_fail(struct hf_loop *loop, const char *format, ...)
{
	va_list arguments;

	if (loop->failure[0]) {
		return;
	}
	va_start(arguments, format);
	vsnprintf(loop->failure, sizeof(loop->failure), format, arguments);
	va_end(arguments);
}

const char *hf_loop_failure(const struct hf_loop *loop)
{
	return loop->failure[0] ? loop->failure : NULL;
}

/* ---- bytes --------------------------------------------------------------------------------------------- */

static uint8_t *bytes_room(struct bytes *bytes, size_t size)
{
	if (bytes->room - bytes->end >= size) {
		return bytes->data + bytes->end;
	}
	if (bytes->begin > 0) {
		memmove(bytes->data, bytes->data + bytes->begin, bytes->end - bytes->begin);
		bytes->end -= bytes->begin;
		bytes->begin = 0;
	}
	if (bytes->room - bytes->end < size) {
		size_t room = 2 * (bytes->end + size);
		uint8_t *data = room <= BUFFER_MAX ? realloc(bytes->data, room) : NULL;

		if (!data) {
			return NULL;
		}
		bytes->data = data;
		bytes->room = room;
	}
	return bytes->data + bytes->end;
}

/* ---- client -------------------------------------------------------------------------------------------- */

static int connect_loopback(uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		return -1;
	}
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

struct hf_client *hf_client_open(
	struct hf_loop *loop, uint16_t port, const struct hf_client_events *events, void *context)
{
	struct hf_client *client = calloc(1, sizeof(*client));
	struct epoll_event interest = {.events = EPOLLIN, .data.ptr = client};

	if (!client) {
		hf_loop_fail(loop, "out of memory");
		return NULL;
	}
	client->loop = loop;
	client->events = events;
	client->context = context;
	client->socket = connect_loopback(port);
	if (client->socket < 0 || epoll_ctl(loop->epoll, EPOLL_CTL_ADD, client->socket, &interest) != 0) {
		hf_loop_fail(loop, "cannot connect to port %u: %s", port, strerror(errno));
		hf_client_close(client);
		return NULL;
	}
	return client;
}

void hf_client_close(struct hf_client *client)
{
	if (!client) {
		return;
	}
	if (client->socket >= 0) {
		close(client->socket);
	}
	free(client->in.data);
	free(client->out.data);
	free(client);
}

uint8_t *hf_client_room(struct hf_client *client, size_t size)
{
	uint8_t *room = bytes_room(&client->out, size);

	if (!room) {
		hf_loop_fail(client->loop, "the broker takes too little: more than %zu bytes wait to be sent", BUFFER_MAX / 2);
	}
	return room;
}

void hf_client_wrote(struct hf_client *client, size_t size)
{
	client->out.end += size;
}

static void wait_to_write(struct hf_client *client, bool wait)
{
	struct epoll_event interest = {.events = EPOLLIN | (wait ? EPOLLOUT : 0u), .data.ptr = client};

	if (client->waits_to_write == wait) {
		return;
	}
	client->waits_to_write = wait;
	epoll_ctl(client->loop->epoll, EPOLL_CTL_MOD, client->socket, &interest);
}

void hf_client_flush(struct hf_client *client)
{
	struct bytes *out = &client->out;

	while (out->begin < out->end) {
		ssize_t sent = send(client->socket, out->data + out->begin, out->end - out->begin, MSG_NOSIGNAL);

		if (sent < 0) {
			if (errno != EAGAIN && errno != EINTR) {
				hf_loop_fail(client->loop, "connection lost while sending: %s", strerror(errno));
			}
			break;
		}
		out->begin += (size_t)sent;
	}
	if (out->begin == out->end) {
		out->begin = out->end = 0;
	}
	wait_to_write(client, out->begin < out->end);
}

static void client_read(struct hf_client *client)
{
	struct bytes *in = &client->in;
	uint8_t *room = bytes_room(in, READ_SIZE);
	struct hf_packet packet;
	ssize_t got;
	int whole = 0;

	if (!room) {
		hf_loop_fail(client->loop, "the broker sent a packet of more than %zu bytes", BUFFER_MAX / 2);
		return;
	}
	got = recv(client->socket, room, READ_SIZE, 0);
	if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
		return;
	}
	if (got <= 0) {
		hf_loop_fail(client->loop, "the broker closed a connection");
		return;
	}
	in->end += (size_t)got;
	while (in->begin < in->end && (whole = hf_packet_split(in->data + in->begin, in->end - in->begin, &packet)) == 1) {
		in->begin += packet.size;
		if (packet.type == HF_DISCONNECT) {
			hf_loop_fail(
				client->loop, "the broker sent DISCONNECT, reason 0x%02x", packet.body_size > 0 ? packet.body[0] : 0u);
		}
		client->events->packet(client->context, &packet);
	}
	if (whole < 0) {
		hf_loop_fail(client->loop, "the broker sent something that is not MQTT");
	}
	if (in->begin == in->end) {
		in->begin = in->end = 0;
	}
	if (client->events->settled) {
		client->events->settled(client->context);
	}
}

bool hf_loop_turn(struct hf_loop *loop, int64_t wake_ns)
{
	struct epoll_event events[EVENTS_MAX];
	int64_t wait_ns = wake_ns - hf_now_ns() - SPIN_NS;
	struct timespec wait = {0};
	int count;

	if (wait_ns > 0) {
		wait.tv_sec = (time_t)(wait_ns / HF_NS_PER_S);
		wait.tv_nsec = (long)(wait_ns % HF_NS_PER_S);
	}
	count = epoll_pwait2(loop->epoll, events, EVENTS_MAX, &wait, NULL);
	if (count < 0 && errno != EINTR) {
		hf_loop_fail(loop, "epoll: %s", strerror(errno));
	}
	for (int i = 0; i < count; i++) {
		struct hf_client *client = events[i].data.ptr;

		if (events[i].events & EPOLLOUT) {
			hf_client_flush(client);
		}
		if (events[i].events & ~(uint32_t)EPOLLOUT) {
			client_read(client);
		}
	}
	if (*loop->stop) {
		hf_loop_fail(loop, "interrupted");
	}
	return !hf_loop_failure(loop);
}
