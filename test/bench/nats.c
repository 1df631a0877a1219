/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NATS JetStream, by its C client: a stream in files, and a durable consumer that fetches entries, as many at once as
 * may be pending, and acknowledges each. (One to which the server pushes was slower.)
 */
#include <nats/nats.h>
#include <stdio.h>

#include "run.h"

#define STREAM "bench"
#define SUBJECT "sessions.bench.tokens"
#define ANSWER_MS 10000

struct connection {
	natsConnection *nats;
	jsCtx *stream;
	natsSubscription *subscription;
};

static bool good(struct hf_run *run, natsStatus status, const char *what)
{
	if (status == NATS_OK) {
		return true;
	}
	snprintf(run->why, run->why_size, "NATS: %s: %s", what, natsStatus_GetText(status));
	return false;
}

static bool begin(struct hf_run *run, struct connection *connection)
{
	char url[64];
	jsOptions options;

	*connection = (struct connection){.nats = NULL};
	snprintf(url, sizeof(url), "nats://127.0.0.1:%u", hf_broker_port(run->broker));
	jsOptions_Init(&options);
	options.PublishAsync.MaxPending = HF_RIVAL_WINDOW;
	options.PublishAsync.StallWait = ANSWER_MS;
	return good(run, natsConnection_ConnectTo(&connection->nats, url), "connecting") &&
		   good(run, natsConnection_JetStream(&connection->stream, connection->nats, &options), "JetStream");
}

static void end(struct connection *connection)
{
	natsSubscription_Destroy(connection->subscription);
	jsCtx_Destroy(connection->stream);
	natsConnection_Destroy(connection->nats);
}

static bool add_all(struct hf_run *run, struct connection *connection, const struct hf_corpus *corpus)
{
	const char *subjects[] = {SUBJECT};
	jsStreamConfig stream;
	jsPubOptions wait;

	jsStreamConfig_Init(&stream);
	stream.Name = STREAM;
	stream.Subjects = subjects;
	stream.SubjectsLen = 1;
	stream.Storage = js_FileStorage;
	if (!good(run, js_AddStream(NULL, connection->stream, &stream, NULL, NULL), "making the stream")) {
		return false;
	}
	for (unsigned i = 0; i < hf_corpus_count(corpus); i++) {
		struct hf_slice payload = hf_corpus_payload(corpus, i);
		natsStatus status = js_PublishAsync(connection->stream, SUBJECT, payload.data, (int)payload.len, NULL);
		if (!good(run, status, "publishing")) {
			return false;
		}
	}
	jsPubOptions_Init(&wait);
	wait.MaxWait = ANSWER_MS;
	return good(run, js_PublishAsyncComplete(connection->stream, &wait), "publishing");
}

static bool fill(struct hf_run *run, const struct hf_corpus *corpus)
{
	struct connection connection;
	bool done = begin(run, &connection) && add_all(run, &connection, corpus);

	end(&connection);
	return done;
}

static bool subscribe(struct hf_run *run, struct connection *connection)
{
	jsSubOptions options;

	jsSubOptions_Init(&options);
	options.Stream = STREAM;
	options.Config.AckPolicy = js_AckExplicit;
	options.Config.MaxAckPending = HF_RIVAL_WINDOW;
	return good(run,
		js_PullSubscribe(&connection->subscription, connection->stream, SUBJECT, "reader", NULL, &options, NULL),
		"subscribing");
}

static bool read_one(struct hf_run *run, natsMsg *message, const struct hf_corpus *corpus, unsigned received)
{
	struct hf_slice payload = hf_slice_from(natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message));

	if (hf_corpus_match(corpus, received, payload) != 1) {
		snprintf(run->why, run->why_size, "NATS: something else than batch %u came", received);
		return false;
	}
	return good(run, natsMsg_Ack(message, NULL), "acknowledging");
}

static bool read_all(struct hf_run *run, struct connection *connection, const struct hf_corpus *corpus)
{
	unsigned received = 0;

	while (received < hf_corpus_count(corpus)) {
		natsMsgList list = {.Count = 0};
		natsStatus status = natsSubscription_Fetch(&list, connection->subscription, HF_RIVAL_WINDOW, ANSWER_MS, NULL);
		bool same = good(run, status, "reading");
		for (int i = 0; same && i < list.Count; i++) {
			same = read_one(run, list.Msgs[i], corpus, received++);
		}
		natsMsgList_Destroy(&list);
		if (!same) {
			return false;
		}
	}
	run->value[HF_MESSAGES] = hf_corpus_count(corpus);
	return good(run, natsConnection_Flush(connection->nats), "acknowledging");
}

static bool drain(struct hf_run *run, const struct hf_corpus *corpus)
{
	struct connection connection;
	bool done = begin(run, &connection) && subscribe(run, &connection) && read_all(run, &connection, corpus);

	end(&connection);
	return done;
}

const struct hf_rival hf_nats = {.fill = fill, .drain = drain};
