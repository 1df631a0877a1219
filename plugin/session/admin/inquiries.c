/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The thread that answers questions to the audit. It is started by the first one, and ends with the hub.
 *
 *     broker's thread ── todo ──► thread: store of its own ── done ──► broker's thread (HF_TIMER_INQUIRIES)
 *                                 thread: frees it       ◄── spent ───
 *
 * A page of a thousand rows takes milliseconds to be made a text, and to be freed: not where everybody waits.
 * A job belongs to one of the two at a time; the lists are all that both touch. The store is opened for each
 * job, since one that was opened read only does not see what is written later, but not for those that go on with a
 * page: they come soon, and see what the page before saw.
 */
#include "session/admin/admin.h"

#include <pthread.h>
#include <signal.h>

#include <utlist.h>

#include "query/query.h"

#define WAITING_MAX 64 /* jobs */
#define LOOK_MS 2      /* how often the broker's thread looks whether one is done */
#define KEEP_S 10      /* a store that nobody has asked for so long is closed */

struct hf_inquirer {
	pthread_t thread;
	pthread_mutex_t mutex; /* of what follows */
	pthread_cond_t more;
	struct hf_admin_job *todo, *done, *spent; /* the last to be freed */
	/* */
	atomic_bool stop;
	size_t count;           /* of jobs that are not answered; the broker's thread alone knows it */
	struct hf_store *store; /* of the thread; NULL: none is open */
	char *path;
};

void hf_admin_job_free(struct hf_admin_job *job)
{
	struct hf_question *question, *next;

	if (!job) {
		return;
	}
	LL_FOREACH_SAFE(job->questions, question, next)
	{
		free(question->filter);
		free(question);
	}
	cJSON_Delete(job->request);
	cJSON_Delete(job->answer);
	cJSON_free(job->text);
	hf_access_free(job->access);
	free(job->identity);
	free(job->device);
	free(job->address);
	free(job->response_topic);
	hf_buffer_free(&job->correlation);
	free(job);
}

void hf_admin_job_print(struct hf_admin_job *job)
{
	if (!job->text) {
		job->text = cJSON_PrintUnformatted(job->answer);
	}
}

/* ---- the thread */

static bool goes_on(const struct hf_admin_job *job)
{
	const struct hf_question *question;

	LL_FOREACH(job->questions, question)
	{
		if (question->inquire && question->arguments.after.len == 0) {
			return false;
		}
	}
	return true;
}

static void close_store(struct hf_inquirer *inquirer)
{
	hf_store_close(inquirer->store);
	inquirer->store = NULL;
}

static enum hf_reason open_store(struct hf_inquirer *inquirer, const struct hf_admin_job *job)
{
	const struct hf_store_options options = {.path = inquirer->path, .read_only = true};

	if (inquirer->store && goes_on(job)) {
		return HF_OK;
	}
	close_store(inquirer);
	return hf_store_open(&options, NULL, NULL, &inquirer->store, NULL, 0);
}

static void carry_out(struct hf_inquirer *inquirer, struct hf_admin_job *job)
{
	enum hf_reason opened = open_store(inquirer, job);
	struct hf_question *question;

	LL_FOREACH(job->questions, question)
	{
		if (!question->inquire) {
			continue;
		}
		struct hf_admin admin = {
			.store = inquirer->store,
			.stop = &inquirer->stop,
			.who = {.access = job->access, .identity = job->identity, .anonymous = job->anonymous},
			.arguments = question->arguments,
		};
		cJSON *data = cJSON_CreateObject();
		enum hf_reason reason = data ? opened : HF_NO_MEMORY;
		if (reason == HF_OK) {
			reason = question->inquire(&admin, data);
		}
		hf_admin_respond(&admin, question->response, reason, data);
	}
	hf_admin_job_print(job);
}

static void free_all(struct hf_admin_job *jobs)
{
	struct hf_admin_job *job, *next;

	DL_FOREACH_SAFE(jobs, job, next)
	{
		hf_admin_job_free(job);
	}
}

/* The next job; NULL: the hub closes, none has come for a while, or there is something to free. The mutex is held. */
static struct hf_admin_job *wait_for_one(struct hf_inquirer *inquirer)
{
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += KEEP_S;
	while (!inquirer->todo && !inquirer->spent && !atomic_load(&inquirer->stop) && rc == 0) {
		rc = inquirer->store ? pthread_cond_timedwait(&inquirer->more, &inquirer->mutex, &until)
							 : pthread_cond_wait(&inquirer->more, &inquirer->mutex);
	}
	struct hf_admin_job *job = atomic_load(&inquirer->stop) ? NULL : inquirer->todo;
	if (job) {
		DL_DELETE(inquirer->todo, job);
	}
	return job;
}

static void *work(void *context)
{
	struct hf_inquirer *inquirer = context;

	hf_query_give_way();
	pthread_mutex_lock(&inquirer->mutex);
	while (!atomic_load(&inquirer->stop)) {
		struct hf_admin_job *job = wait_for_one(inquirer);
		struct hf_admin_job *spent = inquirer->spent;
		bool idle = !job && !spent;
		inquirer->spent = NULL;
		pthread_mutex_unlock(&inquirer->mutex);
		free_all(spent);
		if (job) {
			carry_out(inquirer, job);
		} else if (idle) {
			close_store(inquirer);
		}
		pthread_mutex_lock(&inquirer->mutex);
		if (job) {
			DL_APPEND(inquirer->done, job);
		}
	}
	pthread_mutex_unlock(&inquirer->mutex);
	close_store(inquirer);
	return NULL;
}

/* ---- the broker's thread */

/* Signals stay the broker's thread's. */
static bool start_thread(struct hf_inquirer *inquirer)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	bool started = pthread_create(&inquirer->thread, NULL, work, inquirer) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return started;
}

static struct hf_inquirer *start(const struct hf_hub *hub)
{
	struct hf_inquirer *inquirer = calloc(1, sizeof(*inquirer));

	if (!inquirer) {
		return NULL;
	}
	pthread_mutex_init(&inquirer->mutex, NULL);
	pthread_cond_init(&inquirer->more, NULL);
	inquirer->path = strdup(hub->options.store);
	if (inquirer->path && start_thread(inquirer)) {
		return inquirer;
	}
	pthread_cond_destroy(&inquirer->more);
	pthread_mutex_destroy(&inquirer->mutex);
	free(inquirer->path);
	free(inquirer);
	return NULL;
}

static void answer(struct hf_hub *hub)
{
	struct hf_inquirer *inquirer = hub->inquirer;
	struct hf_admin_job *job;

	pthread_mutex_lock(&inquirer->mutex);
	struct hf_admin_job *done = inquirer->done;
	inquirer->done = NULL;
	pthread_mutex_unlock(&inquirer->mutex);
	if (done) {
		DL_FOREACH(done, job)
		{
			hf_admin_deliver(hub, job);
			inquirer->count--;
		}
		pthread_mutex_lock(&inquirer->mutex);
		DL_CONCAT(inquirer->spent, done);
		pthread_cond_signal(&inquirer->more);
		pthread_mutex_unlock(&inquirer->mutex);
	}
	if (inquirer->count > 0) {
		hf_hub_due(hub, HF_TIMER_INQUIRIES, LOOK_MS);
	}
}

static void end(struct hf_hub *hub)
{
	struct hf_inquirer *inquirer = hub->inquirer;

	pthread_mutex_lock(&inquirer->mutex);
	atomic_store(&inquirer->stop, true);
	pthread_cond_signal(&inquirer->more);
	pthread_mutex_unlock(&inquirer->mutex);
	pthread_join(inquirer->thread, NULL);
	free_all(inquirer->todo);
	free_all(inquirer->done);
	free_all(inquirer->spent);
	pthread_cond_destroy(&inquirer->more);
	pthread_mutex_destroy(&inquirer->mutex);
	free(inquirer->path);
	free(inquirer);
	hub->inquirer = NULL;
	hub->inquiries = NULL;
}

static void inquiries(struct hf_hub *hub, bool ends)
{
	if (ends) {
		end(hub);
	} else {
		answer(hub);
	}
}

enum hf_reason hf_inquire(struct hf_hub *hub, struct hf_admin_job *job)
{
	if (!hub->inquirer) {
		hub->inquirer = start(hub);
		hub->inquiries = hub->inquirer ? inquiries : NULL;
	}
	struct hf_inquirer *inquirer = hub->inquirer;
	if (!inquirer) {
		return HF_NO_MEMORY;
	}
	if (inquirer->count == WAITING_MAX) {
		return HF_REQUESTS_TOO_MANY;
	}
	inquirer->count++;
	pthread_mutex_lock(&inquirer->mutex);
	DL_APPEND(inquirer->todo, job);
	pthread_cond_signal(&inquirer->more);
	pthread_mutex_unlock(&inquirer->mutex);
	hf_hub_due(hub, HF_TIMER_INQUIRIES, LOOK_MS);
	return HF_OK;
}
