/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rows of answers: which fields they have, under which names, in which order. The command line's JSON lines, CSV
 * and tables, and the answers over $CONTROL, are made of these. Names are part of the interface: add, never rename.
 */
#ifndef HF_QUERY_ROWS_H
#define HF_QUERY_ROWS_H

#include "query/cells.h"
#include "query/query.h"
#include "query/readers.h"
#include "query/report.h"
#include "query/seen.h"

/* What happened: one item of a query. */
#define HF_ITEM_FIELDS(X)                                                                                              \
	X(TIME, "time")                                                                                                    \
	X(KIND, "kind")                                                                                                    \
	X(SESSION, "session")                                                                                              \
	X(OFFSET, "offset")                                                                                                \
	X(IDENTITY, "identity")                                                                                            \
	X(DEVICE, "device")                                                                                                \
	X(STATE, "state")                                                                                                  \
	X(RESENT, "resent")                                                                                                \
	X(ACKNOWLEDGED, "acknowledged")                                                                                    \
	X(ROLE, "role")                                                                                                    \
	X(ADDRESS, "address")                                                                                              \
	X(TOPIC, "topic")                                                                                                  \
	X(ACT, "act")                                                                                                      \
	X(REASON, "reason")                                                                                                \
	X(DETAIL, "detail")                                                                                                \
	X(BY, "by")                                                                                                        \
	X(PROTOCOL, "protocol")                                                                                            \
	X(PORT, "port")                                                                                                    \
	X(FIRST, "first")                                                                                                  \
	X(LAST, "last")                                                                                                    \
	X(TIMES, "count")                                                                                                  \
	X(QOS, "qos")                                                                                                      \
	X(BYTES, "bytes")                                                                                                  \
	X(SHA256, "sha256")                                                                                                \
	X(REMOVED, "removed")                                                                                              \
	X(ID, "id")                                                                                                        \
	X(TEXT, "text")                                                                                                    \
	X(KEY, "key")                                                                                                      \
	X(SIGNATURE, "signature")

/* Who got an entry, and who did not: one device. */
#define HF_READER_FIELDS(X)                                                                                            \
	X(IDENTITY, "identity")                                                                                            \
	X(DEVICE, "device")                                                                                                \
	X(STATE, "state")                                                                                                  \
	X(SENT, "sent")                                                                                                    \
	X(ACKNOWLEDGED, "acknowledged")                                                                                    \
	X(TIMES, "times")                                                                                                  \
	X(ADDRESS, "address")                                                                                              \
	X(WHY, "why")

/* What an identity was sent: one entry. */
#define HF_SEEN_FIELDS(X)                                                                                              \
	X(TIME, "time")                                                                                                    \
	X(SESSION, "session")                                                                                              \
	X(OFFSET, "offset")                                                                                                \
	X(DEVICE, "device")                                                                                                \
	X(STATE, "state")                                                                                                  \
	X(RESENT, "resent")                                                                                                \
	X(ACKNOWLEDGED, "acknowledged")                                                                                    \
	X(FROM, "from")                                                                                                    \
	X(TOPIC, "topic")                                                                                                  \
	X(BYTES, "bytes")                                                                                                  \
	X(SHA256, "sha256")                                                                                                \
	X(REMOVED, "removed")

/* One count of a report. */
#define HF_COUNT_FIELDS(X)                                                                                             \
	X(BY, "by")                                                                                                        \
	X(SESSION, "session")                                                                                              \
	X(IDENTITY, "identity")                                                                                            \
	X(ACT, "act")                                                                                                      \
	X(REASON, "reason")                                                                                                \
	X(PUBLISHED, "published")                                                                                          \
	X(BYTES, "bytes")                                                                                                  \
	X(SENT, "sent")                                                                                                    \
	X(ACKNOWLEDGED, "acknowledged")                                                                                    \
	X(RESENT, "resent")                                                                                                \
	X(REJECTED, "rejected")                                                                                            \
	X(ANSWERED, "answered")                                                                                            \
	X(TOO_LARGE, "too-large")                                                                                          \
	X(GONE, "gone")                                                                                                    \
	X(CONNECTED, "connected")                                                                                          \
	X(REFUSED, "refused")                                                                                              \
	X(ASKED, "asked")

#define HF_ITEM_FIELD(id, name) HF_ITEM_##id,
enum hf_item_field { HF_ITEM_FIELDS(HF_ITEM_FIELD) HF_ITEM_FIELD_COUNT };
#undef HF_ITEM_FIELD
#define HF_READER_FIELD(id, name) HF_READER_##id,
enum hf_reader_field { HF_READER_FIELDS(HF_READER_FIELD) HF_READER_FIELD_COUNT };
#undef HF_READER_FIELD
#define HF_SEEN_FIELD(id, name) HF_SEEN_##id,
enum hf_seen_field { HF_SEEN_FIELDS(HF_SEEN_FIELD) HF_SEEN_FIELD_COUNT };
#undef HF_SEEN_FIELD
#define HF_COUNT_FIELD(id, name) HF_COUNTED_##id,
enum hf_count_field { HF_COUNT_FIELDS(HF_COUNT_FIELD) HF_COUNT_FIELD_COUNT };
#undef HF_COUNT_FIELD

extern const char *const hf_item_names[HF_ITEM_FIELD_COUNT];
extern const char *const hf_reader_names[HF_READER_FIELD_COUNT];
extern const char *const hf_seen_names[HF_SEEN_FIELD_COUNT];
extern const char *const hf_count_names[HF_COUNT_FIELD_COUNT];

/* Fill in a row. Its texts are those of what it was made of. */
void hf_item_cells(const struct hf_item *item, struct hf_cell cells[HF_ITEM_FIELD_COUNT]);
void hf_reader_cells(const struct hf_entry_reader *reader, struct hf_cell cells[HF_READER_FIELD_COUNT]);
void hf_seen_cells(const struct hf_seen_row *row, struct hf_cell cells[HF_SEEN_FIELD_COUNT]);
void hf_count_cells(const struct hf_count *count, struct hf_cell cells[HF_COUNT_FIELD_COUNT]);

#endif
