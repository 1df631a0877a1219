/* SPDX-License-Identifier: BSD-3-Clause */
/* Control requests. schemas.py holds them against the schema, too. */
#include "codec/control.h"

#include "codec_full.h"

#define COMMAND "67636f6d6d616e64 "
#define CLAIM COMMAND "65636c61696d "
#define TRANSFER COMMAND "687472616e73666572 "
#define TO "62746f 656f73636172 "
#define MODE "646d6f6465 "
#define EPOCH "6565706f6368 "
#define LIMITS COMMAND "666c696d697473 "
#define AGE "676d61782d616765 "
#define BYTES "696d61782d6279746573 "
#define COUNT "696d61782d636f756e74 "

static const struct {
	const char *what;
	const char *hex;
	enum hf_reason reason;
	struct hf_control_request request;
} requests[] = {
	{"claim", "a1" CLAIM, HF_OK, {.command = HF_COMMAND_CLAIM}},
	{"claim, epoch", "a2" EPOCH "07" CLAIM, HF_OK,
		{.command = HF_COMMAND_CLAIM, .fields = HF_CONTROL_EPOCH, .epoch = 7}},
	{"epoch 0", "a2" EPOCH "00" CLAIM, HF_OK, {.command = HF_COMMAND_CLAIM, .fields = HF_CONTROL_EPOCH}},
	{"any order", "a2" CLAIM EPOCH "1bffffffffffffffff", HF_OK,
		{.command = HF_COMMAND_CLAIM, .fields = HF_CONTROL_EPOCH, .epoch = UINT64_MAX}},
	{"indefinite", "bf" CLAIM "ff", HF_OK, {.command = HF_COMMAND_CLAIM}},
	{"transfer", "a2" TO TRANSFER, HF_OK,
		{.command = HF_COMMAND_TRANSFER, .fields = HF_CONTROL_TO, .to = {"oscar", 5}}},
	{"transfer, warm", "a3" TO MODE "647761726d" TRANSFER, HF_OK,
		{.command = HF_COMMAND_TRANSFER, .fields = HF_CONTROL_TO | HF_CONTROL_MODE, .to = {"oscar", 5}}},
	{"transfer, cold, epoch", "a4" TO MODE "64636f6c64" EPOCH "09" TRANSFER, HF_OK,
		{.command = HF_COMMAND_TRANSFER,
			.fields = HF_CONTROL_TO | HF_CONTROL_MODE | HF_CONTROL_EPOCH,
			.to = {"oscar", 5},
			.cold = true,
			.epoch = 9}},
	{"accept", "a1" COMMAND "66616363657074", HF_OK, {.command = HF_COMMAND_ACCEPT}},
	{"decline", "a1" COMMAND "676465636c696e65", HF_OK, {.command = HF_COMMAND_DECLINE}},
	{"handback", "a1" COMMAND "6868616e646261636b", HF_OK, {.command = HF_COMMAND_HANDBACK}},
	{"release", "a1" COMMAND "6772656c65617365", HF_OK, {.command = HF_COMMAND_RELEASE}},
	{"close", "a1" COMMAND "65636c6f7365", HF_OK, {.command = HF_COMMAND_CLOSE}},
	{"erase", "a1" COMMAND "656572617365", HF_OK, {.command = HF_COMMAND_ERASE}},
	{"limits", "a1" LIMITS, HF_OK, {.command = HF_COMMAND_LIMITS}},
	{"limits, all", "a4" LIMITS COUNT "01" AGE "00" BYTES "1bffffffffffffffff", HF_OK,
		{.command = HF_COMMAND_LIMITS,
			.fields = HF_CONTROL_AGE | HF_CONTROL_BYTES | HF_CONTROL_COUNT,
			.bytes = UINT64_MAX,
			.count = 1}},

	{.what = "close, epoch", .hex = "a2" COMMAND "65636c6f7365" EPOCH "01", .reason = HF_PAYLOAD_INVALID},
	{.what = "claim, count", .hex = "a2" CLAIM COUNT "01", .reason = HF_PAYLOAD_INVALID},
	{.what = "count twice", .hex = "a3" LIMITS COUNT "01" COUNT "01", .reason = HF_PAYLOAD_INVALID},
	{.what = "count: -1", .hex = "a2" LIMITS COUNT "20", .reason = HF_PAYLOAD_INVALID},
	{.what = "age: text", .hex = "a2" LIMITS AGE "6131", .reason = HF_PAYLOAD_INVALID},
	{.what = "nothing", .hex = "", .reason = HF_PAYLOAD_MALFORMED},
	{.what = "cut", .hex = "a1", .reason = HF_PAYLOAD_MALFORMED},
	{.what = "cut behind the key", .hex = "a1" COMMAND, .reason = HF_PAYLOAD_MALFORMED},
	{.what = "bytes left over", .hex = "a1" CLAIM "00", .reason = HF_PAYLOAD_MALFORMED},
	{.what = "JSON", .hex = "7b22636f6d6d616e64223a22636c61696d227d", .reason = HF_PAYLOAD_MALFORMED},
	{.what = "an array", .hex = "80", .reason = HF_PAYLOAD_INVALID},
	{.what = "an empty map", .hex = "a0", .reason = HF_PAYLOAD_INVALID},
	{.what = "no command", .hex = "a1" EPOCH "01", .reason = HF_PAYLOAD_INVALID},
	{.what = "command twice", .hex = "a2" CLAIM CLAIM, .reason = HF_PAYLOAD_INVALID},
	{.what = "epoch twice", .hex = "a3" CLAIM EPOCH "01" EPOCH "01", .reason = HF_PAYLOAD_INVALID},
	{.what = "command: a number", .hex = "a1" COMMAND "01", .reason = HF_PAYLOAD_INVALID},
	{.what = "command: bytes", .hex = "a1" COMMAND "45636c61696d", .reason = HF_PAYLOAD_INVALID},
	{.what = "command: not UTF-8", .hex = "a1" COMMAND "61ff", .reason = HF_PAYLOAD_INVALID},
	{.what = "an unknown command", .hex = "a1" COMMAND "6378797a", .reason = HF_COMMAND_UNKNOWN},
	{.what = "an empty command", .hex = "a1" COMMAND "60", .reason = HF_COMMAND_UNKNOWN},
	{.what = "an unknown key", .hex = "a2" CLAIM "6178 01", .reason = HF_PAYLOAD_INVALID},
	{.what = "a key that is a number", .hex = "a2" CLAIM "01 01", .reason = HF_PAYLOAD_INVALID},
	{.what = "a field it does not take", .hex = "a2" TO CLAIM, .reason = HF_PAYLOAD_INVALID},
	{.what = "a mode it does not take", .hex = "a2" MODE "647761726d" CLAIM, .reason = HF_PAYLOAD_INVALID},
	{.what = "a field it lacks", .hex = "a1" TRANSFER, .reason = HF_PAYLOAD_INVALID},
	{.what = "to: empty", .hex = "a2 62746f 60" TRANSFER, .reason = HF_PAYLOAD_INVALID},
	{.what = "to: with a zero", .hex = "a2 62746f 62006f" TRANSFER, .reason = HF_PAYLOAD_INVALID},
	{.what = "to: a number", .hex = "a2 62746f 01" TRANSFER, .reason = HF_PAYLOAD_INVALID},
	{.what = "another mode", .hex = "a3" TO MODE "63686f74" TRANSFER, .reason = HF_PAYLOAD_INVALID},
	{.what = "epoch: -1", .hex = "a2" CLAIM EPOCH "20", .reason = HF_PAYLOAD_INVALID},
	{.what = "epoch: text", .hex = "a2" CLAIM EPOCH "6131", .reason = HF_PAYLOAD_INVALID},
};
#define REQUEST_COUNT ((int)(sizeof(requests) / sizeof(requests[0])))

START_TEST(from_the_table)
{
	struct hf_buffer bytes = {0};
	struct hf_slice payload = exact_copy(from_hex(&bytes, requests[_i].hex));
	const struct hf_control_request *wanted = &requests[_i].request;
	struct hf_control_request request;

	ck_assert_reason(hf_control_decode(payload, &request), requests[_i].reason, requests[_i].what);
	if (requests[_i].reason == HF_OK) {
		ck_assert_int_eq(request.command, wanted->command);
		ck_assert_uint_eq(request.fields, wanted->fields);
		ck_assert_uint_eq(request.epoch, wanted->epoch);
		ck_assert_int_eq(request.cold, wanted->cold);
		ck_assert_uint_eq(request.age_ms, wanted->age_ms);
		ck_assert_uint_eq(request.bytes, wanted->bytes);
		ck_assert_uint_eq(request.count, wanted->count);
		ck_assert(hf_slice_equal(request.to, wanted->to));
	}
	free((void *)(uintptr_t)payload.data);
	hf_buffer_free(&bytes);
}
END_TEST

static bool write_largest(struct hf_buffer *out)
{
	const struct hf_control_request request = {
		.command = HF_COMMAND_TRANSFER,
		.fields = HF_CONTROL_TO | HF_CONTROL_MODE | HF_CONTROL_EPOCH,
		.to = hf_slice_of("oscar"),
		.cold = true,
		.epoch = 24,
	};

	return hf_control_encode(&request, out);
}

START_TEST(golden_bytes)
{
	struct hf_buffer out = {0};

	ck_assert(write_largest(&out));
	ck_assert_hex(&out, "a4" TO MODE "64636f6c64" EPOCH "1818" TRANSFER);
	hf_buffer_clear(&out);
	ck_assert(hf_control_encode(&(struct hf_control_request){.command = HF_COMMAND_RELEASE}, &out));
	ck_assert_hex(&out, "a1" COMMAND "6772656c65617365");
	hf_buffer_clear(&out);
	ck_assert(hf_control_encode(&(struct hf_control_request){.command = HF_COMMAND_LIMITS,
									.fields = HF_CONTROL_AGE | HF_CONTROL_BYTES | HF_CONTROL_COUNT,
									.age_ms = 1000,
									.count = 1},
		&out));
	ck_assert_hex(&out, "a4" LIMITS AGE "1903e8" BYTES "00" COUNT "01");
	hf_buffer_free(&out);
}
END_TEST

START_TEST(full_memory_is_told)
{
	check_full_memory(write_largest);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("codec: control");
	TCase *tests = tcase_create("control");

	tcase_add_loop_test(tests, from_the_table, 0, REQUEST_COUNT);
	tcase_add_test(tests, golden_bytes);
	tcase_add_test(tests, full_memory_is_told);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
