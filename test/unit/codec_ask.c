/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec_full.h"

#include "codec/ask.h"

/* {"id": "a-2", "question": "Grüße?", "choices": ["approve", "reject"], "to": ["alice"], "roles": ["operator"],
 * "expires-in": 600000, "data": {"n": [1, 2.5, null]}} */
#define ASK_HEX                                                                                                        \
	"a7 626964 63612d32 62746f 8165616c696365 6464617461 a1616e8301f94100f6 65726f6c6573 81686f70657261746f72 "        \
	"6763686f69636573 8267617070726f76656672656a656374 687175657374696f6e 684772c3bcc39f653f "                         \
	"6a657870697265732d696e 1a000927c0"
/* {"id": "a", "question": "?"} */
#define ASK_SMALL_HEX "a2 626964 6161 687175657374696f6e 613f"
/* {"id": "a-2", "choice": "approve", "text": "Only this once.", "data": [1]} */
#define ANSWER_HEX                                                                                                     \
	"a4 626964 63612d32 6464617461 8101 6474657874 6f4f6e6c792074686973206f6e63652e 6663686f696365 67617070726f7665"
/* {"id": "a", "text": "x"} */
#define ANSWER_SMALL_HEX "a2 626964 6161 6474657874 6178"

static struct hf_ask full_ask(void)
{
	return (struct hf_ask){
		.id = hf_slice_of("a-2"),
		.question = hf_slice_of("Gr\xc3\xbc\xc3\x9f\x65?"),
		.choices = hf_slice_of("\x82\x67"
							   "approve\x66reject"),
		.to = hf_slice_of("\x81\x65"
						  "alice"),
		.roles = hf_slice_of("\x81\x68operator"),
		.expires_in_ms = 600000,
		.data = hf_slice_from("\xa1\x61n\x83\x01\xf9\x41\x00\xf6", 9),
	};
}

static struct hf_answer full_answer(void)
{
	return (struct hf_answer){
		.id = hf_slice_of("a-2"),
		.choice = hf_slice_of("approve"),
		.text = hf_slice_of("Only this once."),
		.data = hf_slice_of("\x81\x01"),
	};
}

static void assert_asks_equal(const struct hf_ask *a, const struct hf_ask *b)
{
	ck_assert(hf_slice_equal(a->id, b->id) && hf_slice_equal(a->question, b->question));
	ck_assert(hf_slice_equal(a->choices, b->choices) && hf_slice_equal(a->to, b->to));
	ck_assert(hf_slice_equal(a->roles, b->roles) && hf_slice_equal(a->data, b->data));
	ck_assert_uint_eq(a->expires_in_ms, b->expires_in_ms);
}

static void assert_answers_equal(const struct hf_answer *a, const struct hf_answer *b)
{
	ck_assert(hf_slice_equal(a->id, b->id) && hf_slice_equal(a->choice, b->choice));
	ck_assert(hf_slice_equal(a->text, b->text) && hf_slice_equal(a->data, b->data));
}

START_TEST(golden_bytes_both_ways)
{
	const struct hf_ask asks[] = {full_ask(), {.id = hf_slice_of("a"), .question = hf_slice_of("?")}};
	const struct hf_answer answers[] = {full_answer(), {.id = hf_slice_of("a"), .text = hf_slice_of("x")}};
	struct hf_buffer out = {0};
	struct hf_ask ask;
	struct hf_answer answer;

	for (int i = 0; i < 2; i++) {
		hf_buffer_clear(&out);
		ck_assert(hf_ask_encode(&asks[i], &out));
		ck_assert_hex(&out, i == 0 ? ASK_HEX : ASK_SMALL_HEX);
		ck_assert_reason(hf_ask_decode(hf_buffer_slice(&out), &ask), HF_OK, "an ask");
		assert_asks_equal(&ask, &asks[i]);
		ck_assert(ask.id.data > (char *)out.data && ask.id.data < (char *)out.data + out.len); /* borrowed */

		hf_buffer_clear(&out);
		ck_assert(hf_answer_encode(&answers[i], &out));
		ck_assert_hex(&out, i == 0 ? ANSWER_HEX : ANSWER_SMALL_HEX);
		ck_assert_reason(hf_answer_decode(hf_buffer_slice(&out), &answer), HF_OK, "an answer");
		assert_answers_equal(&answer, &answers[i]);
	}
	hf_buffer_free(&out);
}
END_TEST

START_TEST(lists_can_be_asked)
{
	struct hf_ask ask = full_ask();

	ck_assert(hf_ask_lists(ask.choices, hf_slice_of("approve")));
	ck_assert(hf_ask_lists(ask.choices, hf_slice_of("reject")));
	ck_assert(!hf_ask_lists(ask.choices, hf_slice_of("rejec")));
	ck_assert(!hf_ask_lists(ask.choices, hf_slice_of("")));
	ck_assert(!hf_ask_lists(HF_SLICE_NONE, hf_slice_of("")));
	ck_assert(hf_ask_lists(hf_slice_of("\x9f\x61x\x61y\xff"), hf_slice_of("y")));
	ck_assert(!hf_ask_lists(hf_slice_of("\x9f\x61x\x61y\xff"), hf_slice_of("z")));
	ck_assert(hf_ask_lists(hf_slice_of("\x81\x78\x01x"), hf_slice_of("x"))); /* a length wider than need be */
}
END_TEST

/* ---- what is taken and what is not; schemas.py has more --------------------------------------------------- */

#define ID "626964 6161 "
#define QUESTION "687175657374696f6e 613f "
#define TWO ID QUESTION
#define CHOICES "6763686f69636573 "
#define TO "62746f "
#define ROLES "65726f6c6573 "
#define EXPIRES "6a657870697265732d696e "
#define DATA "6464617461 "
#define CHOICE "6663686f696365 6179 "
#define TEXT "6474657874 6178 "
#define CHOICES_24 "617861786178617861786178617861786178617861786178617861786178617861786178617861786178617861786178"

struct payload {
	const char *what;
	const char *hex;
	enum hf_reason reason;
};

static const struct payload asks_seen[] = {
	{"keys in another order", "a2" QUESTION ID, HF_OK},
	{"indefinite-length map", "bf" TWO "ff", HF_OK},
	{"choices: indefinite-length array", "a3" TWO CHOICES "9f61786179ff", HF_OK},
	{"choices: the same twice", "a3" TWO CHOICES "8261786178", HF_OK},
	{"roles: both", "a3" TWO ROLES "82 6475736572 686f70657261746f72", HF_OK},
	{"expires-in: the longest", "a3" TWO EXPIRES "1b000000075cd78800", HF_OK},
	{"expires-in: wider than need be", "a3" TWO EXPIRES "1b0000000000000001", HF_OK},
	{"data: null", "a3" TWO DATA "f6", HF_OK},

	{"nothing", "", HF_PAYLOAD_MALFORMED},
	{"JSON", "7b226964223a2261227d", HF_PAYLOAD_MALFORMED},
	{"bytes left over", "a2" TWO "00", HF_PAYLOAD_MALFORMED},
	{"map that ends early", "a3" TWO, HF_PAYLOAD_MALFORMED},
	{"choices: array that ends early", "a3" TWO CHOICES "826178", HF_PAYLOAD_MALFORMED},
	{"choices: array without an end", "a3" TWO CHOICES "9f6178", HF_PAYLOAD_MALFORMED},
	{"choices: longer than the payload", "a3" TWO CHOICES "9bffffffffffffffff6178", HF_PAYLOAD_MALFORMED},
	{"no id", "a1" QUESTION, HF_PAYLOAD_INVALID},
	{"no question", "a1" ID, HF_PAYLOAD_INVALID},
	{"empty id", "a2 626964 60" QUESTION, HF_PAYLOAD_INVALID},
	{"empty question", "a2" ID "687175657374696f6e 60", HF_PAYLOAD_INVALID},
	{"question as bytes", "a2" ID "687175657374696f6e 413f", HF_PAYLOAD_INVALID},
	{"id twice", "a3" TWO ID, HF_PAYLOAD_INVALID},
	{"unknown key", "a3" TWO "617800", HF_PAYLOAD_INVALID},
	{"choices: none", "a3" TWO CHOICES "80", HF_PAYLOAD_INVALID},
	{"choices: none, indefinite", "a3" TWO CHOICES "9fff", HF_PAYLOAD_INVALID},
	{"choices: text", "a3" TWO CHOICES "6178", HF_PAYLOAD_INVALID},
	{"choices: an empty one", "a3" TWO CHOICES "8160", HF_PAYLOAD_INVALID},
	{"choices: a number", "a3" TWO CHOICES "8101", HF_PAYLOAD_INVALID},
	{"choices: in chunks", "a3" TWO CHOICES "817f6178ff", HF_PAYLOAD_INVALID},
	{"choices: not UTF-8", "a3" TWO CHOICES "8161ff", HF_PAYLOAD_INVALID},
	{"choices: 33 of them", "a3" TWO CHOICES "9821" CHOICES_24 "617861786178617861786178617861786178",
		HF_PAYLOAD_INVALID},
	{"choices: 33 of them, indefinite", "a3" TWO CHOICES "9f" CHOICES_24 "617861786178617861786178617861786178ff",
		HF_PAYLOAD_INVALID},
	{"to: nobody", "a3" TWO TO "80", HF_PAYLOAD_INVALID},
	{"to: an empty identity", "a3" TWO TO "8160", HF_PAYLOAD_INVALID},
	{"roles: agent", "a3" TWO ROLES "81 656167656e74", HF_PAYLOAD_INVALID},
	{"roles: user three times", "a3" TWO ROLES "83 6475736572 6475736572 6475736572", HF_PAYLOAD_INVALID},
	{"roles: text", "a3" TWO ROLES "6475736572", HF_PAYLOAD_INVALID},
	{"expires-in: 0", "a3" TWO EXPIRES "00", HF_PAYLOAD_INVALID},
	{"expires-in: longer than the longest", "a3" TWO EXPIRES "1b000000075cd78801", HF_PAYLOAD_INVALID},
	{"expires-in: at the end of 64 bits", "a3" TWO EXPIRES "1bffffffffffffffff", HF_PAYLOAD_INVALID},
	{"expires-in: negative", "a3" TWO EXPIRES "20", HF_PAYLOAD_INVALID},
	{"expires-in: a float", "a3" TWO EXPIRES "f93c00", HF_PAYLOAD_INVALID},
	{"data: text in chunks", "a3" TWO DATA "817f6161ff", HF_PAYLOAD_INVALID},
};

static const struct payload answers_seen[] = {
	{"a choice", "a2" ID CHOICE, HF_OK},
	{"text in front of the id", "a2" TEXT ID, HF_OK},
	{"both, indefinite", "bf" ID CHOICE TEXT "ff", HF_OK},
	{"nothing", "", HF_PAYLOAD_MALFORMED},
	{"cut", "a2" ID "6663686f696365 62", HF_PAYLOAD_MALFORMED},
	{"bytes left over", "a2" ID TEXT "00", HF_PAYLOAD_MALFORMED},
	{"neither choice nor text", "a1" ID, HF_PAYLOAD_INVALID},
	{"only data", "a2" ID DATA "01", HF_PAYLOAD_INVALID},
	{"no id", "a1" TEXT, HF_PAYLOAD_INVALID},
	{"empty choice", "a2" ID "6663686f696365 60", HF_PAYLOAD_INVALID},
	{"empty text", "a3" ID CHOICE "6474657874 60", HF_PAYLOAD_INVALID},
	{"a choice that is true", "a2" ID "6663686f696365 f5", HF_PAYLOAD_INVALID},
	{"unknown key", "a3" ID TEXT "617800", HF_PAYLOAD_INVALID},
	{"an array", "80", HF_PAYLOAD_INVALID},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

START_TEST(asks_from_the_table)
{
	struct hf_buffer bytes = {0};
	struct hf_slice payload = exact_copy(from_hex(&bytes, asks_seen[_i].hex));
	struct hf_ask ask;

	ck_assert_reason(hf_ask_decode(payload, &ask), asks_seen[_i].reason, asks_seen[_i].what);
	free((void *)(uintptr_t)payload.data);
	hf_buffer_free(&bytes);
}
END_TEST

START_TEST(answers_from_the_table)
{
	struct hf_buffer bytes = {0};
	struct hf_slice payload = exact_copy(from_hex(&bytes, answers_seen[_i].hex));
	struct hf_answer answer;

	ck_assert_reason(hf_answer_decode(payload, &answer), answers_seen[_i].reason, answers_seen[_i].what);
	free((void *)(uintptr_t)payload.data);
	hf_buffer_free(&bytes);
}
END_TEST

/* A question with one text of this size at a place. */
static enum hf_reason decode_sized(const char *front, size_t size)
{
	struct hf_buffer bytes = {0};
	struct hf_ask ask;

	from_hex(&bytes, front);
	ck_assert(hf_buffer_append(&bytes, (unsigned char[]){0x79, (unsigned char)(size >> 8), (unsigned char)size}, 3));
	unsigned char *text = hf_buffer_reserve(&bytes, size);
	ck_assert_ptr_nonnull(text);
	memset(text, 'x', size);
	bytes.len += size;
	enum hf_reason reason = hf_ask_decode(hf_buffer_slice(&bytes), &ask);
	hf_buffer_free(&bytes);
	return reason;
}

START_TEST(sizes)
{
	static const struct {
		const char *front;
		size_t max;
	} places[] = {
		{"a2" QUESTION "626964", HF_ASK_ID_MAX},
		{"a3" TWO CHOICES "81", HF_ASK_CHOICE_MAX},
		{"a3" TWO TO "81", HF_ASK_IDENTITY_MAX},
	};

	for (size_t i = 0; i < COUNT(places); i++) {
		ck_assert_reason(decode_sized(places[i].front, places[i].max), HF_OK, "the longest");
		ck_assert_reason(decode_sized(places[i].front, places[i].max + 1), HF_PAYLOAD_INVALID, "one more");
	}
	ck_assert_reason(decode_sized("a2" ID "687175657374696f6e", 60000), HF_OK, "a long question");
}
END_TEST

static enum hf_reason decode_ask(struct hf_slice bytes)
{
	struct hf_ask ask;

	return hf_ask_decode(bytes, &ask);
}

static enum hf_reason decode_answer(struct hf_slice bytes)
{
	struct hf_answer answer;

	return hf_answer_decode(bytes, &answer);
}

START_TEST(every_truncation_is_malformed)
{
	check_truncations(ASK_HEX, decode_ask);
	check_truncations(ANSWER_HEX, decode_answer);
}
END_TEST

/* What is taken is the same when it is written and read again. */
static bool take_ask(struct hf_slice bytes)
{
	struct hf_buffer again = {0};
	struct hf_ask ask, back;

	if (hf_ask_decode(bytes, &ask) != HF_OK)
		return false;
	ck_assert(hf_ask_encode(&ask, &again));
	ck_assert_reason(hf_ask_decode(hf_buffer_slice(&again), &back), HF_OK, "encoded again");
	assert_asks_equal(&ask, &back);
	hf_buffer_free(&again);
	return true;
}

START_TEST(every_bit_flip_is_refused_or_an_ask)
{
	check_bit_flips(ASK_HEX, take_ask);
}
END_TEST

static bool write_ask(struct hf_buffer *out)
{
	struct hf_ask ask = full_ask();

	return hf_ask_encode(&ask, out);
}

static bool write_answer(struct hf_buffer *out)
{
	struct hf_answer answer = full_answer();

	return hf_answer_encode(&answer, out);
}

START_TEST(full_memory_is_told)
{
	check_full_memory(write_ask);
	check_full_memory(write_answer);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("codec: questions and answers");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, golden_bytes_both_ways);
	tcase_add_test(tests, lists_can_be_asked);
	tcase_add_loop_test(tests, asks_from_the_table, 0, COUNT(asks_seen));
	tcase_add_loop_test(tests, answers_from_the_table, 0, COUNT(answers_seen));
	tcase_add_test(tests, sizes);
	tcase_add_test(tests, every_truncation_is_malformed);
	tcase_add_test(tests, every_bit_flip_is_refused_or_an_ask);
	tcase_add_test(tests, full_memory_is_told);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
