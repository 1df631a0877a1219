/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading notices back, for what derives from them. What they look like is in codec_document.c. */
#include "codec/notice.h"

#include "codec_check.h"

static enum hf_reason decode(const char *hex, struct hf_notice *out)
{
	struct hf_buffer bytes = {0};
	struct hf_slice copy = exact_copy(from_hex(&bytes, hex));
	enum hf_reason reason = hf_notice_decode(copy, out);

	hf_buffer_free(&bytes);
	free((char *)copy.data);
	return reason;
}

START_TEST(each_kind_comes_back)
{
	for (unsigned int kind = 0; kind < HF_NOTICE_COUNT; kind++) {
		struct hf_notice notice = {
			.kind = (enum hf_notice_kind)kind,
			.by = hf_slice_of("oscar"),
			.id = hf_slice_of("r-7"),
			.from = hf_slice_of("agent-1"),
			.identity = hf_slice_of("alice"),
			.role = hf_slice_of("user"),
			.state = hf_slice_of("online"),
			.reason = hf_slice_of("left"),
			.first = 7,
			.last = UINT64_MAX,
			.age_ms = 1000,
			.bytes = 2,
			.count = 3,
		};
		struct hf_notice seen;
		struct hf_buffer bytes = {0};
		ck_assert(hf_notice_encode(&notice, &bytes));
		ck_assert_reason(hf_notice_decode(hf_buffer_slice(&bytes), &seen), HF_OK, "a notice");
		ck_assert_uint_eq(seen.kind, kind);
		ck_assert_slice(seen.by, "oscar");
		ck_assert_slice(seen.id, "r-7");
		ck_assert_slice(seen.from, "agent-1");
		ck_assert_slice(seen.identity, "alice");
		ck_assert_slice(seen.role, "user");
		ck_assert_slice(seen.state, "online");
		ck_assert_slice(seen.reason, "left");
		ck_assert_uint_eq(seen.first, 7);
		ck_assert_uint_eq(seen.last, UINT64_MAX);
		ck_assert_uint_eq(seen.age_ms, 1000);
		ck_assert_uint_eq(seen.bytes, 2);
		ck_assert_uint_eq(seen.count, 3);
		hf_buffer_free(&bytes);
	}
}
END_TEST

START_TEST(what_is_left_out_comes_back_empty)
{
	struct hf_notice seen;

	ck_assert_reason(decode("a1 666e6f74696365 66636c6f736564", &seen), HF_OK, "closed");
	ck_assert_uint_eq(seen.kind, HF_NOTICE_CLOSED);
	ck_assert_slice(seen.by, "");
	ck_assert_uint_eq(seen.first, 0);
	/* Any order, and keys of a later version. */
	ck_assert_reason(
		decode("a3 666e6f74696365 697472756e6361746564 6178 820102 656669727374 03", &seen), HF_OK, "an unknown key");
	ck_assert_uint_eq(seen.kind, HF_NOTICE_TRUNCATED);
	ck_assert_uint_eq(seen.first, 3);
}
END_TEST

START_TEST(what_is_none_is_refused)
{
	struct hf_notice seen = {.first = 5};

	ck_assert_reason(decode("", &seen), HF_PAYLOAD_MALFORMED, "nothing");
	ck_assert_reason(decode("a1 666e6f74696365 66636c6f7365", &seen), HF_PAYLOAD_MALFORMED, "cut off");
	ck_assert_reason(decode("a0", &seen), HF_PAYLOAD_INVALID, "no kind");
	ck_assert_reason(decode("a1 666e6f74696365 6178", &seen), HF_PAYLOAD_INVALID, "an unknown kind");
	ck_assert_reason(decode("a1 666e6f74696365 01", &seen), HF_PAYLOAD_INVALID, "a kind that is no text");
	ck_assert_reason(
		decode("a2 666e6f74696365 66636c6f736564 656669727374 20", &seen), HF_PAYLOAD_INVALID, "first is -1");
	ck_assert_reason(decode("a1 666e6f74696365 66636c6f736564 00", &seen), HF_PAYLOAD_MALFORMED, "more behind it");
	ck_assert_uint_eq(seen.first, 5);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("codec: notices");
	TCase *tests = tcase_create("notices");

	tcase_add_test(tests, each_kind_comes_back);
	tcase_add_test(tests, what_is_left_out_comes_back_empty);
	tcase_add_test(tests, what_is_none_is_refused);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
