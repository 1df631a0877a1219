/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every way in which Holdfast can say no, in one table: the number that functions return, the name that
 * travels on the wire (S/error, history answers) and the sentence that people read. They cannot drift apart. 1 marks
 * those that say a limit was reached: a publisher of MQTT 5 is told Quota exceeded (0x97), and Not authorized (0x87)
 * else.
 *
 * Names on the wire are part of the interface: add, never rename.
 */
#ifndef HF_CODEC_REASON_H
#define HF_CODEC_REASON_H

#include <stdbool.h>

/* clang-format off */
#define HF_REASON_TABLE(X) \
	X(OK,                   0, "ok",                   "done") \
	X(TOPIC_OUTSIDE,        0, "topic-outside",        "the topic is not under the root") \
	X(TOPIC_INVALID,        0, "topic-invalid",        "a session has no such topic; the topic table in README lists them") \
	X(TOPIC_RESERVED,       0, "topic-reserved",       "only Holdfast itself publishes on this topic") \
	X(TOPIC_UNSUPPORTED,    0, "topic-unsupported",    "this version of Holdfast does not serve this topic yet") \
	X(TOPIC_NOT_LOGGED,     0, "topic-not-logged",     "the log has no entries of such a topic: it is tokens, input, event, signal, ask, answer, notice, shared or shared/{key}") \
	X(SESSION_ID_INVALID,   0, "session-id-invalid",   "a session id has 1 to 64 characters of A-Z a-z 0-9 _ . -") \
	X(SESSION_UNKNOWN,      0, "session-unknown",      "there is no session with this id yet") \
	X(SESSION_CLOSED,       0, "session-closed",       "the session has ended; its id is not used again") \
	X(SESSION_ERASED,       0, "session-erased",       "the session was erased; its id is not used again") \
	X(RETENTION_INVALID,    0, "retention-invalid",    "what is kept is limited to an age of a second or more, in ms, and to at least one byte and one entry; 0 is no limit") \
	X(HELD,                 0, "held",                 "it, or something in it, is under a legal hold: nothing of that is removed until the hold is lifted") \
	X(HOLD_UNKNOWN,         0, "hold-unknown",         "there is no such legal hold") \
	X(NOT_AUTHENTICATED,    0, "not-authenticated",    "anonymous clients have no role here; connect with a user name") \
	X(NOT_PERMITTED,        0, "not-permitted",        "the role of this identity does not allow it in this session") \
	X(FILTER_INVALID,       0, "filter-invalid",       "the topic filter cannot match anything in a session") \
	X(FILTER_BROAD,         0, "filter-broad",         "behind a position a filter begins with the root: about other topics Holdfast does not decide") \
	X(POSITION_INVALID,     0, "position-invalid",     "a position is earliest, latest, an offset from 1, -N or @ and Unix milliseconds; behind it there may be ,batches") \
	X(POSITION_AHEAD,       0, "position-ahead",       "the offset lies beyond the head of the session") \
	X(SHARE_INVALID,        0, "share-invalid",        "a group is given entries: its filter must match some, and be no longer than 1024 bytes with its name") \
	X(SHARES_TOO_MANY,      0, "shares-too-many",      "there are too many groups ($share); those that nobody needs end with UNSUBSCRIBE") \
	X(PAYLOAD_TOO_LARGE,    1, "payload-too-large",    "the payload is larger than the option payload_max allows") \
	X(PAYLOAD_MALFORMED,    0, "payload-malformed",    "the payload is not well-formed CBOR, or ends too early, or has bytes left over") \
	X(PAYLOAD_INVALID,      0, "payload-invalid",      "the payload is CBOR but does not follow the schema of this topic") \
	X(PROPERTIES_TOO_LARGE, 1, "properties-too-large", "the MQTT properties of the publish are too large to store") \
	X(CONDITION_INVALID,    0, "condition-invalid",    "the user property id takes 1 to 255 bytes, expect-offset and epoch a number, and each may be there once") \
	X(ID_REUSED,            0, "id-reused",            "the same identity has used this id, or this seq of the response, for another publish") \
	X(EXPECT_FAILED,        0, "expect-failed",        "expect-offset is not the newest offset") \
	X(SHARED_FULL,          1, "shared-full",          "the shared state of the session has as many keys, or bytes, as it may have; an empty value removes a key") \
	X(COMMAND_UNKNOWN,      0, "command-unknown",      "there is no such command; schemas/control.cddl has them all") \
	X(REQUEST_MALFORMED,    0, "request-malformed",    "the request is not one JSON object with an array 'commands'") \
	X(REQUEST_TOO_LARGE,    1, "request-too-large",    "a request has at most 64 KiB and 100 commands, and looks at only so much; what is left goes into another one") \
	X(ANSWER_TOO_LARGE,     1, "answer-too-large",     "the answer did not fit into the client's Maximum Packet Size or the broker's memory; commands that change something were carried out") \
	X(ARGUMENT_INVALID,     0, "argument-invalid",     "an argument of the command is missing, unknown, or not what it must be") \
	X(STOPPED,              0, "stopped",              "the broker is being stopped") \
	X(EPOCH_STALE,          0, "epoch-stale",          "the epoch is not that of the floor: somebody has taken the floor since") \
	X(FLOOR_HELD,           0, "floor-held",           "somebody else has the floor") \
	X(FLOOR_OPEN,           0, "floor-open",           "nobody has the floor; who needs it claims it first") \
	X(FLOOR_NOT_OFFERED,    0, "floor-not-offered",    "the floor is not offered to this identity") \
	X(FLOOR_RECIPIENT,      0, "floor-recipient",      "the floor goes to an agent or operator of the session who does not have it") \
	X(SEQ_GAP,              0, "seq-gap",              "the batch is not the next one of its response") \
	X(RESPONSE_CLOSED,      0, "response-closed",      "the response has ended; begin another with a new id") \
	X(RESPONSES_TOO_MANY,   1, "responses-too-many",   "this session has too many open responses") \
	X(UNATTENDED,           0, "unattended",           "no user or operator is there to read it; end the response as cancelled, or go on when S/state says that somebody is back") \
	X(ASK_EXISTS,           0, "ask-exists",           "the session has had a question with this id; ask with a new one") \
	X(ASKS_TOO_MANY,        1, "asks-too-many",        "this identity has too many open questions in this session") \
	X(ASK_UNKNOWN,          0, "ask-unknown",          "the session has no question with this id") \
	X(ASK_ANSWERED,         0, "ask-answered",         "somebody else's answer was first, or another one of your own") \
	X(ASK_EXPIRED,          0, "ask-expired",          "the question has expired") \
	X(NOT_ASKED,            0, "not-asked",            "the question names who may answer it, and this identity is not among them") \
	X(ANSWER_INVALID,       0, "answer-invalid",       "the answer must be one of the question's choices, or text where it has none") \
	X(RESPONSE_TOPIC,       0, "response-topic",       "a Response Topic lies outside the root, does not begin with $ and has no wildcard; requests need one") \
	X(PAGE_TOO_LARGE,       0, "page-too-large",       "not one entry of the page fits into the client's Maximum Packet Size") \
	X(REQUESTS_TOO_MANY,    1, "requests-too-many",    "the client has not acknowledged the answers to earlier requests") \
	X(PRESENCE_OTHER,       0, "presence-other",       "a participant speaks for itself: under presence/ and its own identity, percent-encoded") \
	X(SESSIONS_TOO_MANY,    1, "sessions-too-many",    "this device takes part in too many sessions") \
	X(LIMIT_INVALID,        0, "limit-invalid",        "a page holds at least one entry and at most as many as the option history_page allows") \
	X(BRIDGE_UNSUPPORTED,   0, "bridge-unsupported",   "publishes under the root that were not checked by Holdfast are refused; mount points are not supported") \
	X(ROLES_INVALID,        0, "roles-invalid",        "a line of the roles file is not 'identity-pattern role session-patterns'") \
	X(QUERY_INVALID,        0, "query-invalid",        "the question to the audit makes no sense, or the place to go on from is none") \
	X(RECORD_CORRUPT,       0, "record-corrupt",       "a stored record does not decode; see the broker's log") \
	X(STORE_FAILED,         0, "store-failed",         "the store did not accept the write; see the broker's log") \
	X(STORE_BUSY,           0, "store-busy",           "the store is locked by another process") \
	X(STORE_OTHER_FORMAT,   0, "store-format",         "the store was written by another version of Holdfast") \
	X(KEY_UNUSABLE,         0, "key-unusable",         "the key that seals the audit cannot be used; see the broker's log") \
	X(NOT_AUDITED,          0, "not-audited",          "there is no proof yet: the option audit is off, or the broker has only just started") \
	X(NO_MEMORY,            0, "no-memory",            "the broker is out of memory")
/* clang-format on */

enum hf_reason {
#define HF_REASON_NUMBER(number, limit, name, sentence) HF_##number,
	HF_REASON_TABLE(HF_REASON_NUMBER)
#undef HF_REASON_NUMBER
		HF_REASON_COUNT
};

/* The name on the wire, and the sentence. Static strings; never NULL, also for numbers out of range. */
const char *hf_reason_name(enum hf_reason reason);
const char *hf_reason_sentence(enum hf_reason reason);
/* Was a limit reached? False also for numbers out of range. */
bool hf_reason_is_limit(enum hf_reason reason);

#endif
