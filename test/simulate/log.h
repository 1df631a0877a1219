/* SPDX-License-Identifier: BSD-3-Clause */
/* The log as it must be: what was published and stored, in order. */
#ifndef HF_TEST_SIMULATE_LOG_H
#define HF_TEST_SIMULATE_LOG_H

#include "codec/buffer.h"
#include "world.h"

/* A publish under way: the entry it will be, should it be stored. */
void log_prepare(const struct entry *entry);
bool log_pending(void);
void log_forget(void);

/* It is stored, as the next entry of the log. */
void log_commit(bool hidden);

/* The hub has appended a notice of its own. */
void log_noticed(const struct hf_entry *seen);

/* Retention has removed an entry. */
void log_removed(uint64_t lsn);
uint64_t log_tail(unsigned session); /* the first offset that is left; behind the head: none is */

/* The newest LSN, and offset of a session, that the hub knows of: an entry whose append failed is hidden from it until
 * the store recovers. */
uint64_t log_head(void);
uint64_t log_session_head(unsigned session);

/* Does this entry, as handed over, say what the log says? */
void log_check(const struct hf_entry *entry);

/* Of several that were joined: are they what the log says, one behind the other? */
void log_check_joined(const struct hf_entry *entry, uint64_t first_offset);

/* Is this entry one of those that were joined from `first` to `last`? */
bool log_is_part(uint64_t lsn, uint64_t first, uint64_t last);

/* The size of the packet that an entry makes, near enough; first_offset as in struct hf_message. */
uint32_t log_packet_size(const struct hf_entry *entry, uint64_t first_offset);

/* What an entry consists of; buffers are the caller's. */
void log_payload(const struct entry *entry, struct hf_buffer *out);
void log_properties(const struct entry *entry, struct hf_buffer *out);
const char *log_id(const struct entry *entry);                     /* valid until the next call */
void log_topic(const struct entry *entry, char *out, size_t size); /* with root and session */

/* What a token batch must come to: HF_OK and *repeat, or the reason. */
enum hf_reason log_response_check(const struct entry *entry, bool *repeat);

/* What a publish with an id must come to, when that was used before: likewise. */
enum hf_reason log_id_check(const struct entry *entry, bool *repeat);

/* What a question or an answer must come to; *because: the entry for which it is refused, NULL: there is none. */
enum hf_reason log_ask_check(const struct entry *entry, bool *repeat, const struct entry **because);

const char *log_identity(const struct entry *entry);
/* The entry with the latest value of a key, 0: nobody has written one. */
uint64_t log_newest(unsigned session, unsigned key);

/* The entry of a batch that is stored, NULL: there is none. */
const struct entry *log_batch(unsigned session, unsigned identity, unsigned response, uint64_t seq);

/* Is this the retained state that a session must have? True also if that cannot be told: with two or more open
 * responses, whose order is nobody's promise, and with open questions, whose deadlines the hub alone knows. */
bool log_state_is(unsigned session, struct hf_slice payload);

#endif
