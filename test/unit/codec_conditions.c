/* SPDX-License-Identifier: BSD-3-Clause */
/* What a publisher may ask of the log, as it stands in user properties; and numbers, as they stand there. */
#include "codec/conditions.h"
#include "codec/number.h"

#include "codec_check.h"

static char id_255[256], id_256[257];

static const struct {
	const char *name, *value;
	bool taken;
	enum hf_reason reason;
} properties[] = {
	{"id", "x", true, HF_OK},
	{"id", id_255, true, HF_OK},
	{"id", id_256, true, HF_CONDITION_INVALID},
	{"id", "", true, HF_CONDITION_INVALID},
	{"expect-offset", "0", true, HF_OK},
	{"expect-offset", "9223372036854775807", true, HF_OK},
	{"expect-offset", "9223372036854775808", true, HF_CONDITION_INVALID},
	{"expect-offset", "18446744073709551617", true, HF_CONDITION_INVALID}, /* 1, were it cut to 64 bits */
	{"expect-offset", "", true, HF_CONDITION_INVALID},
	{"expect-offset", "-1", true, HF_CONDITION_INVALID},
	{"expect-offset", "+1", true, HF_CONDITION_INVALID},
	{"expect-offset", "01", true, HF_CONDITION_INVALID},
	{"expect-offset", "1 ", true, HF_CONDITION_INVALID},
	{"expect-offset", "0x1", true, HF_CONDITION_INVALID},
	{"epoch", "7", true, HF_OK},
	{"epoch", "seven", true, HF_CONDITION_INVALID},
	{"epoch", "", true, HF_CONDITION_INVALID},
	{"ID", "x", false, HF_OK},
	{"id2", "x", false, HF_OK},
	{"i", "x", false, HF_OK},
	{"", "", false, HF_OK},
	{"offset", "1", false, HF_OK},
};
#define PROPERTY_COUNT (sizeof(properties) / sizeof(properties[0]))

static bool is_empty(const struct hf_conditions *conditions)
{
	return conditions->id.len == 0 && !conditions->has_expect_offset && !conditions->has_epoch;
}

START_TEST(each_alone)
{
	struct hf_conditions conditions = HF_CONDITIONS_NONE;
	enum hf_reason reason = HF_OK;
	struct hf_slice name = hf_slice_of(properties[_i].name), value = hf_slice_of(properties[_i].value);

	ck_assert_int_eq(hf_condition_take(&conditions, name, value, &reason), properties[_i].taken);
	ck_assert_reason(reason, properties[_i].reason, properties[_i].value);
	ck_assert_int_eq(is_empty(&conditions), !properties[_i].taken || properties[_i].reason != HF_OK);
}
END_TEST

START_TEST(all_together)
{
	struct hf_conditions conditions = HF_CONDITIONS_NONE;
	enum hf_reason reason = HF_OK;

	ck_assert(hf_condition_take(&conditions, hf_slice_of("epoch"), hf_slice_of("3"), &reason));
	ck_assert(hf_condition_take(&conditions, hf_slice_of("id"), hf_slice_of("3"), &reason));
	ck_assert(hf_condition_take(&conditions, hf_slice_of("expect-offset"), hf_slice_of("12"), &reason));
	ck_assert_reason(reason, HF_OK, "all three");
	ck_assert_slice(conditions.id, "3");
	ck_assert(conditions.has_epoch && conditions.has_expect_offset);
	ck_assert_uint_eq(conditions.epoch, 3);
	ck_assert_uint_eq(conditions.expect_offset, 12);
}
END_TEST

START_TEST(none_twice)
{
	static const char *const names[] = {"id", "expect-offset", "epoch"};
	struct hf_conditions conditions = HF_CONDITIONS_NONE;
	enum hf_reason reason = HF_OK;
	struct hf_slice name = hf_slice_of(names[_i]);

	ck_assert(hf_condition_take(&conditions, name, hf_slice_of("1"), &reason));
	ck_assert_reason(reason, HF_OK, names[_i]);
	ck_assert(hf_condition_take(&conditions, name, hf_slice_of("1"), &reason));
	ck_assert_reason(reason, HF_CONDITION_INVALID, names[_i]);
}
END_TEST

/* A fault is not made good by what comes after it. */
START_TEST(a_fault_stays)
{
	struct hf_conditions conditions = HF_CONDITIONS_NONE;
	enum hf_reason reason = HF_OK;

	ck_assert(hf_condition_take(&conditions, hf_slice_of("epoch"), hf_slice_of("x"), &reason));
	ck_assert(hf_condition_take(&conditions, hf_slice_of("epoch"), hf_slice_of("1"), &reason));
	ck_assert(!hf_condition_take(&conditions, hf_slice_of("other"), hf_slice_of("1"), &reason));
	ck_assert_reason(reason, HF_CONDITION_INVALID, "the first of two");
}
END_TEST

static const struct {
	uint64_t number;
	const char *text;
} numbers[] = {{0, "0"}, {9, "9"}, {10, "10"}, {1700000000123, "1700000000123"}, {INT64_MAX, "9223372036854775807"},
	{UINT64_MAX, "18446744073709551615"}};

START_TEST(numbers_are_written_as_they_are_read)
{
	char text[HF_NUMBER_SIZE];
	const char *written = hf_number_write(numbers[_i].number, text);
	uint64_t read;

	ck_assert_str_eq(written, numbers[_i].text);
	ck_assert(hf_number_parse(hf_slice_of(written), &read) == (numbers[_i].number <= INT64_MAX));
	ck_assert(numbers[_i].number > INT64_MAX || read == numbers[_i].number);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("codec: conditions");
	TCase *tests = tcase_create("conditions");

	memset(id_255, 'x', 255);
	memset(id_256, 'x', 256);
	tcase_add_loop_test(tests, each_alone, 0, PROPERTY_COUNT);
	tcase_add_test(tests, all_together);
	tcase_add_loop_test(tests, none_twice, 0, 3);
	tcase_add_test(tests, a_fault_stays);
	tcase_add_loop_test(tests, numbers_are_written_as_they_are_read, 0, sizeof(numbers) / sizeof(numbers[0]));
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
