/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A text as the token batches of one response.
 *
 * Holdfast stores each (response id, seq) of an identity once, acknowledges a repeat and refuses a gap. So a batch
 * is kept here until its PUBACK, and after a reconnect all that are kept go out again, in order, from a clean
 * start: what had been stored is acknowledged once more, what had not is stored now. The broker needs no session
 * for that, and libmosquitto's own repeating (see connection.h) stays out of it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "codec/json.h"
#include "codec/topic.h"
#include "command.h"
#include "connection.h"
#include "input.h"
#include "say.h"
#include "stop.h"

#define REASON_WAIT_MS 1000 /* for S/error after a refusal */
#define CANCEL_WAIT_MS 5000 /* for the last PUBACKs after Ctrl-C */
#define BURST_MS 100        /* how much of a pause a rate may catch up with */
#define NS_PER_MS INT64_C(1000000)

struct batch {
	struct hf_buffer payload;
	uint64_t seq;
	int mid;
	bool acknowledged;
};

struct stream {
	const struct hf_say *say;
	char response[HF_RESPONSE_ID_MAX + 1];
	struct hf_client *client;
	struct hf_input *input;
	char *topic;
	char *error_topic;
	char *presence_topic;

	/* What is not acknowledged, oldest first; the first `sent` of them are on their way. One place more than the
	 * window, for the batch that ends the response on Ctrl-C. */
	struct batch *ring;
	size_t first, count, sent;
	uint64_t next_seq;
	bool ended; /* the batch with the end is in the ring */
	enum hf_end end;
	int64_t next_ns; /* when the rate allows the next batch */
	int64_t cancel_due_ms;

	bool failed; /* and the user knows why */
	bool refused;
	int refused_reason;
	uint64_t refused_seq;
	int64_t refused_due_ms;
	cJSON *refusal; /* what S/error said first; NULL: nothing yet */
	unsigned int connects;
	uint64_t bytes;
};

static struct batch *batch_at(struct stream *stream, size_t index)
{
	return &stream->ring[(stream->first + index) % (stream->say->window + 1)];
}

/* ---- what the connection calls */

static void on_up(void *context)
{
	struct stream *stream = context;

	stream->connects++;
	stream->sent = 0;
	hf_client_subscribe(stream->client, (char *[]){stream->error_topic}, 1);
}

static void on_down(void *context)
{
	struct stream *stream = context;

	stream->sent = 0;
}

static void on_acknowledged(void *context, int mid, int reason)
{
	struct stream *stream = context;

	for (size_t i = 0; i < stream->sent; i++) {
		struct batch *batch = batch_at(stream, i);
		if (batch->mid != mid || batch->acknowledged) {
			continue;
		}
		if (reason < 0x80) {
			batch->acknowledged = true;
			hf_client_progress(stream->client);
		} else if (!stream->refused) {
			stream->refused = true;
			stream->refused_reason = reason;
			stream->refused_seq = batch->seq;
			stream->refused_due_ms = hf_monotonic_ms() + REASON_WAIT_MS;
		}
		break;
	}
	/* Not after a refusal: what follows it is refused as a gap, and the first reason is what matters. */
	while (!stream->refused && stream->sent > 0 && batch_at(stream, 0)->acknowledged) {
		hf_buffer_clear(&batch_at(stream, 0)->payload);
		stream->first = (stream->first + 1) % (stream->say->window + 1);
		stream->count--;
		stream->sent--;
	}
}

static void on_message(void *context, const struct mosquitto_message *message, const mosquitto_property *properties)
{
	struct stream *stream = context;

	(void)properties;
	if (!stream->refusal && strcmp(message->topic, stream->error_topic) == 0) {
		cJSON *document = hf_json_from_cbor(hf_slice_from(message->payload, (size_t)message->payloadlen));
		/* A subscription's refusal also comes this way. */
		if (strcmp(hf_json_text(document, "topic"), stream->topic) == 0) {
			stream->refusal = document;
		} else {
			cJSON_Delete(document);
		}
	}
}

static const struct hf_client_handlers handlers = {
	.up = on_up,
	.down = on_down,
	.acknowledged = on_acknowledged,
	.message = on_message,
};

/* ---- batches */

/* Put a batch at the end of the ring. False, with a message to the user, when out of memory. */
static bool push(struct stream *stream, struct hf_slice text, enum hf_end end)
{
	struct batch *batch = batch_at(stream, stream->count);
	const struct hf_token_batch tokens = {
		.id = hf_slice_of(stream->response),
		.seq = stream->next_seq,
		.text = text,
		.kind = HF_SLICE_NONE,
		.data = HF_SLICE_NONE,
		.end = end,
	};

	hf_buffer_clear(&batch->payload);
	if (!hf_token_encode(&tokens, &batch->payload)) {
		hf_complain("out of memory");
		stream->failed = true;
		return false;
	}
	batch->seq = stream->next_seq++;
	batch->acknowledged = false;
	stream->count++;
	stream->bytes += text.len;
	if (end != HF_END_NONE) {
		stream->ended = true;
		stream->end = end;
	}
	return true;
}

/* The text breaks off; the user knows why. Readers who have seen some of it must know too. */
static void break_off(struct stream *stream)
{
	if (stream->next_seq == stream->say->first_seq) {
		stream->failed = true;
	} else {
		push(stream, HF_SLICE_NONE, HF_END_ERROR);
	}
}

static void send_due(struct stream *stream)
{
	/* More than the broker takes at once would only wait in libmosquitto. */
	size_t max = hf_client_receive_max(stream->client);

	while (!stream->failed && hf_client_is_up(stream->client) && stream->sent < stream->count && stream->sent < max) {
		struct batch *batch = batch_at(stream, stream->sent);
		enum hf_sent sent = hf_client_publish(
			stream->client, stream->topic, batch->payload.data, batch->payload.len, NULL, &batch->mid);
		if (sent == HF_SENT_NOT) {
			return;
		}
		if (sent == HF_SENT_NEVER) {
			hf_complain("a smaller --batch makes smaller publishes");
			stream->failed = true;
			return;
		}
		batch->acknowledged = false;
		stream->sent++;
	}
}

static int64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 * NS_PER_MS + now.tv_nsec;
}

/* May another batch be cut: is there a place in the window, and does the rate allow it? */
static bool has_place(const struct stream *stream)
{
	return !stream->failed && !stream->ended && stream->count < stream->say->window;
}

static void cut_due(struct stream *stream)
{
	struct hf_slice text;

	while (has_place(stream)) {
		int64_t now_ns = monotonic_ns();
		if (stream->say->interval_ns > 0 && now_ns < stream->next_ns) {
			return;
		}
		enum hf_cut cut = hf_input_cut(stream->input, now_ns / NS_PER_MS, &text);
		if (cut == HF_CUT_NONE) {
			return;
		}
		if (cut == HF_CUT_BAD) {
			break_off(stream);
			return;
		}
		push(stream, text, cut == HF_CUT_LAST ? HF_END_COMPLETE : HF_END_NONE);
		int64_t earliest = now_ns - BURST_MS * NS_PER_MS;
		stream->next_ns = (stream->next_ns > earliest ? stream->next_ns : earliest) + stream->say->interval_ns;
	}
}

static int wait_ms(const struct stream *stream)
{
	int64_t now_ns = monotonic_ns();
	int wait = -1;

	if (stream->refused || stream->cancel_due_ms > 0) {
		return 100;
	}
	if (has_place(stream)) {
		wait = hf_input_wait_ms(stream->input, now_ns / NS_PER_MS);
		if (wait >= 0 && stream->say->interval_ns > 0 && stream->next_ns > now_ns) {
			int rate_ms = (int)((stream->next_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS);
			wait = rate_ms > wait ? rate_ms : wait;
		}
	}
	return wait;
}

/* ---- the run */

static void tell_refusal(const struct stream *stream)
{
	const char *reason = hf_json_text(stream->refusal, "reason");
	uint64_t expected;

	if (!*reason) {
		hf_complain("the broker refused batch %" PRIu64 " of response %s on %s: %s. It gave no reason; its log has it.",
			stream->refused_seq, stream->response, stream->topic, mosquitto_reason_string(stream->refused_reason));
		return;
	}
	hf_complain("the broker refused batch %" PRIu64 " of response %s on %s: %s (%s)", stream->refused_seq,
		stream->response, stream->topic, hf_json_text(stream->refusal, "message"), reason);
	if (hf_json_u64(stream->refusal, "expected", &expected)) {
		hf_complain("it expects batch %" PRIu64 "; --seq %" PRIu64 " goes on there", expected, expected);
	}
}

/* Ctrl-C: end the response where it is, so that no reader waits for more. False: nothing to wait for. */
static bool cancel(struct stream *stream)
{
	if (stream->cancel_due_ms > 0) {
		if (hf_monotonic_ms() < stream->cancel_due_ms) {
			return true;
		}
		hf_complain(
			"the end of response %s did not reach the broker in time; the response is still open", stream->response);
		return false;
	}
	stream->cancel_due_ms = hf_monotonic_ms() + CANCEL_WAIT_MS;
	if (!stream->ended) {
		if (stream->next_seq == stream->say->first_seq) {
			return false;
		}
		return push(stream, HF_SLICE_NONE, HF_END_CANCELLED);
	}
	return true;
}

static bool step(struct stream *stream)
{
	cut_due(stream);
	if (!stream->refused) {
		send_due(stream);
	}
	if (stream->failed || (stream->ended && stream->count == 0)) {
		return false;
	}
	/* After a refusal only the reason is waited for. */
	if (stream->refused &&
		(stream->refusal || !hf_client_is_up(stream->client) || hf_monotonic_ms() >= stream->refused_due_ms)) {
		return false;
	}
	struct pollfd fd = {.fd = has_place(stream) ? hf_input_fd(stream->input) : -1, .events = POLLIN};
	if (!hf_client_turn(stream->client, &fd, 1, wait_ms(stream))) {
		stream->failed = true;
		return false;
	}
	if (hf_stop_requested() && !cancel(stream)) {
		return false;
	}
	if (fd.revents && !stream->ended && !hf_input_read(stream->input, hf_monotonic_ms())) {
		break_off(stream);
	}
	return true;
}

static enum hf_exit run(struct stream *stream)
{
	int64_t began_ms = hf_monotonic_ms();

	stream->next_ns = monotonic_ns();
	if (stream->say->client_options.verbose) {
		hf_complain("response %s", stream->response);
	}
	while (step(stream)) {
	}
	if (stream->refused) {
		tell_refusal(stream);
		return HF_EXIT_FAILED;
	}
	if (stream->failed) {
		return HF_EXIT_FAILED;
	}
	if (stream->say->client_options.verbose && stream->ended && stream->count == 0) {
		hf_complain("%" PRIu64 " batches, %" PRIu64 " bytes of text, stored in %.3f s over %u connection%s; end: %s",
			stream->next_seq - stream->say->first_seq, stream->bytes, (double)(hf_monotonic_ms() - began_ms) / 1000.0,
			stream->connects, stream->connects == 1 ? "" : "s", hf_end_name(stream->end));
	}
	return stream->end == HF_END_COMPLETE && stream->count == 0 ? HF_EXIT_OK : HF_EXIT_FAILED;
}

static char *topic_of(const struct hf_say *say, const char *rest)
{
	char *topic;

	return asprintf(&topic, "%s/%s/%s", say->client_options.root, say->session, rest) < 0 ? NULL : topic;
}

/* Who has no user name, or one that is too long for it, lets its will go where typing is told: it is the delay that
 * counts. */
static char *presence_of(const struct hf_say *say)
{
	char rest[HF_TOPIC_MAX] = "presence/", *name = rest + strlen(rest);
	const char *user = say->client_options.user ? say->client_options.user : "";

	if (hf_percent_encode(hf_slice_of(user), name, sizeof(rest) - (size_t)(name - rest)) == 0) {
		return topic_of(say, "ephemeral/say");
	}
	return topic_of(say, rest);
}

static bool prepare(struct stream *stream)
{
	struct hf_client_setup setup = {
		.options = &stream->say->client_options,
		.handlers = &handlers,
		.context = stream,
		.purpose = "say",
	};

	stream->next_seq = stream->say->first_seq;
	stream->ring = calloc(stream->say->window + 1, sizeof(*stream->ring));
	stream->topic = topic_of(stream->say, "tokens");
	stream->error_topic = topic_of(stream->say, "error");
	stream->presence_topic = presence_of(stream->say);
	if (!stream->ring || !stream->topic || !stream->error_topic || !stream->presence_topic) {
		hf_complain("out of memory");
		return false;
	}
	snprintf(stream->response, sizeof(stream->response), "%s", stream->say->response);
	if (!stream->response[0]) {
		unsigned char bytes[8];
		if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes)) {
			hf_complain("the system gives no random numbers; choose a --response yourself");
			return false;
		}
		for (size_t i = 0; i < sizeof(bytes); i++) {
			snprintf(stream->response + 2 * i, 3, "%02x", bytes[i]);
		}
	}
	if (!hf_stop_install()) {
		return false;
	}
	stream->input = hf_input_open(stream->say->path, stream->say->batch_chars);
	setup.will_topic = stream->presence_topic;
	stream->client = stream->input ? hf_client_new(&setup) : NULL;
	return stream->client != NULL;
}

static void clear(struct stream *stream)
{
	hf_client_free(stream->client);
	hf_input_close(stream->input);
	for (size_t i = 0; stream->ring && i <= stream->say->window; i++) {
		hf_buffer_free(&stream->ring[i].payload);
	}
	free(stream->ring);
	free(stream->topic);
	free(stream->error_topic);
	free(stream->presence_topic);
	cJSON_Delete(stream->refusal);
}

enum hf_exit hf_stream(const struct hf_say *say)
{
	struct stream stream = {.say = say};
	enum hf_exit status = prepare(&stream) ? run(&stream) : HF_EXIT_FAILED;

	clear(&stream);
	return status;
}
