/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Groups ($share): devices that share the entries under one filter, each entry going to one of them.
 *
 *     hub ── groups, by name and filter ──┬── workers: a device's subscription, also of one that is away
 *                                         └── lanes: sessions with something unfinished ── loans
 *
 * A group has one position in the log, `passed`: every entry due up to it was acknowledged, or is in a lane. A lane is
 * a session in which something is not finished: entries that a worker has and has not acknowledged (loans), entries
 * that nobody has since their worker is gone (idle loans), and entries that could not be handed to anybody yet (`next`
 * and what follows it, up to the group's position).
 *
 * While a worker has entries of a session, those that follow go to it, too. So those who work through a session see it
 * in order, and when one is lost, the next one goes on behind what was acknowledged.
 */
#ifndef HF_SESSION_GROUP_H
#define HF_SESSION_GROUP_H

#include "session/internal.h"

#define HF_GROUPS_MAX 10000     /* in all ... */
#define HF_GROUPS_EACH_MAX 1000 /* ... and begun by one identity */
#define HF_GROUP_KEY_MAX 1024   /* name and filter, bytes */
#define HF_LANES_MAX 10000      /* of one group: it does not go on in the log before there are fewer */
#define HF_GROUP_IDENTITIES_MAX 64
#define HF_GROUP_RETRY_MS 250 /* nothing tells when a worker that had no room has some again */

/* An entry handed to a worker and not acknowledged; or one that is to be handed over again. */
struct hf_loan {
	UT_hash_handle hh; /* by handle, while a device has it */
	uint64_t handle;
	struct hf_lane *lane;
	struct hf_device *device;    /* NULL: idle */
	struct hf_loan *prev, *next; /* of the lane, by offset */
	struct hf_loan *device_prev, *device_next;
	uint64_t lsn, offset;
	uint32_t bytes;
	uint32_t packet; /* how many packets the client had been sent with it */
	uint16_t packet_id;
};

struct hf_lane {
	UT_hash_handle hh; /* of the group, by session id */
	struct hf_group *group;
	char session[HF_SESSION_ID_MAX + 1];
	struct hf_loan *loans;
	size_t idle;           /* loans */
	uint64_t next_offset;  /* the first that was not handed over; 0: there is none, up to group->passed */
	struct hf_lane **list; /* it is on: group->ready, group->waiting, a worker's waiting; NULL: none */
	struct hf_lane *prev, *next;
	bool dirty;  /* differs from the store */
	bool stored; /* the store has it */
};

struct hf_worker {
	struct hf_group *group;
	struct hf_device *device;
	struct hf_worker *prev, *next; /* of the group: whoever was handed something last is last */
	struct hf_lane *waiting;       /* that only it may go on with, and it has no room */
	uint64_t ruled_out;            /* for the errand of this number: it is too large for it */
	uint32_t identifier;
	uint8_t qos;
	bool online;
};

/* Somebody who is, or was, a worker. What is due to the group is what one of these may read. */
struct hf_group_identity {
	char *name;      /* NULL: anonymous */
	int64_t seen_ms; /* Unix ms: was a worker then */
};

struct hf_group {
	UT_hash_handle hh; /* of the hub, by key */
	struct hf_hub *hub;
	char *key;                    /* {name}/{filter} */
	struct hf_subscription place; /* the filter, in key; and where it began */
	uint64_t passed;
	uint64_t beyond;          /* where the filter names a session: its first offset behind `passed` */
	uint64_t told;            /* it knows of truncations up to this stamp (hf_store_stamp) */
	uint64_t errands, handed; /* counted */
	bool at_head;             /* everything due up to the head of the log has passed */
	bool stopped;             /* it does not go on before a worker has room, or a retry */
	bool pending;             /* the next tick goes on with it */
	bool dirty;
	struct hf_group *prev, *next; /* while a worker is online: hub->any_groups, or the session's */
	struct hf_group *pending_next, *dirty_next;
	struct hf_session *session; /* while a worker is online: the one its filter names */
	struct hf_worker *workers;
	size_t online;
	struct hf_lane *lanes;   /* by session */
	struct hf_lane *ready;   /* can go on ... */
	struct hf_lane *waiting; /* ... when a worker has room; those on no list: when somebody comes who may read them */
	struct hf_group_identity *identities;
	size_t identity_count;
	int64_t left_ms; /* Unix ms: it has no worker since; 0: it has */
};

/* ---- groups.c: where they begin, when they end */

struct hf_group *hf_group_find(const struct hf_hub *hub, const struct hf_filter *filter);
struct hf_group *hf_group_make(
	struct hf_hub *hub, struct hf_slice key); /* at the head; NULL: no memory, or of another root */
struct hf_group *hf_group_find_or_make(struct hf_hub *hub, const struct hf_filter *filter); /* NULL: no memory */
enum hf_reason hf_group_place(struct hf_group *group, struct hf_position position);
void hf_group_dirty(struct hf_group *group);
void hf_group_end(struct hf_group *group); /* freed, and off the disk with the next write; it has no workers */
void hf_groups_start(struct hf_hub *hub);  /* the devices are loaded */
void hf_groups_expire(struct hf_hub *hub);
void hf_groups_reloaded(struct hf_hub *hub); /* the roles */
void hf_groups_free(struct hf_hub *hub);

/* ---- workers.c: who is in which group */

/* May this device join? HF_OK, HF_SHARE_INVALID, HF_SHARES_TOO_MANY. */
enum hf_reason hf_group_may_join(
	const struct hf_hub *hub, const struct hf_device *device, const struct hf_filter *filter);
/* Join, or join again: *worker is set, or kept. The group, where it is new or begins anew, is on disk. */
enum hf_reason hf_group_join(struct hf_hub *hub, struct hf_device *device, const struct hf_filter *filter,
	uint8_t options, uint32_t identifier, struct hf_worker **worker);
/* A worker that is in the store, while that is loaded; NULL: no memory. */
struct hf_worker *hf_group_rejoin(
	struct hf_hub *hub, struct hf_device *device, const struct hf_filter *filter, uint8_t options, uint32_t identifier);
/* The worker is freed. `asked`: by its client, with UNSUBSCRIBE; the last one takes the group with it. */
void hf_group_leave(struct hf_worker *worker, bool asked);
void hf_workers_online(struct hf_device *device);
void hf_workers_offline(struct hf_device *device);
struct hf_worker *hf_group_worker(const struct hf_group *group, const struct hf_device *device);

bool hf_group_remember(struct hf_group *group, const char *identity, int64_t seen_ms); /* false: no memory */
bool hf_group_remembers(const struct hf_group *group, struct hf_slice session);        /* somebody who may read it? */
void hf_group_forget(struct hf_group *group, int64_t before_ms);                       /* who was not seen since then */
void hf_group_reconsider(struct hf_group *group);

/* ---- lanes.c: the books */

struct hf_lane *hf_lane_find(const struct hf_group *group, struct hf_slice session);
struct hf_lane *hf_lane_make(struct hf_group *group, struct hf_slice session); /* found or new; NULL: no memory */
void hf_lane_queue(struct hf_lane *lane, struct hf_lane **list);               /* NULL: off all */
void hf_lanes_queue(struct hf_lane **from, struct hf_lane **to);               /* all of a list */
void hf_lane_dirty(struct hf_lane *lane);
bool hf_lane_works(const struct hf_lane *lane);               /* is there something to hand over? */
void hf_lane_settle(struct hf_lane *lane);                    /* free it if nothing is unfinished */
void hf_lane_drop(struct hf_lane *lane);                      /* with all that is unfinished */
struct hf_device *hf_lane_holder(const struct hf_lane *lane); /* who has entries of it; NULL: nobody */

struct hf_loan *hf_loan_make(struct hf_lane *lane, uint64_t lsn, uint64_t offset); /* idle; NULL: no memory */
void hf_loan_lend(struct hf_loan *loan, struct hf_device *device);                 /* handle and the like are set */
void hf_loan_return(struct hf_loan *loan);                                         /* idle again */
void hf_loan_free(struct hf_loan *loan);                                           /* alone */
void hf_loan_done(struct hf_loan *loan); /* freed, and its lane if that is all */
struct hf_loan *hf_loan_find(const struct hf_hub *hub, uint64_t handle);
void hf_loans_return(struct hf_device *device); /* all it has */

/* ---- dispatch.c: handing over */

enum hf_errand_end {
	HF_ERRAND_DONE,
	HF_ERRAND_LATER,   /* those who might take it have no room: go on with other sessions */
	HF_ERRAND_STOPPED, /* nobody has room */
	HF_ERRAND_HELD,    /* nobody who is here might take it; somebody who was here might */
	HF_ERRAND_NEVER,   /* nobody might, of all who are or were here */
};

struct hf_errand {
	struct hf_lane *lane;
	const struct hf_entry *entry; /* NULL: the mark that it will not come */
	struct hf_slice mark;
	struct hf_loan *loan;    /* of the entry, where it has one */
	struct hf_worker *wants; /* HF_ERRAND_LATER: who has to take it; NULL: any of them */
	uint8_t qos;             /* HF_ERRAND_DONE: at which it was handed over */
};
enum hf_errand_end hf_group_hand(struct hf_hub *hub, struct hf_errand *errand);
void hf_errand_put_off(struct hf_errand *errand, enum hf_errand_end end); /* its lane, to where it will be found */
bool hf_group_covers(struct hf_group *group, const struct hf_entry *entry);
bool hf_group_listens_for_marks(const struct hf_group *group);
bool hf_group_pass(
	struct hf_group *group, const struct hf_entry *entry); /* the next of the log; false: it cannot pass now */
void hf_groups_offer(struct hf_hub *hub, struct hf_session *session, const struct hf_entry *entry); /* just stored */

/* ---- group_pump.c: from the log */

void hf_group_pend(struct hf_group *group); /* the next tick goes on with it */
void hf_groups_go_on(struct hf_hub *hub);   /* those that pend */
void hf_groups_retry(struct hf_hub *hub);   /* workers may have room by now */
void hf_groups_rewind(struct hf_hub *hub);  /* there may be entries below the head that were never offered */
void hf_group_room(struct hf_hub *hub, struct hf_device *device); /* it may have room again */

/* ---- loans.c: what becomes of what workers have */

bool hf_loan_delivered(struct hf_hub *hub, uint64_t handle, enum hf_outcome outcome); /* false: it is no loan's */
void hf_loans_lost(struct hf_hub *hub, struct hf_device *device);                     /* its connection has ended */
void hf_loans_recall(struct hf_hub *hub); /* of those that have not come back */
void hf_loans_spare_packet_ids(struct hf_device *device);

/* ---- group_store.c */

enum hf_reason hf_groups_put(struct hf_hub *hub); /* what is dirty, into what the store has pending */
enum hf_reason hf_groups_load(struct hf_hub *hub);
/* Groups that are at the head take note of where it is when it is so far from where they were: then a start need not
 * search from there. */
void hf_groups_note_head(struct hf_hub *hub, uint64_t far);
void hf_group_note_head(struct hf_group *group); /* one that is at the head */

#endif
