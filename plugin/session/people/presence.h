/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who takes part in a session.
 *
 *     session ── participants, by identity ──┐
 *                                            ├── members
 *     device, or what is left of one ────────┘
 *
 * A device becomes a member of a session by a filter that names it, by publishing in it, and by publishing its
 * presence. A filter with a wildcard in the session makes no member. The members of an identity make the participant,
 * whose state others see (S/presence) and whose transitions are notices in the log.
 *
 * When a connection ends, its members are handed to a struct hf_lost (lost.c), and what follows from it is done in the
 * tick, or before the next publish, or once its grace is over: not in the middle of the broker's own work, which still
 * has the will to send, and not if the client is back by then.
 */
#ifndef HF_SESSION_PRESENCE_H
#define HF_SESSION_PRESENCE_H

#include "session/internal.h"

#define HF_MEMBERS_MAX 4096 /* of a device: what it only published in, longest ago, it leaves then */
#define HF_PRESENCE_INTERVAL_MS                                                                                        \
	250                      /* from one notice of an identity in a session to the next; the same of documents         \
							  */
#define HF_WILL_LATE_MS 2000 /* Mosquitto counts a Will Delay in whole seconds (will_delay.c) */
#define HF_LOST_SLICE 256    /* members in one go */

struct hf_participant {
	UT_hash_handle hh;                              /* of the session; key: person */
	struct hf_participant *prev, *next;             /* of hub->changed, or of hub->later */
	enum { HF_TOLD, HF_CHANGED, HF_LATER } telling; /* which: something of it is to be told, at once or ... */
	int64_t tell_ms;                                /* ... then */
	struct hf_session *session;
	struct hf_person *person;
	enum hf_role role;
	enum hf_presence state;
	enum hf_presence noted; /* the state as the log has it */
	enum hf_why why;
	int64_t since_ms;           /* Unix */
	struct hf_buffer status;    /* its own words ... */
	bool willed;                /* ... which are those of its will */
	bool fact_dirty;            /* differs from the store */
	bool document_dirty;        /* differs from what those who are there were sent */
	bool shown;                 /* the broker retains a document ... */
	unsigned int document_hash; /* ... this one, or it is on its way there */
	int64_t notice_next_ms;     /* not before, on the monotonic clock */
	int64_t document_next_ms;   /* likewise */
	size_t members;             /* of it, counted or not */
	unsigned int devices;       /* connected, or within their grace */
	size_t open;                /* its responses ... */
	size_t stalled;             /* ... and those of them of which nothing comes */
};

/* A device in a session. */
struct hf_member {
	UT_hash_handle hh; /* of the device or of the struct hf_lost; key: session */
	struct hf_session *session;
	struct hf_participant *participant; /* NULL: anonymous */
	bool counted;   /* in participant->devices; not after a restart of the broker, until it is back */
	bool by_filter; /* a filter of it names the session */
	size_t open;    /* responses of which it sent the last batch */
};

/* A connection that has ended, with what it was a member of. */
struct hf_lost {
	UT_hash_handle hh;           /* of hub->lost, as long as the device may come back; key: client id */
	struct hf_lost *prev, *next; /* of hub->losses, by due_ms */
	struct hf_person *person;    /* NULL: anonymous */
	enum hf_why why;
	int64_t due_ms;  /* until then it may come back as if nothing had been */
	bool findable;   /* in hub->lost */
	bool will_waits; /* the broker will send its will after a delay: the grace ends then */
	struct hf_member *members;
	char device[];
};

/* members.c */

/* The membership of a connected device; made where it is none yet. NULL: no memory, or it is in too many sessions. */
struct hf_member *hf_join(struct hf_hub *hub, struct hf_device *device, struct hf_session *session, bool by_filter);

/* Would it be a member, as far as it is not in too many sessions? */
bool hf_may_join(const struct hf_device *device, const struct hf_session *session);

/* No filter of the device names the session any more. It stays a member while it streams a response. */
void hf_leave(struct hf_hub *hub, struct hf_device *device, struct hf_session *session);

/* One of a connection that was lost while the broker did not run; `members` is the table of struct hf_lost. */
struct hf_member *hf_member_restore(
	struct hf_hub *hub, struct hf_member **members, struct hf_session *session, struct hf_person *person);

/* It is over: out of `members`, and its participant turns to `state` if it was the last. Its responses must be closed.
 */
void hf_member_end(struct hf_hub *hub, struct hf_member **members, struct hf_member *member, enum hf_why why);

/* Its device is connected again. */
void hf_member_back(struct hf_hub *hub, struct hf_member *member);

/* Nobody takes part in the session any more, and nothing is known of who did: it is erased. */
void hf_session_dismiss(struct hf_hub *hub, struct hf_session *session);

/* Free all, without a word: the hub closes. */
void hf_members_free(struct hf_hub *hub, struct hf_member **members);

/* Roles may have been read again: end what they no longer allow. `members`: of a device, or of a struct hf_lost. */
void hf_members_check_roles(struct hf_hub *hub, struct hf_member **members);

/* lost.c */
void hf_connection_gone(struct hf_hub *hub, struct hf_device *device, enum hf_why why);
void hf_connection_back(struct hf_hub *hub, struct hf_device *device);
void hf_losses_due(struct hf_hub *hub);
void hf_losses_check_roles(struct hf_hub *hub); /* roles were read again */
void hf_losses_free(struct hf_hub *hub);

/* A member that was lost while the broker did not run: it has the time to come back that all have after a restart.
 * `device` is "" where it is not known: then its responses go to any device of the identity that is there by the end of
 * that time. NULL: no memory. */
struct hf_member *hf_lost_restore(
	struct hf_hub *hub, struct hf_session *session, const char *device, struct hf_person *person);

/* The member to which belongs what the will of this client leaves open: of the connection that is about to end, else of
 * the one that was lost, also where that had joined no session. NULL: no memory, or it is in too many sessions. */
struct hf_member *hf_will_join(struct hf_hub *hub, struct hf_session *session, const char *id, const char *identity);

/* participants.c */
struct hf_participant *hf_participant_find(
	const struct hf_session *session, const struct hf_person *person); /* NULL: not in memory */
struct hf_participant *hf_participant_get(
	struct hf_hub *hub, struct hf_session *session, struct hf_person *person); /* NULL: no memory */
void hf_participant_turn(
	struct hf_hub *hub, struct hf_participant *participant, enum hf_presence state, enum hf_why why);
bool hf_participant_say(struct hf_hub *hub, struct hf_participant *participant, struct hf_slice status,
	bool is_will);                                                                   /* false: no memory */
void hf_participant_counted(struct hf_hub *hub, struct hf_participant *participant); /* one more device */
void hf_participant_discounted(
	struct hf_hub *hub, struct hf_participant *participant, bool counted, enum hf_why why);    /* one less */
void hf_participant_stalled(struct hf_hub *hub, struct hf_participant *participant, int more); /* or less */
/* What an identity has said of itself in a session is forgotten. HF_OK, HF_NO_MEMORY, HF_STORE_FAILED,
 * HF_RECORD_CORRUPT. */
enum hf_reason hf_participant_silence(struct hf_hub *hub, struct hf_slice session, struct hf_slice identity);
void hf_participant_write(struct hf_hub *hub, struct hf_participant *participant);
void hf_participant_dispose(struct hf_hub *hub, struct hf_participant *participant);
enum hf_reason hf_participants_load(
	struct hf_hub *hub, struct hf_session *session); /* those that were there when the broker ended */
enum hf_reason hf_participants_load_all(struct hf_hub *hub, struct hf_session *session, size_t most);
enum hf_role hf_participant_role_of(struct hf_slice value);                 /* of its fact in the store */
void hf_participants_begin(struct hf_hub *hub, struct hf_session *session); /* the session has its first entry */
void hf_participants_free(struct hf_hub *hub, struct hf_session *session);
/* Replay; session: NULL when not in memory. Who has published has taken part; and what a notice says of it. */
void hf_participant_replay(struct hf_hub *hub, struct hf_session *session, const struct hf_entry *entry);
void hf_presence_replay(
	struct hf_hub *hub, struct hf_session *session, const struct hf_entry *entry, const struct hf_notice *notice);

/* presence.c */
void hf_presence_changed(struct hf_hub *hub, struct hf_participant *participant); /* tell it soon */
void hf_presence_told(struct hf_hub *hub, struct hf_participant *participant);    /* or not */
void hf_presence_tell(struct hf_hub *hub); /* what changed: notices, documents, facts */
/* Retain the documents of a session, or of one participant by its name in the topic. */
void hf_presence_show(struct hf_hub *hub, struct hf_session *session, struct hf_slice encoded);
void hf_presence_hide(struct hf_hub *hub, struct hf_session *session);
/* Is this the newest document of a participant? What clients publish themselves never is. */
bool hf_presence_is_news(
	struct hf_hub *hub, const struct hf_session *session, struct hf_slice encoded, struct hf_slice payload);
/* A participant says something of itself. HF_NOT_AUTHENTICATED, HF_PRESENCE_OTHER, HF_PAYLOAD_...,
 * HF_SESSIONS_TOO_MANY, HF_NO_MEMORY. */
enum hf_reason hf_presence_publish(struct hf_hub *hub, struct hf_incoming *incoming);

/* stall.c */
void hf_stall_begin(struct hf_hub *hub, struct hf_response *response, int64_t now); /* a batch has come: from now on */
void hf_stall_end(struct hf_hub *hub, struct hf_response *response); /* there will be none, or it is somebody else's */
void hf_stalls_due(struct hf_hub *hub);

#endif
