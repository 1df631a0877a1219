/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Redis Streams, by hiredis. What is read is looked at as it is parsed, so that no reply is built from it: the reader
 * shall not be what is slow.
 */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "run.h"

#define STREAM "bench"
#define FIELD "p"
#define PIPELINE 1000
#define STRINGIFY(number) #number
#define TEXT_OF(number) STRINGIFY(number)

static bool failed(struct hf_run *run, const redisContext *redis, const char *what)
{
	snprintf(run->why, run->why_size, "Redis: %s: %s", what, redis && redis->err ? redis->errstr : "no such answer");
	return false;
}

/* A reply that need only be no error. */
static bool get_reply(redisContext *redis)
{
	redisReply *reply = NULL;
	bool good = redisGetReply(redis, (void **)&reply) == REDIS_OK && reply && reply->type != REDIS_REPLY_ERROR;

	freeReplyObject(reply);
	return good;
}

static redisContext *connect_to(struct hf_run *run)
{
	redisContext *redis = redisConnect("127.0.0.1", hf_broker_port(run->broker));

	if (redis && redis->err == 0) {
		return redis;
	}
	failed(run, redis, "connecting");
	redisFree(redis);
	return NULL;
}

/* ---- filling */

static bool add_all(struct hf_run *run, redisContext *redis, const struct hf_corpus *corpus)
{
	unsigned sent = 0, answered = 0;

	while (answered < hf_corpus_count(corpus)) {
		for (; sent < hf_corpus_count(corpus) && sent - answered < PIPELINE; sent++) {
			struct hf_slice payload = hf_corpus_payload(corpus, sent);
			if (redisAppendCommand(redis, "XADD " STREAM " * " FIELD " %b", payload.data, payload.len) != REDIS_OK) {
				return failed(run, redis, "XADD");
			}
		}
		for (; answered < sent; answered++) {
			if (!get_reply(redis)) {
				return failed(run, redis, "XADD");
			}
		}
	}
	if (!run->variant->group) {
		return true;
	}
	redisAppendCommand(redis, "XGROUP CREATE " STREAM " readers 0");
	return get_reply(redis) || failed(run, redis, "XGROUP");
}

static bool fill(struct hf_run *run, const struct hf_corpus *corpus)
{
	redisContext *redis = connect_to(run);
	bool done = redis && add_all(run, redis, corpus);

	redisFree(redis);
	return done;
}

/* ---- reading */

struct read {
	const struct hf_corpus *corpus;
	unsigned received;
	bool wrong;
	bool id_next; /* the next string is the id of an entry ... */
	char ids[HF_RIVAL_WINDOW][32];
	size_t id_count;
};

/* hiredis wants a pointer for what a callback has made, and looks at its type. */
static redisReply made = {.type = REDIS_REPLY_NIL};

/* What a reply to XREAD is: a stream's name, then its entries, each an id and [field, payload]. */
enum { DEPTH_ID = 4, DEPTH_FIELD = 5 };

static int depth_of(const redisReadTask *task)
{
	int depth = 0;

	for (; task->parent; task = task->parent) {
		depth++;
	}
	return depth;
}

static void *on_string(const redisReadTask *task, char *text, size_t size)
{
	struct read *read = task->privdata;
	int depth = depth_of(task);

	if (task->type == REDIS_REPLY_ERROR) {
		read->wrong = true;
	} else if (depth == DEPTH_ID && task->idx == 0 && read->id_count < HF_RIVAL_WINDOW) {
		snprintf(read->ids[read->id_count++], sizeof(read->ids[0]), "%.*s", (int)size, text);
	} else if (depth == DEPTH_FIELD && task->idx == 1) {
		read->wrong = read->wrong || hf_corpus_match(read->corpus, read->received, hf_slice_from(text, size)) != 1;
		read->received++;
	}
	return &made;
}

static void *on_array(const redisReadTask *task, size_t count)
{
	(void)task;
	(void)count;
	return &made;
}

static void *on_integer(const redisReadTask *task, long long value)
{
	(void)task;
	(void)value;
	return &made;
}

static void *on_nil(const redisReadTask *task)
{
	(void)task;
	return &made;
}

static void on_free(void *object)
{
	(void)object;
}

static redisReplyObjectFunctions looking = {
	.createString = on_string,
	.createArray = on_array,
	.createInteger = on_integer,
	.createNil = on_nil,
	.freeObject = on_free,
};

static bool ask(redisContext *redis, const char *last_id, bool group)
{
	const char *count = TEXT_OF(HF_RIVAL_WINDOW);

	if (group) {
		return redisAppendCommand(redis, "XREADGROUP GROUP readers bench COUNT %s STREAMS " STREAM " >", count) ==
			   REDIS_OK;
	}
	return redisAppendCommand(redis, "XREAD COUNT %s STREAMS " STREAM " %s", count, last_id) == REDIS_OK;
}

/* What was read last, in one command. */
static bool acknowledge(redisContext *redis, const struct read *read)
{
	const char *words[3 + HF_RIVAL_WINDOW] = {"XACK", STREAM, "readers"};

	for (size_t i = 0; i < read->id_count; i++) {
		words[3 + i] = read->ids[i];
	}
	return redisAppendCommandArgv(redis, (int)(3 + read->id_count), words, NULL) == REDIS_OK;
}

static bool read_all(struct hf_run *run, redisContext *redis, struct read *read)
{
	unsigned count = hf_corpus_count(read->corpus);
	char last_id[32] = "0";
	void *reply;

	redis->reader->fn = &looking;
	redis->reader->privdata = read;
	while (read->received < count) {
		unsigned before = read->received;
		read->id_count = 0;
		if (!ask(redis, last_id, run->variant->group) || redisGetReply(redis, &reply) != REDIS_OK || read->wrong ||
			read->received == before) {
			return failed(run, redis, "reading the stream");
		}
		snprintf(last_id, sizeof(last_id), "%s", read->ids[read->id_count - 1]);
		if (run->variant->group && (!acknowledge(redis, read) || redisGetReply(redis, &reply) != REDIS_OK)) {
			return failed(run, redis, "XACK");
		}
	}
	run->value[HF_MESSAGES] = read->received;
	return true;
}

static bool drain(struct hf_run *run, const struct hf_corpus *corpus)
{
	static struct read read;
	redisContext *redis = connect_to(run);

	read = (struct read){.corpus = corpus};
	bool done = redis && read_all(run, redis, &read);
	if (redis) {
		redis->reader->fn = NULL; /* what is left in it is nothing to be freed */
	}
	redisFree(redis);
	return done;
}

const struct hf_rival hf_redis = {.fill = fill, .drain = drain};
