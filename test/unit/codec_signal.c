/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec_full.h"

#include "codec/signal.h"
#include "codec/token.h"

/* {"signal": "interrupt", "response": "r-7", "from": "agent", "text": "Grüße", "data": {"n": [1, 2.5, null]}} */
#define FULL_HEX                                                                                                       \
	"a5 6464617461 a1616e8301f94100f6 6466726f6d 656167656e74 6474657874 674772c3bcc39f65 667369676e616c "             \
	"69696e74657272757074 68726573706f6e7365 63722d37"
/* {"signal": "resume"} */
#define SMALL_HEX "a1 667369676e616c 66726573756d65"

static struct hf_signal full(void)
{
	return (struct hf_signal){
		.kind = HF_SIGNAL_INTERRUPT,
		.response = hf_slice_of("r-7"),
		.from = hf_slice_of("agent"),
		.text = hf_slice_of("Gr\xc3\xbc\xc3\x9f\x65"),
		.data = hf_slice_from("\xa1\x61n\x83\x01\xf9\x41\x00\xf6", 9),
	};
}

static void assert_equal(const struct hf_signal *a, const struct hf_signal *b)
{
	ck_assert_int_eq(a->kind, b->kind);
	ck_assert(hf_slice_equal(a->response, b->response) && hf_slice_equal(a->from, b->from));
	ck_assert(hf_slice_equal(a->text, b->text) && hf_slice_equal(a->data, b->data));
}

START_TEST(golden_bytes_both_ways)
{
	const struct hf_signal signals[] = {full(), {.kind = HF_SIGNAL_RESUME}};
	struct hf_buffer out = {0};
	struct hf_signal back;

	for (int i = 0; i < 2; i++) {
		hf_buffer_clear(&out);
		ck_assert(hf_signal_encode(&signals[i], &out));
		ck_assert_hex(&out, i == 0 ? FULL_HEX : SMALL_HEX);
		ck_assert_reason(hf_signal_decode(hf_buffer_slice(&out), &back), HF_OK, "a signal");
		assert_equal(&back, &signals[i]);
	}
	hf_buffer_free(&out);
}
END_TEST

/* ---- what is taken and what is not; schemas.py has more --------------------------------------------------- */

#define INTERRUPT "667369676e616c 69696e74657272757074 "
#define STEER "667369676e616c 657374656572 "
#define RESUME "667369676e616c 66726573756d65 "
#define RESPONSE "68726573706f6e7365 "
#define FROM "6466726f6d "
#define TEXT "6474657874 "
#define DATA "6464617461 "

static const struct {
	const char *what;
	const char *hex;
	enum hf_reason reason;
} seen[] = {
	{"stop all", "a1" INTERRUPT, HF_OK},
	{"indefinite-length map", "bf" INTERRUPT "ff", HF_OK},
	{"keys in another order", "a2" RESPONSE "6172" INTERRUPT, HF_OK},
	{"of one agent", "a2" INTERRUPT FROM "6161", HF_OK},
	{"steer in words", "a2" STEER TEXT "6178", HF_OK},
	{"steer by data", "a2" STEER DATA "f6", HF_OK},
	{"resume, and why", "a2" RESUME TEXT "6178", HF_OK},

	{"nothing", "", HF_PAYLOAD_MALFORMED},
	{"text", "73746f70", HF_PAYLOAD_MALFORMED},
	{"JSON", "7b227369676e616c223a22696e74657272757074227d", HF_PAYLOAD_MALFORMED},
	{"bytes left over", "a1" INTERRUPT "00", HF_PAYLOAD_MALFORMED},
	{"map that ends early", "a2" INTERRUPT, HF_PAYLOAD_MALFORMED},
	{"an empty map", "a0", HF_PAYLOAD_INVALID},
	{"an array", "81 69696e74657272757074", HF_PAYLOAD_INVALID},
	{"no signal", "a1" RESPONSE "6172", HF_PAYLOAD_INVALID},
	{"an unknown signal", "a1 667369676e616c 657061757365", HF_PAYLOAD_INVALID},
	{"a signal that is a number", "a1 667369676e616c 01", HF_PAYLOAD_INVALID},
	{"two signals", "a2" INTERRUPT RESUME, HF_PAYLOAD_INVALID},
	{"steer without a word", "a1" STEER, HF_PAYLOAD_INVALID},
	{"steer a response without a word", "a2" STEER RESPONSE "6172", HF_PAYLOAD_INVALID},
	{"an empty response", "a2" INTERRUPT RESPONSE "60", HF_PAYLOAD_INVALID},
	{"a response as bytes", "a2" INTERRUPT RESPONSE "4172", HF_PAYLOAD_INVALID},
	{"a response that is not UTF-8", "a2" INTERRUPT RESPONSE "61ff", HF_PAYLOAD_INVALID},
	{"a response twice", "a3" INTERRUPT RESPONSE "6172" RESPONSE "6172", HF_PAYLOAD_INVALID},
	{"an empty identity", "a2" INTERRUPT FROM "60", HF_PAYLOAD_INVALID},
	{"an identity with a zero", "a2" INTERRUPT FROM "63610062", HF_PAYLOAD_INVALID},
	{"empty text", "a2" STEER TEXT "60", HF_PAYLOAD_INVALID},
	{"text in chunks", "a2" STEER TEXT "7f6178ff", HF_PAYLOAD_INVALID},
	{"data: text in chunks", "a2" STEER DATA "817f6161ff", HF_PAYLOAD_INVALID},
	{"unknown key", "a2" INTERRUPT "617800", HF_PAYLOAD_INVALID},
};
#define SEEN_COUNT (sizeof(seen) / sizeof(seen[0]))

START_TEST(from_the_table)
{
	struct hf_buffer bytes = {0};
	struct hf_slice payload = exact_copy(from_hex(&bytes, seen[_i].hex));
	struct hf_signal signal;

	ck_assert_reason(hf_signal_decode(payload, &signal), seen[_i].reason, seen[_i].what);
	free((void *)(uintptr_t)payload.data);
	hf_buffer_free(&bytes);
}
END_TEST

static enum hf_reason decode_sized(const char *front, size_t size)
{
	struct hf_buffer bytes = {0};
	struct hf_signal signal;

	from_hex(&bytes, front);
	ck_assert(hf_buffer_append(&bytes, (unsigned char[]){0x79, (unsigned char)(size >> 8), (unsigned char)size}, 3));
	unsigned char *text = hf_buffer_reserve(&bytes, size);
	ck_assert_ptr_nonnull(text);
	memset(text, 'x', size);
	bytes.len += size;
	enum hf_reason reason = hf_signal_decode(hf_buffer_slice(&bytes), &signal);
	hf_buffer_free(&bytes);
	return reason;
}

START_TEST(sizes)
{
	ck_assert_reason(decode_sized("a2" INTERRUPT RESPONSE, HF_RESPONSE_ID_MAX), HF_OK, "the longest id");
	ck_assert_reason(decode_sized("a2" INTERRUPT RESPONSE, HF_RESPONSE_ID_MAX + 1), HF_PAYLOAD_INVALID, "one more");
	ck_assert_reason(decode_sized("a2" INTERRUPT FROM, HF_SIGNAL_FROM_MAX), HF_OK, "the longest identity");
	ck_assert_reason(decode_sized("a2" INTERRUPT FROM, HF_SIGNAL_FROM_MAX + 1), HF_PAYLOAD_INVALID, "one more");
	ck_assert_reason(decode_sized("a2" STEER TEXT, 60000), HF_OK, "a long text");
}
END_TEST

static enum hf_reason decode_signal(struct hf_slice bytes)
{
	struct hf_signal signal;

	return hf_signal_decode(bytes, &signal);
}

START_TEST(every_truncation_is_malformed)
{
	check_truncations(FULL_HEX, decode_signal);
}
END_TEST

/* What is taken is the same when it is written and read again. */
static bool take_signal(struct hf_slice bytes)
{
	struct hf_buffer again = {0};
	struct hf_signal signal, back;

	if (hf_signal_decode(bytes, &signal) != HF_OK)
		return false;
	ck_assert(hf_signal_encode(&signal, &again));
	ck_assert_reason(hf_signal_decode(hf_buffer_slice(&again), &back), HF_OK, "encoded again");
	assert_equal(&signal, &back);
	hf_buffer_free(&again);
	return true;
}

START_TEST(every_bit_flip_is_refused_or_a_signal)
{
	check_bit_flips(FULL_HEX, take_signal);
}
END_TEST

static bool write_full(struct hf_buffer *out)
{
	struct hf_signal signal = full();

	return hf_signal_encode(&signal, out);
}

START_TEST(full_memory_is_told)
{
	check_full_memory(write_full);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("codec: signals");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, golden_bytes_both_ways);
	tcase_add_loop_test(tests, from_the_table, 0, SEEN_COUNT);
	tcase_add_test(tests, sizes);
	tcase_add_test(tests, every_truncation_is_malformed);
	tcase_add_test(tests, every_bit_flip_is_refused_or_a_signal);
	tcase_add_test(tests, full_memory_is_told);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
