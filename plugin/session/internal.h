/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of the session logic share: the hub with its devices and sessions.
 *
 *     hub ──┬── devices, by client id ── subscriptions (filter, cursor bound)
 *           │        │  └── ring of messages handed over and not yet acknowledged
 *           │        └── attachments: one for each session that a filter names ──┐
 *           ├── sessions in memory, by id ── log (store), responses, attachments ─┘
 *           └── devices with a filter that names no one session
 *
 * A device's position is a log sequence number (LSN), one for all of its filters: `sent`. Everything due up to it
 * was handed over; nothing behind it was, but for what it is `owed`. A filter adds a lower bound of its own (`from`):
 * what it has had already when another one put the position back. So what a device has still to be given is exactly
 * what lies beyond its position and a filter's bound, and what it is owed.
 */
#ifndef HF_SESSION_INTERNAL_H
#define HF_SESSION_INTERNAL_H

#define HASH_BLOOM 16
#include <uthash.h>

#include "codec/ask.h"
#include "codec/control.h"
#include "codec/document.h"
#include "codec/filter.h"
#include "codec/notice.h"
#include "codec/presence.h"
#include "codec/signal.h"
#include "codec/token.h"
#include "session/access.h"
#include "session/audit/receipts.h"
#include "session/facts.h"
#include "session/hub.h"
#include "session/log/retention.h"
#include "store/audit.h"

#define HF_NO_LOCAL 0x04
#define HF_OPEN_RESPONSES_MAX 1000     /* of a session ... */
#define HF_OPEN_RESPONSES_EACH_MAX 250 /* ... and of one identity in it */
#define HF_OPEN_ASKS_MAX 100           /* the same of questions */
#define HF_HANDED_BYTES_MAX (4u << 20) /* of one device, handed over and unacknowledged */
#define HF_SLICE_ENTRIES 256           /* one go of a catch-up, before others get their turn */
#define HF_SLICE_READS 4096
#define HF_SLICE_REFS 20000
#define HF_STATE_INTERVAL_MS 250 /* for what changes with every entry ... */
#define HF_STATE_AT_ONCE_MS 20   /* ... and for the rest */
#define HF_INDEX_FLUSH_MS 1000
#define HF_RETRY_MS 1
#define HF_RETRY_MAX_MS 64         /* who waits for room in the broker ... */
#define HF_RETRY_KNOWN_MAX_MS 1024 /* ... and will be heard of when it has read */
#define HF_RETRY_TURNS 16          /* of the broker's loop, before it is left to a clock */
#define HF_LINGER_MS 5             /* an acknowledgement waits for others as long as this */
#define HF_RECOVER_MS 1000
#define HF_SEAL_MS 5000 /* what the audit knows is sealed after this */
#define HF_IDLE_MS 5000 /* a session nobody uses leaves memory after this */
#define HF_IDS_MAX 16
#define HF_SLOTS 64
#define HF_SHARED_KEYS_MAX 500          /* of a session: fewer than the broker keeps in a client's queue */
#define HF_SHARED_BYTES_MAX (16u << 20) /* of the latest values, about */

/* ---- sessions */

/* Who is there to read what an agent says: users and operators who are connected and get the tokens. */
struct hf_audience {
	unsigned int people;    /* identities */
	unsigned int devices;   /* of theirs */
	unsigned int caught_up; /* devices with nothing before them in the log */
};

struct hf_response {
	UT_hash_handle hh; /* of the session; key: identity, 0, id */
	struct hf_session *session;
	uint64_t next_seq;
	uint64_t last_offset;
	enum hf_end end;
	struct hf_member *member;                      /* while it is open: who sent the last batch; NULL: not known */
	struct hf_response *stream_prev, *stream_next; /* of hub->streams, by batch_ms */
	bool streams;                                  /* is in there */
	bool stalled;                                  /* or has been */
	int64_t batch_ms;                              /* when the last batch came, on the monotonic clock */
	int64_t stop_ms;                           /* interrupted: by then it is to end, by hf_hub_clock_ms; 0: it is not */
	struct hf_response *stop_prev, *stop_next; /* of hub->stopping, by stop_ms */
	size_t identity_len;
	size_t key_len;
	char key[];
};

struct hf_attachment {
	struct hf_device *device;
	struct hf_session *session;
	enum hf_role role;                 /* of the device's identity in the session */
	bool tokens;                       /* a filter that names the session matches its tokens */
	struct hf_ref pumped;              /* where the pump was last */
	struct hf_attachment *prev, *next; /* of the session */
	struct hf_attachment *next_of_device;
};

/* The right to answer: floor.c. */
struct hf_floor {
	uint64_t epoch;             /* rises whenever it changes hands */
	struct hf_person *holder;   /* NULL: any agent */
	struct hf_person *to;       /* whom it is offered to, or NULL */
	struct hf_person *previous; /* whom the holder has it from, or NULL */
	int64_t lost_ms;            /* since when the holder is not there, on the monotonic clock; 0: it is */
	bool unsettled;             /* responses of others may still be open */
};

/* How many keys a session's shared state has: shared.c. */
struct hf_shared {
	bool counted; /* or the rest is not known */
	size_t keys;
	size_t bytes;
};

struct hf_session {
	UT_hash_handle hh;
	char id[HF_SESSION_ID_MAX + 1];
	size_t id_len;
	struct hf_log *log; /* NULL until the first entry */
	struct hf_attachment *attached;
	struct hf_group *groups;       /* whose filter names it, while a member is online */
	struct hf_response *responses; /* the open ones, and those not yet written */
	size_t open_count;
	bool responses_dirty;
	struct hf_held *held;                /* responses.h: interrupts of those that have not begun */
	struct hf_open_ask *asks;            /* asks.h */
	struct hf_participant *participants; /* presence.h: those that are there, or of whom something is to be told */
	size_t changed_count;                /* of the latter */
	size_t member_count;
	struct hf_sleeper *sleepers; /* wake.h: who has taken part ... */
	size_t asleep;               /* ... and is to be woken by the next entry */
	bool sleepers_known;
	bool active; /* the store knows it to be: HF_FACT_ACTIVE */
	struct hf_floor floor;
	enum hf_unattended unattended;
	struct hf_shared shared;
	bool state_dirty;                  /* differs from what the broker retains */
	bool state_shown;                  /* the broker retains one ... */
	unsigned int state_hash;           /* ... or will: the newest that it was given */
	int64_t state_told_ms;             /* when it was announced last ... */
	int64_t state_next_ms;             /* ... and may be again */
	struct hf_audience state_audience; /* as it was then */
	struct hf_retention retention;     /* the limits that hold for it */
	bool retention_fails;              /* its log cannot be read: said once */
	int64_t used_ms;
};

/* ---- identities, as long as a device or a session refers to them; anonymous clients have none */

struct hf_person {
	UT_hash_handle hh;
	size_t references;
	size_t floors;               /* that it holds, of sessions in memory */
	size_t devices;              /* connected, or durable */
	size_t online;               /* connected */
	struct hf_sleeper *sleepers; /* wake.h */
	uint64_t counted;            /* by which walk over an audience last */
	char identity[];
};

/* ---- devices */

struct hf_subscription {
	char *filter;            /* as the broker keeps it: plain, but of a group (hf_filter_kept) */
	struct hf_filter parsed; /* into filter; meaningless when outside */
	bool outside; /* no business of the device's own delivery: not under the root, here to restore it, or of a group */
	struct hf_worker *worker; /* in that group; NULL: of none */
	bool allowed;             /* by the roles as they are now */
	bool held;                /* they do not, and it names its session: it stands still at `from` until they do again */
	bool mark_due;            /* a caught-up mark is owed */
	bool batches;             /* token batches are not to be joined */
	bool dirty;               /* differs from the store */
	uint8_t options;
	uint8_t slot; /* its bit in hf_handed.filters; those beyond HF_SLOTS share the last */
	uint32_t identifier;
	uint64_t from;     /* only entries with a greater LSN */
	uint64_t floor;    /* with a wildcard session: only offsets from here on; else the first it has not been handed */
	uint64_t last_n;   /* with a wildcard session: the last N of each session as it was at last_lsn */
	uint64_t last_lsn; /* last_n 0: truncations up to this stamp are none of its business */
	uint64_t told;     /* of truncations up to this stamp: gaps.c */
	uint64_t unread_from; /* unconfirmed.c: the first offset handed over at QoS 0 on this connection; or 0 */
	uint64_t unsure_first, unsure_last; /* of connections before; 0: nothing */
	struct hf_session *session;         /* while online: the one it names */
};

struct hf_handed {
	uint64_t handle;
	uint64_t lsn;     /* 0: a document, or void: no filter is left under which it was due */
	uint64_t first;   /* of entries that were joined the first one's LSN, `lsn` being the last one's; else the same */
	uint64_t filters; /* under which it was due, by slot */
	uint64_t offset;
	uint32_t session; /* hf_session_number */
	uint32_t bytes;
	uint32_t packet;      /* how many packets the client had been sent with it */
	struct hf_page *page; /* of receipts that its rows are in; NULL: none, or closed */
	uint16_t row, rows;
	bool done;
	bool gap;    /* a mark that retention was faster: nothing follows before the client has it */
	bool hollow; /* the client could not be given it; a gap mark shall take its place */
	bool mark;   /* that this entry will not come: until it is acknowledged, the client does not know */
};

struct hf_owed {
	uint64_t first, last; /* LSNs: the same, or of entries that had been joined */
	uint64_t filters;     /* by slot */
	uint64_t offset;      /* of the first */
	uint32_t session;     /* hf_session_number */
	uint64_t
		gone_lsn; /* up to here the client was told that it is gone, and has yet to acknowledge that; 0: not told ... */
	uint64_t gone_tail; /* ... and the offset of what was left then */
};

struct hf_sent_answer; /* answers.c */
struct hf_incoming;    /* publish/publish.h */

struct hf_device {
	UT_hash_handle hh;
	char *id;
	uint64_t number;          /* rises from one that is made to the next, as the table has them */
	struct hf_person *person; /* NULL: anonymous */
	const char *identity;     /* its name, or NULL */
	const void *token;
	bool online;
	bool durable;
	uint16_t packet_id;      /* the last one used, or a later one */
	char *address;           /* of its connection, for the audit; NULL when not known */
	struct hf_durable facts; /* strings point to id and identity */

	struct hf_subscription *subscriptions;
	size_t subscription_count;
	bool any_session; /* a filter of it names no one session */
	struct hf_device *wild_prev, *wild_next;
	struct hf_attachment *attachments;
	struct hf_member *members; /* presence.h */
	struct hf_member *recent;  /* the one last asked for, or NULL */
	int64_t will_delay_ms;     /* its will would have waited, but it is being taken over; 0: not so */

	struct hf_owed *owed; /* owed.c */
	size_t owed_count;
	struct hf_page *pages;       /* of receipts that take more, by session: receipts.h */
	struct hf_page *recent_page; /* the one last used, or NULL */
	size_t page_count;           /* all of its open ones */

	uint64_t sent;
	bool at_head;      /* nothing due lies above `sent` */
	uint64_t shown;    /* the newest that was ever handed over */
	bool noted;        /* on disk: the device may be handed more than its record knows of */
	uint64_t alone_to; /* what it may have been handed when the broker was killed: entries up to here are not joined */

	struct hf_handed *ring; /* of ring_size, a power of two; the oldest at ring_head */
	size_t ring_size, ring_head, ring_count;
	size_t unacknowledged; /* of the ring */
	size_t handed_bytes;
	uint32_t packets, packets_read;    /* sent to it on this connection, ours and others'; of those, certainly read */
	uint32_t unread_packet;            /* how many it had been sent with the newest entry at QoS 0 */
	uint8_t max_qos, qos_tried;        /* of the listener that it came in by, as far as is known by having tried */
	bool size_known;                   /* facts.max_packet_size is of this connection */
	uint32_t size_taken, size_refused; /* if not: the largest entry it took, the smallest that was too large; 0: none */
	bool join_taken, join_refused;     /* if not: it took a joined message; no more of them on this connection */
	unsigned int join_tries;           /* for which the broker had no room, before it took one */
	unsigned int in_a_row;             /* handed over since it is busy, so that nothing lay between them ... */
	bool two_places;                   /* ... or not acknowledged: it was two, so its Receive Maximum is not 1 */
	size_t burst;                      /* as many as it had in flight when the broker had no room for more */
	unsigned int tries;                /* the broker has had no room for it since it was handed something last */
	int64_t not_before_ms;             /* when to try again; 0: at any time */
	size_t hollow_count;               /* of the ring */
	size_t gap_count;                  /* likewise: not acknowledged */
	bool gaps_told;                    /* and what follows from that is not done yet */
	struct hf_sent_answer *answers;    /* that it may not have read yet, the oldest first */
	size_t answer_count, answer_bytes;

	struct hf_loan *loans; /* what it has as a member of groups (group.h), and has not acknowledged */
	size_t loan_count, loan_bytes;
	bool full;       /* the broker had no room for a loan */
	bool recall_due; /* in hub->recalls: its connection ended while it had loans */
	struct hf_device *recall_next;

	bool busy;            /* handing over right now */
	bool pending;         /* in hub->pending or hub->turn: the next tick goes on with it, or this one */
	bool waiting;         /* in hub->waiting, for not_before_ms */
	bool packet_id_moved; /* by the start of the broker, and not written since */
	bool dirty;           /* cursor or subscriptions differ from the store */
	struct hf_device *pending_next, *waiting_next, *dirty_next;

	char role_session[HF_SESSION_ID_MAX + 1]; /* one remembered answer of hf_access_role */
	enum hf_role role;
};

/* Under which filters an entry is due to a device. */
struct hf_match {
	uint8_t qos;
	bool batches;     /* one of them wants no joined ones */
	uint64_t filters; /* by slot */
	size_t id_count;
	uint32_t ids[HF_IDS_MAX];
};

/* Entries that go out as one message: rollup.c. */
struct hf_rollup {
	size_t count;          /* 0: none */
	struct hf_entry first; /* into `kept` */
	uint64_t last_lsn, last_offset;
	int64_t last_time_ms;
	struct hf_token_batch batch; /* that they make */
	struct hf_match match;
	size_t text_max;
	struct hf_buffer kept, text, payload;
};

/* What waits for its time: see the table in hub.c. */
enum hf_timer {
	HF_TIMER_RECOVER,    /* the store, after a write failed */
	HF_TIMER_WAITING,    /* devices that the broker had no room for */
	HF_TIMER_INDEX,      /* write all that is derived */
	HF_TIMER_CURSORS,    /* write cursors */
	HF_TIMER_SYNC,       /* durability interval */
	HF_TIMER_ASKS,       /* questions that expire */
	HF_TIMER_LOST,       /* connections that have ended: they will not come back */
	HF_TIMER_STOP,       /* responses that were interrupted: they should have ended */
	HF_TIMER_STALL,      /* responses of which nothing comes */
	HF_TIMER_PRESENCE,   /* tell how participants are */
	HF_TIMER_AUDIENCE,   /* of the sessions that are shown: it may have changed */
	HF_TIMER_FLOOR,      /* holders that are lost */
	HF_TIMER_STATE,      /* announce the states of sessions */
	HF_TIMER_RECEIPTS,   /* close pages that have been open for long */
	HF_TIMER_REFUSALS,   /* write down how many there were */
	HF_TIMER_ASKED,      /* write down which questions went on */
	HF_TIMER_SEAL,       /* the audit */
	HF_TIMER_AUDIT_KEEP, /* remove what of it is too old */
	HF_TIMER_REST,       /* look for sessions to put to rest */
	HF_TIMER_SWEEP,      /* retention of sessions at rest, and by age */
	HF_TIMER_ERASE,      /* go on with what is to go */
	HF_TIMER_INQUIRIES,  /* answer those that are done */
	HF_TIMER_FORGET,     /* what an identity has published */
	HF_TIMER_GROUPS,     /* workers may have room */
	HF_TIMER_GROUPS_END, /* look for groups that nobody has joined for long */
	HF_TIMER_COUNT
};

/* The walk over the records of all sessions: see retention.c. */
struct hf_sweep {
	char at[HF_SESSION_ID_MAX]; /* the session that it has come to */
	size_t at_len;
	bool unfinished;      /* there is more to remove from that one */
	bool wanted;          /* a session has limits of its own, or is to be erased: not for the options' sake alone */
	uint64_t shortest_ms; /* age that a session is kept; UINT64_MAX: none by age */
};

struct hf_hub {
	struct hf_options options;
	struct hf_broker broker;
	struct hf_store *store;
	struct hf_access *access;
	struct hf_device *devices;
	uint64_t device_number; /* of the one made last */
	struct hf_session *sessions;
	struct hf_person *people;
	struct hf_person *gateway; /* wake.h; NULL: none */
	struct hf_device *wild;
	struct hf_shown *shown; /* shared.c */
	uint64_t counting;      /* which walk over an audience it is */
	struct hf_device *pending, *turn;
	struct hf_device *waiting;
	struct hf_device *dirty;
	struct hf_lost *lost, *losses;          /* presence.h: by client id; by time */
	struct hf_participant *changed, *later; /* presence.h */
	struct hf_response *streams;            /* open ones, by when their last batch came */
	struct hf_response *stopping;           /* those that are interrupted */
	int64_t restart_grace_until_ms;         /* on the monotonic clock */
	struct hf_device *recalls;              /* whose loans are to be called back */
	struct hf_group *groups;
	struct hf_group *any_groups; /* with a member online, and a filter that names no one session */
	struct hf_group *pending_groups;
	struct hf_group *dirty_groups;
	struct hf_loan *loans; /* by handle */
	struct hf_buffer scratch, page;
	struct hf_rollup rollup; /* of the device that is being pumped */
	struct hf_buffer kept;   /* a filter as the broker keeps it */
	struct hf_buffer fact;   /* the value of one that was read or is to be put */
	int64_t clock_ahead_ms;  /* of hf_hub_clock_ms to the monotonic clock */
	struct hf_page *pages;   /* of receipts, open: receipts.h */
	struct hf_page *dirty_pages;
	uint64_t page_number;
	struct hf_buffer receipts;    /* scratch */
	struct hf_refusals *refusals; /* of clients that were refused something lately: audit.c */
	struct hf_asked *asked;       /* questions over $CONTROL in this minute: admin/asked.c */
	size_t asked_bytes;
	struct hf_sweep sweep;
	struct hf_erasure *erasures;  /* erase.c: those that have entries left ... */
	struct hf_erasure *emptied;   /* ... and those of which something may be left in the store's files */
	bool scrubs_session;          /* the store is at work for the first of these */
	struct hf_inquirer *inquirer; /* admin/inquiries.c; and, once there was an inquiry, ... */
	void (*inquiries)(
		struct hf_hub *hub, bool end); /* ... what answers those that are done, or ends it all. So the simulation, whose
										  store has no audit to be asked, does without */
	struct hf_kick *kicks;             /* connections that are to end: admin/kicks.c */
	struct hf_forgetting *forgettings; /* forget.h: the first is under way */
	struct hf_hold_on *holds;          /* legal ones: holds.h ... */
	size_t identity_holds;             /* ... of these, on identities */
	unsigned int unflushed;            /* entries since the index was written */
	int64_t due_ms[HF_TIMER_COUNT];    /* on the monotonic clock; 0: not set */
};

/* sessions.c */
struct hf_session *hf_session_use(struct hf_hub *hub, struct hf_slice id);       /* NULL: no memory */
enum hf_reason hf_session_begin(struct hf_hub *hub, struct hf_session *session); /* session->log is there after HF_OK */
void hf_session_active(struct hf_hub *hub, struct hf_session *session); /* after a restart it must be looked at */
enum hf_reason hf_sessions_resume(struct hf_hub *hub); /* those that were active when the broker ended */
void hf_sessions_rest(struct hf_hub *hub, bool all);
void hf_session_leave(struct hf_hub *hub, struct hf_session *session); /* out of memory, if nothing holds it there */
void hf_session_state_changed(struct hf_hub *hub, struct hf_session *session, bool at_once);
struct hf_slice hf_session_id(const struct hf_session *session);
void hf_session_show_state(struct hf_hub *hub, struct hf_session *session);
bool hf_session_is_news(
	struct hf_hub *hub, const struct hf_topic *topic, struct hf_slice payload); /* no newer one has overtaken it */
bool hf_session_watched(
	const struct hf_hub *hub, const struct hf_session *session, enum hf_kind kind); /* has somebody a filter for it? */
void hf_sessions_announce(struct hf_hub *hub);
void hf_wild_changed(struct hf_hub *hub); /* who has a filter with a wildcard in the session */
void hf_sessions_look_at_audiences(struct hf_hub *hub);
uint64_t hf_session_head(const struct hf_session *session);
/* Tells sessions from each other in what is kept of entries of any session; 0 for a device whose filters all name
 * theirs. */
uint32_t hf_session_number(const struct hf_device *device, struct hf_slice session);

/* devices.c */
struct hf_device *hf_device_find(const struct hf_hub *hub, const char *id);
void hf_device_set_address(struct hf_device *device, const char *address);
struct hf_device *hf_device_make(struct hf_hub *hub, const char *id, const char *identity);
void hf_device_forget(struct hf_hub *hub, struct hf_device *device);
void hf_device_pend(struct hf_hub *hub, struct hf_device *device, unsigned int in_ms);
void hf_device_wait(
	struct hf_hub *hub, struct hf_device *device, unsigned int ms); /* it goes on then; sooner, if it waits already */
void hf_devices_go_on(struct hf_hub *hub);                          /* those that pend */
void hf_devices_wait_over(struct hf_hub *hub);                      /* HF_TIMER_WAITING */
void hf_device_dirty(struct hf_hub *hub, struct hf_device *device);
void hf_device_note(struct hf_hub *hub, struct hf_device *device); /* before it is handed anything */
enum hf_role hf_device_role(struct hf_hub *hub, struct hf_device *device, struct hf_slice session);
enum hf_role hf_identity_role(const struct hf_hub *hub, const char *identity, struct hf_slice session);
bool hf_identity_reads_some(const struct hf_hub *hub, const char *identity);

/* hub.c */
enum hf_reason hf_hub_flush(struct hf_hub *hub); /* index, responses, cursors: all that is derived */
/* Unix ms on a clock that does not step while the broker runs. After a restart it goes on with the wall clock, but not
 * before the newest entry. What has to outlive the broker is timed by it. */
int64_t hf_hub_clock_ms(const struct hf_hub *hub);
void hf_hub_due(struct hf_hub *hub, enum hf_timer timer, unsigned int in_ms); /* unless it is set, to whenever */
void hf_hub_due_by(
	struct hf_hub *hub, enum hf_timer timer, unsigned int in_ms); /* unless it is set to an earlier time */
void hf_say(struct hf_hub *hub, enum hf_log_level level, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
