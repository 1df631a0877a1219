/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who got an entry, and who did not, and why: of every device that was sent it, or was subscribed to it when it was
 * published. Members of groups ($share) are there when they were sent it; of those who were not, nobody was meant more
 * than another.
 */
#ifndef HF_QUERY_READERS_H
#define HF_QUERY_READERS_H

#include "query/query.h"

/* What became of the entry for a device; names are part of the interface: add, never rename. */
#define HF_FATE_TABLE(X)                                                                                               \
	X(ACKNOWLEDGED, "acknowledged", "it has acknowledged it")                                                          \
	X(REJECTED, "rejected", "sent, and it would not have it")                                                          \
	X(UNACKNOWLEDGED, "unacknowledged", "sent, and not acknowledged")                                                  \
	X(SENT, "sent", "sent; nothing more will be known")                                                                \
	X(ANSWERED, "answered", "sent in answer to a request for history")                                                 \
	X(TOO_LARGE, "too-large", "not sent: too large for it")                                                            \
	X(GONE, "gone", "not sent: removed by retention before that")                                                      \
	X(WITHHELD, "withheld", "not sent: it had no right to read the session")                                           \
	X(OFFLINE, "offline", "not sent: it was away, and has not been back")                                              \
	X(LEFT, "left", "not sent: before that it had given up its subscription, or its session had ended")                \
	X(WAITING, "waiting", "not sent yet")

enum hf_fate {
#define HF_FATE_NUMBER(id, name, words) HF_FATE_##id,
	HF_FATE_TABLE(HF_FATE_NUMBER)
#undef HF_FATE_NUMBER
		HF_FATE_COUNT
};

const char *hf_fate_name(enum hf_fate fate);
const char *hf_fate_words(enum hf_fate fate);

struct hf_entry_reader {
	struct hf_slice identity, device, address;
	enum hf_fate fate;
	uint64_t times;     /* that it was sent: more than 1 where the connection had broken, or it asked again */
	int64_t sent_ms;    /* first; of TOO_LARGE and GONE, when it was told; 0: never */
	int64_t settled_ms; /* when it was acknowledged or rejected; 0: was not */
};

struct hf_entry_readers {
	struct hf_item entry;          /* slices are valid until hf_entry_readers_free */
	struct hf_entry_reader *array; /* those who were sent it first, in that order; then the others, by device */
	size_t count;
	struct hf_cursor *cursor; /* keeps the entry */
	struct hf_buffer texts;   /* of the array */
};

/* *found is false when the session has had no such entry. HF_OK, and as hf_query_open. Free in every case. */
enum hf_reason hf_entry_readers(
	struct hf_store *store, struct hf_slice session, uint64_t offset, struct hf_entry_readers *out, bool *found);
void hf_entry_readers_free(struct hf_entry_readers *readers);

#endif
