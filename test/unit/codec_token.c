/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec_full.h"

#include "codec/token.h"

/* {"id": "r-7", "end": "complete", "seq": 300, "data": {"n": [1, 2.5, null]}, "kind": "reasoning", "text": "Grüße"} */
#define FULL_HEX                                                                                                       \
	"a6 626964 63722d37 63656e64 68636f6d706c657465 63736571 19012c 6464617461 a1616e8301f94100f6 "                    \
	"646b696e64 69726561736f6e696e67 6474657874 674772c3bcc39f65"

/* {"id": "r", "seq": 0, "text": ""} */
#define SMALL_HEX "a3 626964 6172 63736571 00 6474657874 60"

static struct hf_token_batch full_batch(void)
{
	return (struct hf_token_batch){
		.id = hf_slice_of("r-7"),
		.seq = 300,
		.text = hf_slice_of("Gr\xc3\xbc\xc3\x9f\x65"),
		.kind = hf_slice_of("reasoning"),
		.data = hf_slice_from("\xa1\x61n\x83\x01\xf9\x41\x00\xf6", 9),
		.end = HF_END_COMPLETE,
	};
}

static void assert_batches_equal(const struct hf_token_batch *a, const struct hf_token_batch *b)
{
	ck_assert(hf_slice_equal(a->id, b->id));
	ck_assert_uint_eq(a->seq, b->seq);
	ck_assert(hf_slice_equal(a->text, b->text));
	ck_assert(hf_slice_equal(a->kind, b->kind));
	ck_assert(hf_slice_equal(a->data, b->data));
	ck_assert_int_eq(a->end, b->end);
	ck_assert_uint_eq(a->last, b->last);
}

START_TEST(golden_bytes_both_ways)
{
	struct hf_token_batch batch = full_batch(), back;
	struct hf_buffer out = {0};

	ck_assert(hf_token_encode(&batch, &out));
	ck_assert_hex(&out, FULL_HEX);
	ck_assert_reason(hf_token_decode(hf_buffer_slice(&out), &back), HF_OK, "full");
	assert_batches_equal(&batch, &back);
	/* Borrowed, not copied. */
	ck_assert(back.text.data > (char *)out.data && back.text.data < (char *)out.data + out.len);

	hf_buffer_clear(&out);
	batch = (struct hf_token_batch){.id = hf_slice_of("r"), .text = HF_SLICE_NONE};
	ck_assert(hf_token_encode(&batch, &out));
	ck_assert_hex(&out, SMALL_HEX);
	ck_assert_reason(hf_token_decode(hf_buffer_slice(&out), &back), HF_OK, "small");
	assert_batches_equal(&batch, &back);
	hf_buffer_free(&out);
}
END_TEST

#define ID "626964 6172 "
#define SEQ "63736571 00 "
#define TEXT "6474657874 60 "
#define THREE ID SEQ TEXT
#define DATA "6464617461 "
#define LAST "646c617374 "
#define TEN_X "78787878787878787878"
#define SIXTY_X TEN_X TEN_X TEN_X TEN_X TEN_X TEN_X

static const struct {
	const char *what;
	const char *hex;
	enum hf_reason reason;
} payloads[] = {
	{"keys in another order", "a3" TEXT SEQ ID, HF_OK},
	{"indefinite-length map", "bf" THREE "ff", HF_OK},
	{"seq wider than need be", "a3" ID "63736571 1b0000000000000001" TEXT, HF_OK},
	{"largest seq", "a3" ID "63736571 1b001fffffffffffff" TEXT, HF_OK},
	{"longest id", "a3 626964 7840 " SIXTY_X "78787878" SEQ TEXT, HF_OK},
	{"longest kind", "a4" THREE "646b696e64 7840 " SIXTY_X "78787878", HF_OK},
	{"end: cancelled", "a4" THREE "63656e64 6963616e63656c6c6564", HF_OK},
	{"end: error", "a4" THREE "63656e64 656572726f72", HF_OK},
	{"data: null", "a4" THREE DATA "f6", HF_OK},
	{"data: empty array", "a4" THREE DATA "80", HF_OK},
	{"data: empty map", "a4" THREE DATA "a0", HF_OK},
	{"data: indefinite array", "a4" THREE DATA "9f01029f20ffff", HF_OK},
	{"data: indefinite map", "a4" THREE DATA "bf6161016162a0ff", HF_OK},
	{"data: tagged", "a4" THREE DATA "c11a514b67b0", HF_OK},
	{"data: tags that libcbor 0.10 does not know", "a4" THREE DATA "82c600d4d7d81840", HF_OK},
	{"data: simple values nobody assigned", "a4" THREE DATA "83e0f3f8ff", HF_OK},
	{"data: floats", "a4" THREE DATA "83f93c00fa47c35000fb3ff199999999999a", HF_OK},
	{"data: negative, bytes", "a4" THREE DATA "823b7fffffffffffffff420001", HF_OK},
	{"data before the rest", "a4" DATA "8101" THREE, HF_OK},
	{"joined", "a4" THREE LAST "01", HF_OK},
	{"joined, the largest seq", "a4" THREE LAST "1b001fffffffffffff", HF_OK},
	{"joined, last in front", "a4" LAST "01" THREE, HF_OK},

	{"nothing", "", HF_PAYLOAD_MALFORMED},
	{"map that ends early", "a3" ID SEQ, HF_PAYLOAD_MALFORMED},
	{"indefinite map without an end", "bf" THREE, HF_PAYLOAD_MALFORMED},
	{"a key without a value", "a4" THREE "646b696e64", HF_PAYLOAD_MALFORMED},
	{"bytes left over", "a3" THREE "00", HF_PAYLOAD_MALFORMED},
	{"a break left over", "a3" THREE "ff", HF_PAYLOAD_MALFORMED},
	{"break in a definite map", "a4" THREE "ff", HF_PAYLOAD_MALFORMED},
	{"break for a value", "bf" ID SEQ "6474657874 ff", HF_PAYLOAD_INVALID},
	{"reserved initial byte", "1c", HF_PAYLOAD_MALFORMED},
	{"reserved initial byte of a value", "a3" ID "63736571 1e" TEXT, HF_PAYLOAD_MALFORMED},
	{"more pairs than bytes", "bb7fffffffffffffff" THREE, HF_PAYLOAD_MALFORMED},
	{"twice as many pairs as 64 bits count", "bbffffffffffffffff" THREE, HF_PAYLOAD_MALFORMED},
	{"text longer than the payload", "a3" ID SEQ "6474657874 7bffffffffffffffff", HF_PAYLOAD_MALFORMED},
	{"text one byte longer than the payload", "a3" ID SEQ "6474657874 6261", HF_PAYLOAD_MALFORMED},
	{"data: array longer than the payload", "a4" THREE DATA "9bffffffffffffffff00", HF_PAYLOAD_MALFORMED},
	{"data: map longer than the payload", "a4" THREE DATA "bb8000000000000000 0000", HF_PAYLOAD_MALFORMED},
	{"data: cut", "a4" THREE DATA "8201", HF_PAYLOAD_MALFORMED},
	{"data: missing", "a4" THREE DATA, HF_PAYLOAD_MALFORMED},
	{"data: break", "a4" THREE DATA "ff", HF_PAYLOAD_MALFORMED},
	{"data: break in a definite array", "a4" THREE DATA "8201ff", HF_PAYLOAD_MALFORMED},
	{"data: break behind a tag", "a4" THREE DATA "9fc1ff", HF_PAYLOAD_MALFORMED},
	{"data: key without a value", "a4" THREE DATA "bf6161ff", HF_PAYLOAD_MALFORMED},
	{"data: two-byte simple value below 32", "a4" THREE DATA "f800", HF_PAYLOAD_MALFORMED},
	{"data: tag of nothing", "a4" THREE DATA "c1", HF_PAYLOAD_MALFORMED},
	{"data: tag 0 of nothing", "a4" THREE DATA "c0", HF_PAYLOAD_MALFORMED},

	{"a number", "00", HF_PAYLOAD_INVALID},
	{"an array", "8100", HF_PAYLOAD_INVALID},
	{"a tagged map", "d9d9f7a3" THREE, HF_PAYLOAD_INVALID},
	{"JSON", "7b226964223a2272227d", HF_PAYLOAD_MALFORMED},
	{"empty map", "a0", HF_PAYLOAD_INVALID},
	{"no id", "a2" SEQ TEXT, HF_PAYLOAD_INVALID},
	{"no seq", "a2" ID TEXT, HF_PAYLOAD_INVALID},
	{"no text", "a2" ID SEQ, HF_PAYLOAD_INVALID},
	{"id twice", "a4" THREE ID, HF_PAYLOAD_INVALID},
	{"text twice", "a4" THREE TEXT, HF_PAYLOAD_INVALID},
	{"unknown key", "a4" THREE "617800", HF_PAYLOAD_INVALID},
	{"unknown key as long as a known one", "a4" THREE "6469642d2d00", HF_PAYLOAD_INVALID},
	{"a key that is no text", "a4" THREE "0000", HF_PAYLOAD_INVALID},
	{"a key as bytes", "a3 426964 6172" SEQ TEXT, HF_PAYLOAD_INVALID},
	{"a key in chunks", "a3 7f626964ff 6172" SEQ TEXT, HF_PAYLOAD_INVALID},
	{"empty id", "a3 626964 60" SEQ TEXT, HF_PAYLOAD_INVALID},
	{"id too long", "a3 626964 7841 " SIXTY_X "7878787878" SEQ TEXT, HF_PAYLOAD_INVALID},
	{"id as bytes", "a3 626964 4172" SEQ TEXT, HF_PAYLOAD_INVALID},
	{"id as a number", "a3 626964 07" SEQ TEXT, HF_PAYLOAD_INVALID},
	{"id not UTF-8", "a3 626964 61ff" SEQ TEXT, HF_PAYLOAD_INVALID},
	{"negative seq", "a3" ID "63736571 20" TEXT, HF_PAYLOAD_INVALID},
	{"seq as a float", "a3" ID "63736571 f90000" TEXT, HF_PAYLOAD_INVALID},
	{"seq as text", "a3" ID "63736571 6130" TEXT, HF_PAYLOAD_INVALID},
	{"seq too large", "a3" ID "63736571 1b0020000000000000" TEXT, HF_PAYLOAD_INVALID},
	{"seq at the end of 64 bits", "a3" ID "63736571 1bffffffffffffffff" TEXT, HF_PAYLOAD_INVALID},
	{"text in chunks", "a3" ID SEQ "6474657874 7f6161ff", HF_PAYLOAD_INVALID},
	{"text as bytes", "a3" ID SEQ "6474657874 4161", HF_PAYLOAD_INVALID},
	{"text as null", "a3" ID SEQ "6474657874 f6", HF_PAYLOAD_INVALID},
	{"text with a surrogate", "a3" ID SEQ "6474657874 63eda080", HF_PAYLOAD_INVALID},
	{"text with half a character", "a3" ID SEQ "6474657874 61c3", HF_PAYLOAD_INVALID},
	{"empty kind", "a4" THREE "646b696e64 60", HF_PAYLOAD_INVALID},
	{"kind too long", "a4" THREE "646b696e64 7841 " SIXTY_X "7878787878", HF_PAYLOAD_INVALID},
	{"unknown end", "a4" THREE "63656e64 6464656164", HF_PAYLOAD_INVALID},
	{"empty end", "a4" THREE "63656e64 60", HF_PAYLOAD_INVALID},
	{"end: true", "a4" THREE "63656e64 f5", HF_PAYLOAD_INVALID},
	{"last is seq", "a4" THREE LAST "00", HF_PAYLOAD_INVALID},
	{"last below seq", "a4" ID TEXT "63736571 02" LAST "01", HF_PAYLOAD_INVALID},
	{"last too large", "a4" THREE LAST "1b0020000000000000", HF_PAYLOAD_INVALID},
	{"last as text", "a4" THREE LAST "6131", HF_PAYLOAD_INVALID},
	{"last twice", "a5" THREE LAST "01" LAST "01", HF_PAYLOAD_INVALID},
	{"last beside data", "a5" THREE LAST "01" DATA "00", HF_PAYLOAD_INVALID},
	{"data beside last", "a5" DATA "00" LAST "01" THREE, HF_PAYLOAD_INVALID},
	{"data: text in chunks", "a4" THREE DATA "817f6161ff", HF_PAYLOAD_INVALID},
	{"data: bytes in chunks", "a4" THREE DATA "5f4161ff", HF_PAYLOAD_INVALID},
	{"data: text not UTF-8", "a4" THREE DATA "a161ff00", HF_PAYLOAD_INVALID},
};

START_TEST(payloads_from_the_table)
{
	struct hf_buffer bytes = {0};
	struct hf_slice payload = exact_copy(from_hex(&bytes, payloads[_i].hex));
	struct hf_token_batch batch;

	ck_assert_reason(hf_token_decode(payload, &batch), payloads[_i].reason, payloads[_i].what);
	free((void *)(uintptr_t)payload.data);
	hf_buffer_free(&bytes);
}
END_TEST

/* `data` of arrays, or tags, in each other. */
static enum hf_reason decode_nested(unsigned char opening, size_t depth)
{
	struct hf_buffer bytes = {0};
	struct hf_token_batch batch;

	from_hex(&bytes, "a4" THREE DATA);
	unsigned char *end = hf_buffer_reserve(&bytes, depth + 1);
	ck_assert_ptr_nonnull(end);
	memset(end, opening, depth);
	end[depth] = 0x01;
	bytes.len += depth + 1;
	struct hf_slice payload = exact_copy(hf_buffer_slice(&bytes));
	enum hf_reason reason = hf_token_decode(payload, &batch);
	if (reason == HF_OK)
		ck_assert_uint_eq(batch.data.len, depth + 1);
	free((void *)(uintptr_t)payload.data);
	hf_buffer_free(&bytes);
	return reason;
}

START_TEST(nesting_is_bounded)
{
	ck_assert_reason(decode_nested(0x81, 32), HF_OK, "32 arrays");
	ck_assert_reason(decode_nested(0x81, 33), HF_PAYLOAD_INVALID, "33 arrays");
	ck_assert_reason(decode_nested(0xc1, 32), HF_OK, "32 tags");
	ck_assert_reason(decode_nested(0xc1, 33), HF_PAYLOAD_INVALID, "33 tags");
	ck_assert_reason(decode_nested(0x81, 1000000), HF_PAYLOAD_INVALID, "a million arrays");
	ck_assert_reason(decode_nested(0x9f, 1000000), HF_PAYLOAD_INVALID, "a million indefinite arrays");
}
END_TEST

static enum hf_reason decode_batch(struct hf_slice bytes)
{
	struct hf_token_batch batch;

	return hf_token_decode(bytes, &batch);
}

START_TEST(every_truncation_is_malformed)
{
	check_truncations(FULL_HEX, decode_batch);
}
END_TEST

/* What is taken is the same when it is written and read again. */
static bool take_batch(struct hf_slice bytes)
{
	struct hf_buffer again = {0};
	struct hf_token_batch batch, back;

	if (hf_token_decode(bytes, &batch) != HF_OK)
		return false;
	ck_assert(hf_token_encode(&batch, &again));
	ck_assert_reason(hf_token_decode(hf_buffer_slice(&again), &back), HF_OK, "encoded again");
	assert_batches_equal(&batch, &back);
	hf_buffer_free(&again);
	return true;
}

START_TEST(every_bit_flip_is_refused_or_a_batch)
{
	check_bit_flips(FULL_HEX, take_batch);
}
END_TEST

static bool write_full(struct hf_buffer *out)
{
	struct hf_token_batch batch = full_batch();

	return hf_token_encode(&batch, out);
}

START_TEST(full_memory_is_told)
{
	check_full_memory(write_full);
}
END_TEST

START_TEST(ends_have_names)
{
	ck_assert_str_eq(hf_end_name(HF_END_NONE), "");
	ck_assert_str_eq(hf_end_name(HF_END_COMPLETE), "complete");
	ck_assert_str_eq(hf_end_name(HF_END_CANCELLED), "cancelled");
	ck_assert_str_eq(hf_end_name(HF_END_ERROR), "error");
	ck_assert_str_eq(hf_end_name((enum hf_end)99), "");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("codec: token batches");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, golden_bytes_both_ways);
	tcase_add_loop_test(tests, payloads_from_the_table, 0, sizeof(payloads) / sizeof(payloads[0]));
	tcase_add_test(tests, nesting_is_bounded);
	tcase_add_test(tests, every_truncation_is_malformed);
	tcase_add_test(tests, every_bit_flip_is_refused_or_a_batch);
	tcase_add_test(tests, full_memory_is_told);
	tcase_add_test(tests, ends_have_names);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
