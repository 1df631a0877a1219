/* SPDX-License-Identifier: BSD-3-Clause */
/* Sets of numbers as runs: their bytes, their sums and differences, and bytes that are none. */
#include "codec_check.h"

#include "codec/runs.h"

/* "1-3 5 9-20"; "" is the empty set. */
static struct hf_runs parse(const char *text)
{
	struct hf_runs runs = {0};
	unsigned long first, last;
	int len;

	while (sscanf(text, "%lu%n", &first, &len) == 1) {
		last = first;
		text += len;
		if (sscanf(text, "-%lu%n", &last, &len) == 1)
			text += len;
		ck_assert(hf_runs_add(&runs, first, last));
	}
	return runs;
}

static void check_runs(const struct hf_runs *runs, const char *text)
{
	char seen[256] = "";
	size_t len = 0;

	for (size_t i = 0; i < runs->count; i++) {
		const struct hf_run *run = &runs->items[i];
		len += (size_t)snprintf(seen + len, sizeof seen - len, run->first == run->last ? "%s%lu" : "%s%lu-%lu",
			i > 0 ? " " : "", (unsigned long)run->first, (unsigned long)run->last);
	}
	ck_assert_str_eq(seen, text);
}

START_TEST(numbers_are_added_and_found)
{
	struct hf_runs runs = parse("1-3 4 6 6 8-12 9 20");

	check_runs(&runs, "1-4 6 8-12 20");
	for (uint64_t number = 0; number < 25; number++) {
		const struct hf_run *run = hf_runs_find(&runs, number);
		bool there = (number >= 1 && number <= 4) || number == 6 || (number >= 8 && number <= 12) || number == 20;
		ck_assert_msg((run != NULL) == there, "%d", (int)number);
		ck_assert(run == NULL || (run->first <= number && number <= run->last));
	}
	ck_assert_uint_eq(hf_runs_sum(&runs), 4 + 1 + 5 + 1);
	hf_runs_free(&runs);
	ck_assert_ptr_null(hf_runs_find(&runs, 1));
	ck_assert_uint_eq(hf_runs_sum(&runs), 0);
}
END_TEST

static const struct {
	const char *a, *b, *joined, *without;
} pairs[] = {
	{"", "", "", ""},
	{"1-5", "", "1-5", "1-5"},
	{"", "1-5", "1-5", ""},
	{"1-10", "3 5-6 10", "1-10", "1-2 4 7-9"},
	{"1-10", "1 12", "1-10 12", "2-10"},
	{"2-3 6-8 11", "1-6", "1-8 11", "7-8 11"},
	{"2-3 6-8 11", "4-5", "2-8 11", "2-3 6-8 11"},
	{"2-3 6-8 11", "1-20", "1-20", ""},
	{"1-3 5-9", "3-5 7", "1-9", "1-2 6 8-9"},
};
#define PAIRS (sizeof pairs / sizeof pairs[0])

START_TEST(two_are_joined_and_taken_apart)
{
	struct hf_runs a = parse(pairs[_i].a), b = parse(pairs[_i].b), out = parse("77");

	ck_assert(hf_runs_join(&a, &b, &out));
	check_runs(&out, pairs[_i].joined);
	ck_assert(hf_runs_join(&b, &a, &out));
	check_runs(&out, pairs[_i].joined);
	ck_assert(hf_runs_without(&a, &b, &out));
	check_runs(&out, pairs[_i].without);
	ck_assert(hf_runs_equal(&a, &b) == (strcmp(pairs[_i].a, pairs[_i].b) == 0));
	hf_runs_free(&a);
	hf_runs_free(&b);
	hf_runs_free(&out);
}
END_TEST

static const struct {
	const char *runs, *hex;
} golden[] = {
	{"", ""},
	{"1", "00 00"},
	{"1-200 202 300-301", "00 c701 00 00 60 01"},
	{"7-8", "06 01"},
};
#define GOLDEN (sizeof golden / sizeof golden[0])

START_TEST(bytes_are_as_ever)
{
	struct hf_runs runs = parse(golden[_i].runs), back = {0};
	struct hf_buffer bytes = {0};

	ck_assert(hf_runs_encode(&runs, &bytes));
	ck_assert_hex(&bytes, golden[_i].hex);
	ck_assert(hf_runs_decode(hf_buffer_slice(&bytes), &back));
	ck_assert(hf_runs_equal(&runs, &back));
	hf_runs_free(&runs);
	hf_runs_free(&back);
	hf_buffer_free(&bytes);
}
END_TEST

static const char *const nonsense[] = {
	"00",                          /* half of one */
	"80 00",                       /* a varint that does not end before the next */
	"00 80",                       /* nor this one */
	"00 00 00",                    /* one and a half */
	"ffffffffffffffffff01 00",     /* beyond what there can be */
	"00 ffffffffffffffffff01",     /* likewise */
	"00 feffffffffffffff7f 00 00", /* the second one has no room */
	"ffffffffffffffffffff 00",     /* more than 64 bits */
};
#define NONSENSE (sizeof nonsense / sizeof nonsense[0])

START_TEST(nonsense_is_refused)
{
	struct hf_buffer bytes = {0};
	struct hf_slice copy = exact_copy(from_hex(&bytes, nonsense[_i]));
	struct hf_runs runs = {0};

	ck_assert(!hf_runs_decode(copy, &runs));
	ck_assert_uint_eq(runs.count, 0);
	free((void *)copy.data);
	hf_runs_free(&runs);
	hf_buffer_free(&bytes);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("codec: runs");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, numbers_are_added_and_found);
	tcase_add_loop_test(tests, two_are_joined_and_taken_apart, 0, PAIRS);
	tcase_add_loop_test(tests, bytes_are_as_ever, 0, GOLDEN);
	tcase_add_loop_test(tests, nonsense_is_refused, 0, NONSENSE);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
