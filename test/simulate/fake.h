/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A broker that behaves as Mosquitto 2.1 does towards the session logic (broker.h, plugin/broker): for each client a
 * list of messages in flight, bounded by its Receive Maximum, a queue behind it, a socket that may be full; it calls
 * the hub in the order of Mosquitto's events. It dies with the process.
 *
 * Not as in Mosquitto: a failing PUBREC, and a message given up because it is too large, release their slot of the
 * Receive Maximum (2.1.2 forgets to: handle_pubrec.c, database.c).
 *
 *     fake.c          struct hf_broker; messages in flight, queued, transmitted
 *     documents.c     are marks and errors true?
 *     retained.c      the state of sessions and shared values, retained and published
 *     connections.c   connecting, taking over, going, expiring
 *     requests.c      what clients ask for: publish, subscribe, unsubscribe
 *     clients.c       what clients do with what they get
 */
#ifndef HF_TEST_SIMULATE_FAKE_H
#define HF_TEST_SIMULATE_FAKE_H

#include "reader.h"
#include "world.h"

#define GROUP_ID 100 /* the Subscription Identifier of a group's workers: this and its number */

enum what {
	WHAT_ENTRY,
	WHAT_DOCUMENT, /* a mark or an error */
	WHAT_LOAN,     /* an entry, or the mark that it will not come, as a worker of a group */
	WHAT_OTHER,    /* the broker's own: not from hand() */
};

enum state {
	STATE_PUBLISH,      /* to be transmitted */
	STATE_WAIT,         /* for PUBACK or PUBREC */
	STATE_WAIT_PUBCOMP, /* PUBREL is out */
	STATE_RESEND_PUBREL,
};

struct message {
	enum what what;
	enum state state;
	uint64_t handle;
	uint64_t lsn;   /* of an entry; of a gap mark, the entry that will not come */
	uint64_t first; /* of joined ones the first, lsn being the last; else the same */
	uint64_t after; /* of a caught-up mark: the entry that it must not overtake */
	uint32_t pass, size;
	uint16_t mid;
	uint8_t qos;
	bool dup;
	bool truncation; /* the mark that entries were removed */
	bool orphan;     /* let go: see reader_lets_go */
	uint8_t group;   /* of a loan ... */
	uint32_t life;   /* ... and the group's life */
	char topic[64];
};

struct messages {
	struct message *data;
	size_t count, size;
};

/* Something the client has received and may answer. */
struct receipt {
	uint16_t mid;
	uint8_t qos;
	bool pubrel; /* QoS 2: it has received PUBREL; else PUBLISH */
};

struct context {
	bool exists, connected, persisted, blocked;
	bool emptied; /* its session was given up by the broker, which told nobody */
	bool spoilt;  /* a joined message was too large for it, on this connection */
	uintptr_t token;
	uint32_t expiry; /* s; UINT32_MAX: never */
	unsigned receive_maximum, quota;
	uint32_t max_packet; /* 0: any */
	uint8_t max_qos;     /* of its listener */
	uint16_t last_mid;
	struct messages inflight, queued;
	struct messages outbox; /* written, while the socket takes no more */
	struct receipt inbox[HELD];
	unsigned inbox_count;
};

extern struct context contexts[READERS];
extern struct hf_hub *hub;
extern uint64_t activity; /* rises whenever something was handed over, transmitted or answered */

/* What the hub may say on S/error now: set around the call that must be refused. */
struct refusal {
	bool expected, told;
	unsigned reader, session;
	enum hf_reason reason;
	uint64_t next_seq;
	const struct entry *because; /* NULL: none */
	char topic[140];
};
extern struct refusal refusal;

void fake_broker(struct hf_broker *out);
bool message_add(struct messages *messages, const struct message *message);
void message_remove(struct messages *messages, size_t index);
void messages_free(struct messages *messages);

/* fake.c: a message is on its way out; one of the broker's own; the turn of its loop. */
void write_all(unsigned reader);
void fill_and_write(unsigned reader);
void left_books(unsigned reader, const struct message *message, enum hf_outcome outcome);
void hand_other(unsigned reader, const char *topic, uint8_t qos);
void tick(void);
void watch_store(void); /* does it fail now? */

/* documents.c */
void check_document(unsigned reader, unsigned session, const char *rest, struct hf_slice payload, struct message *made);

/* retained.c */
void fake_retained(struct hf_broker *out); /* its part of struct hf_broker */
void deliver_own(void);
void show_retained(unsigned reader, const char *filter);
bool state_is_told(unsigned session);

/* connections.c */
struct connecting {
	bool clean, fails;
	uint32_t expiry, max_packet;
	unsigned receive_maximum;
	uint8_t max_qos;
	bool unlimited; /* MQTT 3 */
};
void client_connect(unsigned reader, const struct connecting *how);
void client_go(unsigned reader, bool will);
void client_expire(unsigned reader);
void login_fails(unsigned reader);
void fake_restore(void);
void fake_end(void);

/* requests.c */
void client_publish(unsigned reader, const struct entry *entry, bool is_will);
void client_subscribe(unsigned reader, const struct wish *wish);
void client_unsubscribe(unsigned reader, const char *filter, const char *plain);
void client_join(unsigned reader, unsigned group, const struct wish *wish);
void client_leave(unsigned reader, unsigned group, const char *filter);

/* clients.c */
void client_receive(unsigned reader, const struct message *message);
void client_receive_pubrel(unsigned reader, uint16_t mid);
bool client_answer(unsigned reader, bool nicely); /* one of what it received; false: there is nothing */
void client_unblock(unsigned reader);
void client_read_some(unsigned reader, size_t count); /* and no more for now */
void client_lost_socket(unsigned reader);

#endif
