/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Administration and questions over the broker's control topic, in JSON, in the form that Mosquitto's own control
 * topics have (plugin/CONTROL.md). What the files of this room share.
 *
 *     request.c    the payload, taken apart and answered
 *     commands.c   which commands there are, who may give them, what they take
 *     arguments.c  what comes with a command, checked
 *     sessions.c, devices.c, keeping.c ...  what carries them out
 *     asked.c      what is taken down of questions
 *     kicks.c      connections that are to end
 *     inquiries.c  a thread that answers questions to the audit: queries.c, transcript.c
 *
 * A request is one turn of the broker's loop, so it may look at only so much: `looks` counts down, over all commands of
 * the request, and what would need more is told how to go on.
 */
#ifndef HF_SESSION_ADMIN_H
#define HF_SESSION_ADMIN_H

#include <cjson/cJSON.h>
#include <stdatomic.h>

#include "session/internal.h"

#define HF_ADMIN_REQUEST_MAX (64u << 10) /* bytes */
#define HF_ADMIN_COMMANDS_MAX 100        /* of a request */
#define HF_ADMIN_LOOKS 2000              /* at sessions, devices and the like, of a request */
#define HF_ADMIN_LIMIT 100               /* of a page, where the command names none ... */
#define HF_ADMIN_LIMIT_MAX 1000          /* ... and at most */

#define HF_ADMIN_ROLE(role) (1u << (role))
#define HF_ADMIN_ADMINS HF_ADMIN_ROLE(HF_ROLE_ADMIN)
#define HF_ADMIN_BOTH (HF_ADMIN_ADMINS | HF_ADMIN_ROLE(HF_ROLE_AUDITOR))

/* What may come with a command: bit, name, type, member of hf_admin_arguments, least, most (of texts: bytes). */
#define HF_ADMIN_ARGUMENT_TABLE(X)                                                                                     \
	X(SESSION, 0, "session", TEXT, session, 1, HF_SESSION_ID_MAX)                                                      \
	X(IDENTITY, 1, "identity", TEXT, identity, 1, HF_IDENTITY_MAX)                                                     \
	X(DEVICE, 2, "device", TEXT, device, 1, UINT16_MAX)                                                                \
	X(MATCH, 3, "match", TEXT, match, 1, HF_SESSION_ID_MAX)                                                            \
	X(STATE, 4, "state", TEXT, state, 1, 16)                                                                           \
	X(ONLINE, 5, "online", FLAG, online, 0, 1)                                                                         \
	X(FROM, 6, "from", TIME, from_ms, 0, 0)                                                                            \
	X(TO, 7, "to", TIME_END, to_ms, 0, 0)                                                                              \
	X(PAGE_LIMIT, 8, "limit", NUMBER, limit, 1, HF_ADMIN_LIMIT_MAX)                                                    \
	X(AFTER, 9, "after", TEXT, after, 1, UINT16_MAX)                                                                   \
	X(KIND, 10, "kind", TEXT, kind, 1, 1024)                                                                           \
	X(OFFSET, 11, "offset", NUMBER, offset, 1, INT64_MAX)                                                              \
	X(AGE, 12, "age", NUMBER, age_ms, 0, INT64_MAX)                                                                    \
	X(BYTES, 13, "bytes", NUMBER, bytes, 0, INT64_MAX)                                                                 \
	X(COUNT, 14, "count", NUMBER, count, 0, INT64_MAX)                                                                 \
	X(WHY, 15, "why", TEXT, why, 1, 1024)                                                                              \
	X(FIRST, 16, "first", FLAG, first, 0, 1)                                                                           \
	X(ACKNOWLEDGED, 17, "acknowledged", FLAG, acknowledged, 0, 1)

enum hf_admin_argument {
#define HF_ADMIN_ARGUMENT_BIT(id, bit, name, type, member, least, most) HF_ADMIN_##id = 1 << bit,
	HF_ADMIN_ARGUMENT_TABLE(HF_ADMIN_ARGUMENT_BIT)
#undef HF_ADMIN_ARGUMENT_BIT
};

struct hf_admin_arguments {
	unsigned int given; /* which of them: bits */
	/* Ended by a zero; empty where not given. */
	struct hf_slice session, identity, device, match, state, after, kind, why;
	bool online, first, acknowledged;
	int64_t from_ms, to_ms; /* INT64_MIN, INT64_MAX where not given */
	uint64_t limit;         /* HF_ADMIN_LIMIT where not given */
	uint64_t offset;        /* 0 where not given */
	uint64_t age_ms, bytes, count;
};

/* Who asks, as the roles see it. */
struct hf_asking_role {
	const struct hf_access *access;
	const char *identity; /* NULL: anonymous */
	enum hf_role anonymous;
};

struct hf_admin;

/* Carry a command out and put what it says into `data`. A reason refuses it; then nothing has happened. */
typedef enum hf_reason (*hf_admin_fn)(struct hf_admin *admin, cJSON *data);

/* A request while it is carried out, command by command. Of an inquiry, which another thread carries out, hub, request
 * and device are NULL; of all others, store and stop. */
struct hf_admin {
	struct hf_hub *hub;
	const struct hf_publish *request;
	struct hf_device *device; /* that asks, connected */
	struct hf_store *store;
	const atomic_bool *stop; /* the broker ends: give up */
	struct hf_asking_role who;
	struct hf_admin_arguments arguments;
	unsigned int looks;  /* that are left */
	uint64_t count;      /* how many the command has done something to, for the audit; 0: does not say */
	char message[320];   /* why a command was refused, where the reason's sentence would not do; "": it does */
	bool no_memory;      /* something is missing from `data` */
	bool asked;          /* set by hf_admin_command: the command is a question, to be taken down */
	hf_admin_fn inquire; /* likewise: it is an inquiry, which this answers */
};

/* commands.c: who may give it is checked here, and what an administrator does is taken down in the audit. `data` gets
 * what is to be answered, unless admin->inquire is set. HF_COMMAND_UNKNOWN, HF_ARGUMENT_INVALID, HF_NOT_PERMITTED, and
 * those of the command. */
enum hf_reason hf_admin_command(struct hf_admin *admin, const char *name, const cJSON *command, cJSON *data);

/* May who asks see something of this session? Empty: what is of none. And: of some session, whichever? */
bool hf_admin_sees(const struct hf_admin *admin, struct hf_slice session);
bool hf_admin_may_ask(const struct hf_admin *admin);

/* May who asks see what was said in this session? An auditor, where a rule names it; nobody else, and nobody by a
 * pattern: so that it is never given along with more than was meant. */
bool hf_admin_reads(const struct hf_admin *admin, struct hf_slice session);

/* What came with a command, as JSON, without what is about paging unless `all`. The caller frees it; NULL: no memory.
 */
char *hf_admin_arguments_text(const cJSON *command, bool all);

/* arguments.c: what a command takes, `may`, and needs of it. HF_OK, HF_ARGUMENT_INVALID: admin->message says which. */
enum hf_reason hf_admin_arguments(struct hf_admin *admin, const cJSON *command, unsigned int may, unsigned int needs);

/* Look at one more: false, if no look is left. */
static inline bool hf_admin_look(struct hf_admin *admin)
{
	return admin->looks > 0 && admin->looks-- > 0;
}

/* json.c: put something into an object or array (name NULL). No memory is remembered. `item` is taken over, NULL: no
 * memory; an empty text is left out. */
void hf_admin_put(struct hf_admin *admin, cJSON *parent, const char *name, cJSON *item);
void hf_admin_put_text(struct hf_admin *admin, cJSON *object, const char *name, struct hf_slice text);
void hf_admin_put_number(struct hf_admin *admin, cJSON *object, const char *name, uint64_t number);
void hf_admin_put_time(struct hf_admin *admin, cJSON *object, const char *name, int64_t time_ms);
void hf_admin_put_flag(struct hf_admin *admin, cJSON *object, const char *name, bool flag);
cJSON *hf_admin_put_array(struct hf_admin *admin, cJSON *object, const char *name);  /* NULL: no memory, fine to use */
cJSON *hf_admin_put_object(struct hf_admin *admin, cJSON *object, const char *name); /* likewise */

/* request.c: put the outcome of a command into its response, taking over `data`. */
void hf_admin_respond(struct hf_admin *admin, cJSON *response, enum hf_reason reason, cJSON *data);

/* The commands. */
enum hf_reason hf_admin_list_sessions(struct hf_admin *admin, cJSON *data);
enum hf_reason hf_admin_get_session(struct hf_admin *admin, cJSON *data);
enum hf_reason hf_admin_list_devices(struct hf_admin *admin, cJSON *data);
enum hf_reason hf_admin_disconnect(struct hf_admin *admin, cJSON *data);
enum hf_reason hf_admin_close_session(struct hf_admin *admin, cJSON *data);
enum hf_reason hf_admin_erase_session(struct hf_admin *admin, cJSON *data);
enum hf_reason hf_admin_set_limits(struct hf_admin *admin, cJSON *data);
enum hf_reason hf_admin_place_hold(struct hf_admin *admin, cJSON *data);
enum hf_reason hf_admin_lift_hold(struct hf_admin *admin, cJSON *data);
enum hf_reason hf_admin_list_holds(struct hf_admin *admin, cJSON *data);
enum hf_reason hf_admin_erase_identity(struct hf_admin *admin, cJSON *data);
enum hf_reason hf_admin_list_erasures(struct hf_admin *admin, cJSON *data);
enum hf_reason hf_admin_get_checkpoint(struct hf_admin *admin, cJSON *data);
enum hf_reason hf_admin_get_public_key(struct hf_admin *admin, cJSON *data);

/* sessions.c: "limits" into `data`: what is kept of a session; 0: there is no limit. */
void hf_admin_put_limits(struct hf_admin *admin, cJSON *data, const struct hf_retention *limits);

/* The inquiries. */
enum hf_reason hf_admin_query(struct hf_admin *admin, cJSON *data);
enum hf_reason hf_admin_seen_by(struct hf_admin *admin, cJSON *data);
enum hf_reason hf_admin_receipts(struct hf_admin *admin, cJSON *data);
enum hf_reason hf_admin_report(struct hf_admin *admin, cJSON *data);
enum hf_reason hf_admin_transcript(struct hf_admin *admin, cJSON *data);
enum hf_reason hf_admin_get_usage(struct hf_admin *admin, cJSON *data);

/* queries.c: what the arguments ask for; and why a query is refused, where it is that makes no sense. */
struct hf_query;
struct hf_query hf_admin_query_of(const struct hf_admin *admin);
enum hf_reason hf_admin_refuse_query(struct hf_admin *admin, const struct hf_query *query, enum hf_reason reason);

/* inquiries.c: questions to the audit may have to look at much, and nobody who reads or writes shall wait for that. So
 * a thread of their own answers them. It shares nothing with the broker: it opens the store once more, read only, as
 * the command line does. */
struct hf_question {
	struct hf_question *next;
	hf_admin_fn inquire;                 /* NULL: it is no inquiry, and was answered at once */
	struct hf_admin_arguments arguments; /* point into the request */
	cJSON *response;                     /* part of the answer */
	char *filter;                        /* hf_admin_arguments_text */
};

/* A request, its questions, and to whom its answer goes, where that is needed later: where it has inquiries. */
struct hf_admin_job {
	struct hf_admin_job *prev, *next;
	struct hf_question *questions;
	cJSON *request, *answer;
	char *text;               /* of the answer, once that is done */
	struct hf_access *access; /* the roles as they were */
	char *identity;           /* NULL: anonymous */
	enum hf_role anonymous;
	char *device, *address;
	uint64_t number; /* of the device: it has not been forgotten and made anew */
	char *response_topic;
	struct hf_buffer correlation;
	uint8_t qos;
};
void hf_admin_job_free(struct hf_admin_job *job); /* NULL allowed */

/* Make the text of its answer, unless that is done; it stays NULL where there is no memory for it. */
void hf_admin_job_print(struct hf_admin_job *job);

/* Take over a job. HF_OK, HF_REQUESTS_TOO_MANY, HF_NO_MEMORY: it is still the caller's. */
enum hf_reason hf_inquire(struct hf_hub *hub, struct hf_admin_job *job);

/* request.c: send the answer of a job, if who asked is still there. */
void hf_admin_deliver(struct hf_hub *hub, struct hf_admin_job *job);

/* asked.c: take a question down. `who`: identity, device and address; given: the answer goes out now. */
void hf_note_asked(struct hf_hub *hub, const struct hf_audit *who, const struct hf_question *question, bool given);

/* kicks.c: end this connection, not now, in the middle of the broker's work, but in the next tick, if it is still
 * that one. False: no memory. */
bool hf_kick(struct hf_hub *hub, const struct hf_device *device);
void hf_kicks_go_on(struct hf_hub *hub);
void hf_kicks_free(struct hf_hub *hub);

#endif
