/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The documents that Holdfast writes, and the history requests that it reads. For schemas.py, which holds both
 * against the schemas, it has two other modes: `codec_document --write DIR` writes one file of each kind of
 * document; `codec_document --decode RULE` reads lines of hex and answers each with a reason.
 */
#include "codec_full.h"

#include "codec/ask.h"
#include "codec/audit.h"
#include "codec/control.h"
#include "codec/document.h"
#include "codec/notice.h"
#include "codec/presence.h"
#include "codec/properties.h"
#include "codec/signal.h"
#include "codec/signature.h"
#include "codec/token.h"
#include "codec/wake.h"

/* ---- one of each ---------------------------------------------------------------------------------------- */

static bool write_state(struct hf_buffer *out)
{
	const struct hf_document_response open[] = {
		{.id = hf_slice_of("r-7"), .identity = hf_slice_of("agent-1")},
		{.id = hf_slice_of("\xc3\xa4"), .identity = hf_slice_of("b")},
	};

	const struct hf_document_ask asks[] = {
		{.id = hf_slice_of("a-2"), .identity = hf_slice_of("b"), .offset = 990, .expires_ms = 1767225600000},
		{.id = hf_slice_of("a"), .offset = 1, .expires_ms = 1},
	};

	return hf_document_state(out, &(struct hf_document_state){
									  .head = 1000,
									  .tail = 3,
									  .open = open,
									  .open_count = 2,
									  .asks = asks,
									  .ask_count = 2,
									  .people = 2,
									  .devices = 300,
									  .caught_up = 299,
									  .floor = {.epoch = 5, .holder = hf_slice_of("a"), .to = hf_slice_of("b")},
								  });
}

static bool write_state_empty(struct hf_buffer *out)
{
	return hf_document_state(out, &(struct hf_document_state){.tail = 1, .floor = {.epoch = 1}});
}

static bool write_state_rejecting(struct hf_buffer *out)
{
	return hf_document_state(
		out, &(struct hf_document_state){.tail = 1, .floor = {.epoch = 1}, .rejects_unattended = true});
}

static bool write_caught_up(struct hf_buffer *out)
{
	return hf_document_caught_up(out, 65536, NULL);
}

static bool write_caught_up_ended(struct hf_buffer *out)
{
	return hf_document_caught_up(out, 1, "erased");
}

static bool write_state_closed(struct hf_buffer *out)
{
	return hf_document_state(
		out, &(struct hf_document_state){.head = 1, .tail = 2, .floor = {.epoch = 1}, .closed = true});
}

static bool write_ended(struct hf_buffer *out)
{
	return hf_document_ended(out, "close", 24);
}

static bool write_limited(struct hf_buffer *out)
{
	return hf_document_limits(out, "limits", 24, 1000, 1, 25);
}

static bool write_unlimited(struct hf_buffer *out)
{
	return hf_document_limits(out, "limits", 1, 0, 0, 0);
}

static bool write_notice_limits(struct hf_buffer *out)
{
	const struct hf_notice notice = {
		.kind = HF_NOTICE_LIMITS, .by = hf_slice_of("root"), .age_ms = 1000, .bytes = 1, .count = 25};

	return hf_notice_encode(&notice, out);
}

static bool write_gap(struct hf_buffer *out)
{
	return hf_document_gap(out, 1, UINT64_C(1) << 32, "truncated");
}

static bool write_error(struct hf_buffer *out)
{
	return hf_document_error(out, hf_slice_of("sessions/abc"), &(struct hf_refusal){.reason = HF_FILTER_INVALID});
}

static bool write_error_expected(struct hf_buffer *out)
{
	const struct hf_refusal refusal = {.reason = HF_SEQ_GAP, .expected = &(uint64_t){24}};

	return hf_document_error(out, hf_slice_of("sessions/abc/tokens"), &refusal);
}

static bool write_error_by(struct hf_buffer *out)
{
	const struct hf_refusal refusal = {.reason = HF_ASK_ANSWERED, .by = hf_slice_of("bob"), .offset = 7};

	return hf_document_error(out, hf_slice_of("sessions/abc/answer"), &refusal);
}

static bool write_floor_changed(struct hf_buffer *out)
{
	const struct hf_document_floor floor = {.epoch = 24, .holder = hf_slice_of("oscar")};

	return hf_document_floor_changed(out, "claim", 31, &floor);
}

static bool write_unattended_changed(struct hf_buffer *out)
{
	return hf_document_unattended_changed(out, "unattended", 31, "reject");
}

static bool write_notice_unattended(struct hf_buffer *out)
{
	const struct hf_notice notice = {
		.kind = HF_NOTICE_UNATTENDED, .by = hf_slice_of("oscar"), .mode = hf_slice_of("reject")};

	return hf_notice_encode(&notice, out);
}

static bool write_floor_open(struct hf_buffer *out)
{
	const struct hf_document_floor floor = {.epoch = 1, .to = hf_slice_of("oscar")};

	return hf_document_floor_changed(out, "transfer", 1, &floor);
}

static bool write_control_refused(struct hf_buffer *out)
{
	const struct hf_refusal refusal = {.reason = HF_FLOOR_HELD, .by = hf_slice_of("oscar")};

	return hf_document_refused(out, &refusal);
}

static bool write_notice_floor(struct hf_buffer *out)
{
	const struct hf_notice notice = {
		.kind = HF_NOTICE_FLOOR,
		.change = hf_slice_of("accept"),
		.by = hf_slice_of("oscar"),
		.epoch = 6,
		.holder = hf_slice_of("oscar"),
		.to = hf_slice_of("x"),
		.previous = hf_slice_of("a"),
	};

	return hf_notice_encode(&notice, out);
}

static bool write_notice_lease(struct hf_buffer *out)
{
	const struct hf_notice notice = {.kind = HF_NOTICE_FLOOR, .change = hf_slice_of("lease"), .epoch = 7};

	return hf_notice_encode(&notice, out);
}

static bool write_history_refused(struct hf_buffer *out)
{
	return hf_document_refused(out, &(struct hf_refusal){.reason = HF_LIMIT_INVALID});
}

static bool write_receipt(struct hf_buffer *out)
{
	const struct hf_receipt receipt = {
		.offset = 24, .time_ms = 1767225600000, .people = 1, .devices = 24, .caught_up = 2};

	return hf_document_receipt(out, &receipt);
}

static bool write_receipt_duplicate(struct hf_buffer *out)
{
	return hf_document_receipt(out, &(struct hf_receipt){.offset = 1, .time_ms = -1, .duplicate = true});
}

static bool write_receipt_placeless(struct hf_buffer *out)
{
	return hf_document_receipt(out, &(struct hf_receipt){.duplicate = true});
}

static bool write_receipt_refused(struct hf_buffer *out)
{
	return hf_document_refused(out, &(struct hf_refusal){.reason = HF_EXPECT_FAILED, .expected = &(uint64_t){0}});
}

static bool write_history_empty(struct hf_buffer *out)
{
	return hf_document_history_begin(out, 0, 1, 0, 0);
}

static bool write_notice_truncated(struct hf_buffer *out)
{
	return hf_notice_encode(&(struct hf_notice){.kind = HF_NOTICE_TRUNCATED, .first = 1, .last = 41}, out);
}

static bool write_notice_closed(struct hf_buffer *out)
{
	return hf_notice_encode(&(struct hf_notice){.kind = HF_NOTICE_CLOSED, .by = hf_slice_of("oscar")}, out);
}

static bool write_notice_ask_expired(struct hf_buffer *out)
{
	return hf_notice_encode(
		&(struct hf_notice){.kind = HF_NOTICE_ASK_EXPIRED, .id = hf_slice_of("a-2"), .from = hf_slice_of("agent")},
		out);
}

static bool write_notice_presence(struct hf_buffer *out)
{
	return hf_notice_encode(&(struct hf_notice){.kind = HF_NOTICE_PRESENCE,
								.identity = hf_slice_of("agent-1"),
								.role = hf_slice_of("agent"),
								.state = hf_slice_of(hf_presence_name(HF_PRESENCE_CRASHED)),
								.reason = hf_slice_of(hf_why_name(HF_WHY_CONNECTION_LOST))},
		out);
}

static bool write_notice_online(struct hf_buffer *out)
{
	return hf_notice_encode(&(struct hf_notice){.kind = HF_NOTICE_PRESENCE,
								.identity = hf_slice_of("bob"),
								.role = hf_slice_of("user"),
								.state = hf_slice_of(hf_presence_name(HF_PRESENCE_ONLINE)),
								.reason = hf_slice_of(hf_why_name(HF_WHY_NONE))},
		out);
}

static bool write_presence(struct hf_buffer *out)
{
	return hf_presence_encode(&(struct hf_presence_document){.identity = hf_slice_of("agent-1"),
								  .role = HF_ROLE_AGENT,
								  .state = HF_PRESENCE_STALLED,
								  .why = HF_WHY_NO_BATCH,
								  .status = hf_slice_of("reading"),
								  .devices = 1,
								  .since_ms = 1767225600000},
		out);
}

static bool write_presence_small(struct hf_buffer *out)
{
	return hf_presence_encode(&(struct hf_presence_document){.identity = hf_slice_of("bob"),
								  .role = HF_ROLE_USER,
								  .state = HF_PRESENCE_ONLINE,
								  .status = HF_SLICE_NONE,
								  .devices = 300,
								  .since_ms = -1},
		out);
}

static bool write_notice_response_closed(struct hf_buffer *out)
{
	return hf_notice_encode(&(struct hf_notice){.kind = HF_NOTICE_RESPONSE_CLOSED,
								.id = hf_slice_of("r-7"),
								.from = hf_slice_of("agent-1"),
								.reason = hf_slice_of(hf_closed_name(HF_CLOSED_AGENT_LOST))},
		out);
}

/* Content Type "text/plain", User Properties ("lang", "de"), ("lang", ""), Payload Format Indicator. */
#define PROPERTIES "\x03\0\x0atext/plain\x26\0\x04lang\0\x02\x64\x65\x26\0\x04lang\0\0\x01\x01"

/* The facts of a record of the audit, without what stands in front of them. */
static bool write_audit(struct hf_buffer *out)
{
	static const char bytes[HF_SIGNATURE_SIZE] = "\x01";
	struct hf_slice text = hf_slice_of("t");
	struct hf_audit record = {.kind = HF_AUDIT_REFUSED,
		.time_ms = 1,
		.identity = text,
		.device = text,
		.address = text,
		.session = text,
		.topic = text,
		.act = text,
		.reason = text,
		.detail = text,
		.text = text,
		.by = text,
		.protocol = text,
		.page = text,
		.blocks = text,
		.key = hf_slice_from(bytes, HF_PUBLIC_KEY_SIZE),
		.signature = hf_slice_from(bytes, HF_SIGNATURE_SIZE),
		.first = 1,
		.last = 2,
		.count = 3,
		.port = 4};

	if (!hf_audit_encode(&record, out))
		return false;
	out->len -= HF_AUDIT_HEAD;
	memmove(out->data, out->data + HF_AUDIT_HEAD, out->len);
	return true;
}

static bool write_history_page(struct hf_buffer *out, uint64_t next)
{
	const struct hf_entry input = {
		.offset = 7,
		.time_ms = 1767225600000,
		.kind = HF_KIND_INPUT,
		.role = HF_ROLE_USER,
		.qos = 1,
		.session = hf_slice_of("abc"),
		.topic = hf_slice_of("input"),
		.id = hf_slice_of("a-1"),
		.identity = hf_slice_of("alice"),
		.properties = hf_slice_from(PROPERTIES, sizeof(PROPERTIES) - 1),
		.payload = hf_slice_of("hi"),
	};
	const struct hf_entry shared = {
		.offset = 8,
		.time_ms = -1, /* a clock that was wrong is stored as it was */
		.kind = HF_KIND_SHARED,
		.role = HF_ROLE_AGENT,
		.session = hf_slice_of("abc"),
		.topic = hf_slice_of("shared/title"),
		.identity = hf_slice_of("agent-1"),
	};

	return hf_document_history_begin(out, 9, 2, next, 2) && hf_document_history_entry(out, &input) &&
		   hf_document_history_entry(out, &shared);
}

static bool write_history(struct hf_buffer *out)
{
	return write_history_page(out, 9);
}

static bool write_history_last(struct hf_buffer *out)
{
	return write_history_page(out, 0);
}

static bool write_tokens(struct hf_buffer *out)
{
	const struct hf_token_batch batch = {
		.id = hf_slice_of("r-7"),
		.seq = HF_TOKEN_SEQ_MAX,
		.text = hf_slice_of("Gr\xc3\xbc\xc3\x9f\x65"),
		.kind = hf_slice_of("reasoning"),
		.data = hf_slice_from("\x9f\x01\xff", 3),
		.end = HF_END_CANCELLED,
	};

	return hf_token_encode(&batch, out);
}

static bool write_tokens_small(struct hf_buffer *out)
{
	return hf_token_encode(&(struct hf_token_batch){.id = hf_slice_of("r")}, out);
}

static bool write_ask(struct hf_buffer *out)
{
	const struct hf_ask ask = {
		.id = hf_slice_of("a-2"),
		.question = hf_slice_of("?"),
		.choices = hf_slice_of("\x81\x61y"),
		.to = hf_slice_of("\x81\x61z"),
		.roles = hf_slice_of("\x81\x64user"),
		.expires_in_ms = HF_ASK_EXPIRES_MAX_MS,
		.data = hf_slice_of("\x01"),
	};

	return hf_ask_encode(&ask, out);
}

static bool write_answer(struct hf_buffer *out)
{
	const struct hf_answer answer = {
		.id = hf_slice_of("a-2"),
		.choice = hf_slice_of("y"),
		.text = hf_slice_of("!"),
		.data = hf_slice_of("\x01"),
	};

	return hf_answer_encode(&answer, out);
}

static bool write_signal(struct hf_buffer *out)
{
	const struct hf_signal signal = {
		.kind = HF_SIGNAL_STEER,
		.response = hf_slice_of("r-7"),
		.from = hf_slice_of("a"),
		.text = hf_slice_of("!"),
		.data = hf_slice_of("\x01"),
	};

	return hf_signal_encode(&signal, out);
}

static bool write_wake(struct hf_buffer *out)
{
	const struct hf_wake_document document = {
		.session = hf_slice_of("trip"),
		.identity = hf_slice_of("alice"),
		.offset = 41,
		.time_ms = 1767225600000,
		.kind = HF_KIND_ASK,
		.from = hf_slice_of("agent-1"),
	};

	return hf_wake_encode(&document, out);
}

static bool write_tokens_joined(struct hf_buffer *out)
{
	const struct hf_token_batch batch = {
		.id = hf_slice_of("r-7"),
		.seq = 22,
		.text = hf_slice_of("Hello, world."),
		.kind = hf_slice_of("answer"),
		.end = HF_END_COMPLETE,
		.last = 24,
	};

	return hf_token_encode(&batch, out);
}

/* The part of a name before the first dot is the rule of the schema that the document follows. */
static const struct {
	const char *name;
	write_fn write;
	const char *hex; /* as an independent encoder writes it in its canonical mode; NULL: see `messages` */
} documents[] = {
	{"state.open", write_state,
		"a6 6461736b73 82 a4 626964 63612d32 6466726f6d 6162 666f6666736574 1903de 6765787069726573 "
		"1b0000019b76daa800 a4 626964 6161 6466726f6d 60 666f6666736574 01 6765787069726573 01 "
		"6468656164 1903e8 646f70656e 82 a2 626964 63722d37 6466726f6d 676167656e742d31 "
		"a2 626964 62c3a4 6466726f6d 6162 647461696c 03 "
		"65666c6f6f72 a4 62746f 6162 6565706f6368 05 657374617465 6468656c64 66686f6c646572 6161 "
		"6861756469656e6365 a3 6670656f706c65 02 6764657669636573 19012c 6963617567 68742d7570 19012b"},
	{"state.empty", write_state_empty,
		"a6 6461736b73 80 6468656164 00 646f70656e 80 647461696c 01 65666c6f6f72 a2 6565706f6368 01 657374617465 "
		"646f70656e "
		"6861756469656e6365 a3 6670656f706c65 00 6764657669636573 00 6963617567 68742d7570 00"},
	{"state.rejecting", write_state_rejecting,
		"a7 6461736b73 80 6468656164 00 646f70656e 80 647461696c 01 65666c6f6f72 a2 6565706f6368 01 657374617465 "
		"646f70656e 6861756469656e6365 a3 6670656f706c65 00 6764657669636573 00 6963617567 68742d7570 00 "
		"6a756e617474656e646564 6672656a656374"},
	{"audit.all", write_audit,
		"b46262796174636163746174636b65795820010000000000000000000000000000000000000000000000000000000000"
		"0000646c617374026470616765417464706f727404647465787461746474696d650165636f756e740365666972737401"
		"65746f706963617466626c6f636b7341746664657461696c617466646576696365617466726561736f6e61746761646472657373617467"
		"7365"
		"7373696f6e6174686964656e7469747961746870726f746f636f6c6174697369676e6174757265584001000000000000"
		"000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
		"000000000000000000"},
	{"mark.caught-up", write_caught_up, "a2 6468656164 1a00010000 646d61726b 696361756768742d7570"},
	{"mark.gap", write_gap,
		"a4 646c617374 1b0000000100000000 646d61726b 63676170 656669727374 01 "
		"66726561736f6e 697472756e6361746564"},
	{"notice.truncated", write_notice_truncated,
		"a3 646c617374 1829 656669727374 01 666e6f74696365 697472756e6361746564"},
	{"notice.closed", write_notice_closed, "a2 626279 656f73636172 666e6f74696365 66636c6f736564"},
	{"notice.ask-expired", write_notice_ask_expired,
		"a3 626964 63612d32 6466726f6d 656167656e74 666e6f74696365 6b61736b2d65787069726564"},
	{"notice.presence", write_notice_presence,
		"a5 64726f6c65 656167656e74 657374617465 6763726173686564 666e6f74696365 6870726573656e6365 "
		"66726561736f6e 6f636f6e6e656374696f6e2d6c6f7374 686964656e74697479 676167656e742d31"},
	{"notice.online", write_notice_online,
		"a4 64726f6c65 6475736572 657374617465 666f6e6c696e65 666e6f74696365 6870726573656e6365 "
		"686964656e74697479 63626f62"},
	{"presence.stalled", write_presence,
		"a8 64726f6c65 656167656e74 6573696e6365 1b0000019b76daa800 657374617465 677374616c6c6564 666f6e6c696e65 f5 "
		"66726561736f6e 686e6f2d6261746368 66737461747573 6772656164696e67 6764657669636573 01 "
		"686964656e74697479 676167656e742d31"},
	{"presence.online", write_presence_small,
		"a6 64726f6c65 6475736572 6573696e6365 20 657374617465 666f6e6c696e65 666f6e6c696e65 f5 "
		"6764657669636573 19012c 686964656e74697479 63626f62"},
	{"notice.response-closed", write_notice_response_closed,
		"a4 626964 63722d37 6466726f6d 676167656e742d31 666e6f74696365 6f726573706f6e73652d636c6f736564 "
		"66726561736f6e 6a6167656e742d6c6f7374"},
	{"notice.floor", write_notice_floor,
		"a7 626279 656f73636172 62746f 6178 6565706f6368 06 666368616e6765 66616363657074 66686f6c646572 656f73636172 "
		"666e6f74696365 65666c6f6f72 6870726576696f7573 6161"},
	{"notice.lease", write_notice_lease, "a3 6565706f6368 07 666368616e6765 656c65617365 666e6f74696365 65666c6f6f72"},
	{"control-answer.changed", write_floor_changed,
		"a3 65666c6f6f72 a3 6565706f6368 1818 657374617465 6468656c64 66686f6c646572 656f73636172 666f6666736574 181f "
		"67636f6d6d616e64 65636c61696d"},
	{"control-answer.unattended", write_unattended_changed,
		"a3 666f6666736574 181f 67636f6d6d616e64 6a756e617474656e646564 6a756e617474656e646564 6672656a656374"},
	{"notice.unattended", write_notice_unattended,
		"a3 626279 656f73636172 646d6f6465 6672656a656374 666e6f74696365 6a756e617474656e646564"},
	{"control-answer.open", write_floor_open,
		"a3 65666c6f6f72 a3 62746f 656f73636172 6565706f6368 01 657374617465 646f70656e 666f6666736574 01 "
		"67636f6d6d616e64 687472616e73666572"},
	{"control-answer.refused", write_control_refused, NULL},
	{"control-answer.ended", write_ended, "a2 666f6666736574 1818 67636f6d6d616e64 65636c6f7365"},
	{"control-answer.limits", write_limited,
		"a5 666f6666736574 1818 67636f6d6d616e64 666c696d697473 676d61782d616765 1903e8 696d61782d6279746573 01 "
		"696d61782d636f756e74 1819"},
	{"control-answer.unlimited", write_unlimited, "a2 666f6666736574 01 67636f6d6d616e64 666c696d697473"},
	{"notice.limits", write_notice_limits,
		"a5 626279 64726f6f74 666e6f74696365 666c696d697473 676d61782d616765 1903e8 696d61782d6279746573 01 "
		"696d61782d636f756e74 1819"},
	{"mark.ended", write_caught_up_ended,
		"a3 6468656164 01 646d61726b 6963617567 68742d7570 65656e646564 66657261736564"},
	{"state.closed", write_state_closed,
		"a7 6461736b73 80 6468656164 01 646f70656e 80 647461696c 02 65666c6f6f72 a2 6565706f6368 01 657374617465 "
		"646f70656e "
		"66636c6f736564 f5 6861756469656e6365 a3 6670656f706c65 00 6764657669636573 00 696361756768742d7570 00"},
	{"error.filter", write_error, NULL},
	{"error.by", write_error_by, NULL},
	{"error.expected", write_error_expected, NULL},
	{"error.by", write_error_by, NULL},
	{"receipt.stored", write_receipt,
		"a4 6474696d65 1b0000019b76daa800 666f6666736574 1818 "
		"6861756469656e6365 a3 6670656f706c65 01 6764657669636573 1818 696361756768742d7570 02 "
		"696475706c6963617465 f4"},
	{"receipt.duplicate", write_receipt_duplicate,
		"a4 6474696d65 20 666f6666736574 01 "
		"6861756469656e6365 a3 6670656f706c65 00 6764657669636573 00 696361756768742d7570 00 696475706c6963617465 f5"},
	{"receipt.placeless", write_receipt_placeless,
		"a2 6861756469656e6365 a3 6670656f706c65 00 6764657669636573 00 696361756768742d7570 00 696475706c6963617465 "
		"f5"},
	{"receipt.refused", write_receipt_refused, NULL},
	{"history-answer.refused", write_history_refused, NULL},
	{"history-answer.empty", write_history_empty, "a3 6468656164 00 647461696c 01 67656e7472696573 80"},
	{"history-answer.next", write_history,
		"a4 6468656164 09 646e657874 09 647461696c 02 67656e7472696573 82 "
		"aa 626964 63612d31 63716f73 01 6466726f6d 65616c696365 64726f6c65 6475736572 6474696d65 1b0000019b76daa800 "
		"6474797065 6a746578742f706c61696e 65746f706963 65696e707574 666f6666736574 07 677061796c6f6164 426869 "
		"6a70726f70657274696573 82 82 646c616e67 626465 82 646c616e67 60 "
		"a7 63716f73 00 6466726f6d 676167656e742d31 64726f6c65 656167656e74 6474696d65 20 "
		"65746f706963 6c7368617265642f7469746c65 666f6666736574 08 677061796c6f6164 40"},
	{"history-answer.last", write_history_last,
		"a3 6468656164 09 647461696c 02 67656e7472696573 82 "
		"aa 626964 63612d31 63716f73 01 6466726f6d 65616c696365 64726f6c65 6475736572 6474696d65 1b0000019b76daa800 "
		"6474797065 6a746578742f706c61696e 65746f706963 65696e707574 666f6666736574 07 677061796c6f6164 426869 "
		"6a70726f70657274696573 82 82 646c616e67 626465 82 646c616e67 60 "
		"a7 63716f73 00 6466726f6d 676167656e742d31 64726f6c65 656167656e74 6474696d65 20 "
		"65746f706963 6c7368617265642f7469746c65 666f6666736574 08 677061796c6f6164 40"},
	{"tokens.full", write_tokens,
		"a6 626964 63722d37 63656e64 6963616e63656c6c6564 63736571 1b001fffffffffffff 6464617461 9f01ff "
		"646b696e64 69726561736f6e696e67 6474657874 674772c3bcc39f65"},
	{"ask.full", write_ask,
		"a7 626964 63612d32 62746f 81617a 6464617461 01 65726f6c6573 816475736572 6763686f69636573 816179 "
		"687175657374696f6e 613f 6a657870697265732d696e 1b000000075cd78800"},
	{"answer.full", write_answer, "a4 626964 63612d32 6464617461 01 6474657874 6121 6663686f696365 6179"},
	{"signal.full", write_signal,
		"a5 6464617461 01 6466726f6d 6161 6474657874 6121 667369676e616c 657374656572 68726573706f6e7365 63722d37"},
	{"wake.ask", write_wake,
		"a6 6466726f6d 676167656e742d31 646b696e64 6361736b 6474696d65 1b0000019b76daa800 666f6666736574 1829 "
		"6773657373696f6e 6474726970 686964656e74697479 65616c696365"},
	{"tokens.joined", write_tokens_joined,
		"a6 626964 63722d37 63656e64 68636f6d706c657465 63736571 16 646b696e64 66616e73776572 646c617374 1818 "
		"6474657874 6d48656c6c6f2c20776f726c642e"},
	{"tokens.small", write_tokens_small, "a3 626964 6172 63736571 00 6474657874 60"},
};
#define DOCUMENT_COUNT (sizeof(documents) / sizeof(documents[0]))

static int write_files(const char *directory)
{
	for (size_t i = 0; i < DOCUMENT_COUNT; i++) {
		struct hf_buffer bytes = {0};
		char path[4096];
		snprintf(path, sizeof(path), "%s/%s", directory, documents[i].name);
		FILE *file = documents[i].write(&bytes) ? fopen(path, "wb") : NULL;
		bool written = file && fwrite(bytes.data, 1, bytes.len, file) == bytes.len;
		if ((file && fclose(file) != 0) || !written) {
			perror(path);
			hf_buffer_free(&bytes);
			return EXIT_FAILURE;
		}
		hf_buffer_free(&bytes);
	}
	return EXIT_SUCCESS;
}

static enum hf_reason decode(const char *rule, struct hf_slice payload)
{
	struct hf_token_batch batch;
	struct hf_ask ask;
	struct hf_answer answer;
	struct hf_signal signal;
	struct hf_history_request history;
	struct hf_control_request control;
	struct hf_slice status;

	if (strcmp(rule, "presence-status") == 0)
		return hf_status_decode(payload, &status);
	if (strcmp(rule, "tokens") == 0)
		return hf_token_decode(payload, &batch);
	if (strcmp(rule, "ask") == 0)
		return hf_ask_decode(payload, &ask);
	if (strcmp(rule, "answer") == 0)
		return hf_answer_decode(payload, &answer);
	if (strcmp(rule, "signal") == 0)
		return hf_signal_decode(payload, &signal);
	if (strcmp(rule, "control-request") == 0)
		return hf_control_decode(payload, &control);
	return hf_history_request_decode(payload, &history);
}

static int decode_lines(const char *rule)
{
	struct hf_buffer bytes = {0};
	char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, stdin) > 0) {
		line[strcspn(line, "\n")] = '\0';
		puts(hf_reason_name(decode(rule, from_hex(&bytes, line))));
	}
	free(line);
	hf_buffer_free(&bytes);
	return EXIT_SUCCESS;
}

START_TEST(golden_bytes)
{
	struct hf_buffer out = {0};

	ck_assert(documents[_i].write(&out));
	if (documents[_i].hex)
		ck_assert_hex(&out, documents[_i].hex);
	hf_buffer_free(&out);
}
END_TEST

START_TEST(full_memory_is_told)
{
	check_full_memory(documents[_i].write);
}
END_TEST

static const struct {
	write_fn write;
	enum hf_reason reason;
	const char *before; /* up to the key "message" */
	const char *after;
} messages[] = {
	{write_error, HF_FILTER_INVALID,
		"a3 65746f706963 6c73657373696f6e732f616263 66726561736f6e 6e66696c7465722d696e76616c6964 676d657373616765",
		""},
	{write_error_expected, HF_SEQ_GAP,
		"a4 65746f706963 737365 7373696f6e732f6162632f746f6b656e73 66726561736f6e 677365712d676170 676d657373616765",
		"686578706563746564 1818"},
	{write_receipt_refused, HF_EXPECT_FAILED, "a3 66726561736f6e 6d6578706563742d6661696c6564 676d657373616765",
		"686578706563746564 00"},
	{write_error_by, HF_ASK_ANSWERED,
		"a5 626279 63626f62 65746f706963 7373657373696f6e732f6162632f616e73776572 666f6666736574 07 "
		"66726561736f6e 6c61736b2d616e737765726564 676d657373616765",
		""},
	{write_control_refused, HF_FLOOR_HELD,
		"a3 626279 656f73636172 66726561736f6e 6a666c6f6f722d68656c64 676d657373616765", ""},
	{write_history_refused, HF_LIMIT_INVALID, "a2 66726561736f6e 6d6c696d69742d696e76616c6964 676d657373616765", ""},
};

/* The sentence is for people and may change; what is around it may not. */
START_TEST(messages_carry_name_and_sentence)
{
	struct hf_buffer out = {0}, wanted = {0}, after = {0};
	const char *sentence = hf_reason_sentence(messages[_i].reason);
	size_t len = strlen(sentence);

	from_hex(&wanted, messages[_i].before);
	ck_assert(len >= 24 && len < 256); /* or its length is written otherwise */
	ck_assert(hf_buffer_append(&wanted, (unsigned char[]){0x78, (unsigned char)len}, 2));
	ck_assert(hf_buffer_append(&wanted, sentence, len));
	struct hf_slice end = from_hex(&after, messages[_i].after);
	ck_assert(hf_buffer_append(&wanted, end.data, end.len));

	ck_assert(messages[_i].write(&out));
	ck_assert_uint_eq(out.len, wanted.len);
	ck_assert_mem_eq(out.data, wanted.data, wanted.len);
	hf_buffer_free(&out);
	hf_buffer_free(&wanted);
	hf_buffer_free(&after);
}
END_TEST

/* ---- history requests ----------------------------------------------------------------------------------- */

#define FROM "6466726f6d "
#define LIMIT "656c696d6974 "
#define ORDER "656f72646572 "
#define TOPIC "65746f706963 "
#define BACKWARDS "696261636b7761726473 "

static const struct {
	const char *what;
	const char *hex;
	enum hf_reason reason;
	struct hf_position from;
	uint64_t limit;
} requests[] = {
	{"empty payload", "", HF_OK, {HF_POSITION_EARLIEST, 0}, 0},
	{"empty map", "a0", HF_OK, {HF_POSITION_EARLIEST, 0}, 0},
	{"empty indefinite map", "bfff", HF_OK, {HF_POSITION_EARLIEST, 0}, 0},
	{"limit", "a1" LIMIT "1832", HF_OK, {HF_POSITION_EARLIEST, 0}, 50},
	{"earliest", "a1" FROM "686561726c69657374", HF_OK, {HF_POSITION_EARLIEST, 0}, 0},
	{"latest", "a1" FROM "666c6174657374", HF_OK, {HF_POSITION_LATEST, 0}, 0},
	{"last 20, limit", "a2" FROM "632d3230" LIMIT "1832", HF_OK, {HF_POSITION_LAST, 20}, 50},
	{"limit, time", "a2" LIMIT "01" FROM "6e4031373637323235363030303030", HF_OK, {HF_POSITION_TIME, 1767225600000}, 1},
	{"offset as text", "a1" FROM "6137", HF_OK, {HF_POSITION_OFFSET, 7}, 0},
	{"offset as a number", "a1" FROM "07", HF_OK, {HF_POSITION_OFFSET, 7}, 0},
	{"largest offset", "a1" FROM "1b7fffffffffffffff", HF_OK, {HF_POSITION_OFFSET, INT64_MAX}, 0},
	{"largest limit", "a1" LIMIT "1bffffffffffffffff", HF_OK, {HF_POSITION_EARLIEST, 0}, UINT64_MAX},

	{.what = "cut", .hex = "a1", .reason = HF_PAYLOAD_MALFORMED},
	{.what = "cut behind a key", .hex = "a1" FROM, .reason = HF_PAYLOAD_MALFORMED},
	{.what = "cut in a key", .hex = "a1 6466", .reason = HF_PAYLOAD_MALFORMED},
	{.what = "bytes left over", .hex = "a000", .reason = HF_PAYLOAD_MALFORMED},
	{.what = "JSON", .hex = "7b7d", .reason = HF_PAYLOAD_MALFORMED},
	{.what = "a reserved byte", .hex = "a1" LIMIT "1c", .reason = HF_PAYLOAD_MALFORMED},
	{.what = "a number", .hex = "07", .reason = HF_PAYLOAD_INVALID},
	{.what = "an array", .hex = "80", .reason = HF_PAYLOAD_INVALID},
	{.what = "an unknown key", .hex = "a1 6174 01", .reason = HF_PAYLOAD_INVALID},
	{.what = "from twice", .hex = "a2" FROM "01" FROM "01", .reason = HF_PAYLOAD_INVALID},
	{.what = "limit twice", .hex = "a2" LIMIT "01" LIMIT "01", .reason = HF_PAYLOAD_INVALID},
	{.what = "from: null", .hex = "a1" FROM "f6", .reason = HF_PAYLOAD_INVALID},
	{.what = "from: bytes", .hex = "a1" FROM "4137", .reason = HF_PAYLOAD_INVALID},
	{.what = "from: not UTF-8", .hex = "a1" FROM "61ff", .reason = HF_PAYLOAD_INVALID},
	{.what = "limit: text", .hex = "a1" LIMIT "6137", .reason = HF_PAYLOAD_INVALID},
	{.what = "limit: float", .hex = "a1" LIMIT "f93c00", .reason = HF_PAYLOAD_INVALID},
	{.what = "from: nowhere", .hex = "a1" FROM "676e6f7768657265", .reason = HF_POSITION_INVALID},
	{.what = "from: empty", .hex = "a1" FROM "60", .reason = HF_POSITION_INVALID},
	{.what = "from: 0", .hex = "a1" FROM "00", .reason = HF_POSITION_INVALID},
	{.what = "from: -1", .hex = "a1" FROM "20", .reason = HF_POSITION_INVALID},
	{.what = "from: beyond 63 bits", .hex = "a1" FROM "1b8000000000000000", .reason = HF_POSITION_INVALID},
	{"backwards", "a1" ORDER BACKWARDS, HF_OK, {HF_POSITION_LATEST, 0}, 0},
	{"backwards from 7", "a2" ORDER BACKWARDS FROM "07", HF_OK, {HF_POSITION_OFFSET, 7}, 0},
	{"forwards", "a1" ORDER "68666f727761726473", HF_OK, {HF_POSITION_EARLIEST, 0}, 0},
	{"a topic", "a1" TOPIC "65696e707574", HF_OK, {HF_POSITION_EARLIEST, 0}, 0},
	{"a shared key", "a1" TOPIC "687368617265642f6b", HF_OK, {HF_POSITION_EARLIEST, 0}, 0},
	{.what = "order: sideways", .hex = "a1" ORDER "687369646577617973", .reason = HF_PAYLOAD_INVALID},
	{.what = "order: a number", .hex = "a1" ORDER "01", .reason = HF_PAYLOAD_INVALID},
	{.what = "order twice", .hex = "a2" ORDER BACKWARDS ORDER BACKWARDS, .reason = HF_PAYLOAD_INVALID},
	{.what = "topic: a number", .hex = "a1" TOPIC "01", .reason = HF_PAYLOAD_INVALID},
	{.what = "topic: state", .hex = "a1" TOPIC "657374617465", .reason = HF_TOPIC_NOT_LOGGED},
	{.what = "topic: shared/", .hex = "a1" TOPIC "677368617265642f", .reason = HF_TOPIC_NOT_LOGGED},
	{.what = "topic: empty", .hex = "a1" TOPIC "60", .reason = HF_TOPIC_NOT_LOGGED},
	{.what = "limit: 0", .hex = "a1" LIMIT "00", .reason = HF_LIMIT_INVALID},
	{.what = "limit: -1", .hex = "a1" LIMIT "20", .reason = HF_LIMIT_INVALID},
};

START_TEST(requests_from_the_table)
{
	struct hf_buffer bytes = {0};
	struct hf_slice payload = exact_copy(from_hex(&bytes, requests[_i].hex));
	struct hf_history_request request;

	ck_assert_reason(hf_history_request_decode(payload, &request), requests[_i].reason, requests[_i].what);
	if (requests[_i].reason == HF_OK) {
		ck_assert_int_eq(request.from.kind, requests[_i].from.kind);
		ck_assert_uint_eq(request.from.value, requests[_i].from.value);
		ck_assert_uint_eq(request.limit, requests[_i].limit);
	}
	free((void *)(uintptr_t)payload.data);
	hf_buffer_free(&bytes);
}
END_TEST

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--write") == 0)
		return write_files(argv[2]);
	if (argc == 3 && strcmp(argv[1], "--decode") == 0)
		return decode_lines(argv[2]);

	Suite *suite = suite_create("codec: documents");
	TCase *tests = tcase_create("all");

	tcase_add_loop_test(tests, golden_bytes, 0, DOCUMENT_COUNT);
	tcase_add_loop_test(tests, full_memory_is_told, 0, DOCUMENT_COUNT);
	tcase_add_loop_test(tests, messages_carry_name_and_sentence, 0, sizeof(messages) / sizeof(messages[0]));
	tcase_add_loop_test(tests, requests_from_the_table, 0, sizeof(requests) / sizeof(requests[0]));
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
