/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec_full.h"

#include "codec/entry.h"
#include "codec/properties.h"

/* Content Type "text/plain", User Property ("lang", "de"), Payload Format Indicator 1. */
#define PROPERTIES_HEX "03 000a 746578742f706c61696e 26 0004 6c616e67 0002 6465 01 01"

/* The layout of entry.h, by hand. These bytes are on disk: they change with the format's number only. */
#define HEAD_HEX(flags)                                                                                                \
	"02 02 03 " flags " 03 04 0500 0500 0600 07 000000 1a000000 02000000 0807060504030201 0080c62b9b010000"
#define DIGEST_HEX "8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4" /* printf hi | sha256sum */
#define LINK_HEX "1122334455667788"
#define TEXTS_HEX "616263 69642d31 696e707574 616c696365 70686f6e6531 3132372e302e31"
#define GOLDEN_HEX HEAD_HEX("19") DIGEST_HEX LINK_HEX TEXTS_HEX PROPERTIES_HEX "6869"
/* Without an audit. */
#define PLAIN_HEX                                                                                                      \
	HEAD_HEX("01")                                                                                                     \
	"0000000000000000000000000000000000000000000000000000000000000000"                                                 \
	"0000000000000000" TEXTS_HEX PROPERTIES_HEX "6869"
/* The golden one without its payload and properties, but for the SHA-256 of the latter. */
#define PROPERTIES_DIGEST_HEX "97802995bd92f8a9cfe5a43c2890d478c750419dfb5a1cc9ee6483ab0748ebc3"
#define STRIPPED_HEX HEAD_HEX("1d") DIGEST_HEX LINK_HEX TEXTS_HEX PROPERTIES_DIGEST_HEX

#define DIGEST_BYTES                                                                                                   \
	"\x8f\x43\x43\x46\x64\x8f\x6b\x96\xdf\x89\xdd\xa9\x01\xc5\x17\x6b"                                                 \
	"\x10\xa6\xd8\x39\x61\xdd\x3c\x1a\xc8\x8b\x59\xb2\xdc\x32\x7a\xa4"
#define LINK_BYTES "\x11\x22\x33\x44\x55\x66\x77\x88"

static struct hf_entry golden_entry(struct hf_buffer *properties)
{
	return (struct hf_entry){
		.lsn = 99,
		.offset = UINT64_C(0x0102030405060708),
		.time_ms = INT64_C(0x19b2bc68000),
		.kind = HF_KIND_INPUT,
		.role = HF_ROLE_OPERATOR,
		.qos = 1,
		.session = hf_slice_of("abc"),
		.topic = hf_slice_of("input"),
		.id = hf_slice_of("id-1"),
		.identity = hf_slice_of("alice"),
		.device = hf_slice_of("phone1"),
		.address = hf_slice_of("127.0.1"),
		.properties = from_hex(properties, PROPERTIES_HEX),
		.payload = hf_slice_of("hi"),
		.digest = hf_slice_from(DIGEST_BYTES, HF_DIGEST_SIZE),
		.link = hf_slice_from(LINK_BYTES, HF_LINK_SIZE),
	};
}

static void assert_entries_equal(const struct hf_entry *a, const struct hf_entry *b)
{
	ck_assert_uint_eq(a->offset, b->offset);
	ck_assert_int_eq(a->time_ms, b->time_ms);
	ck_assert_int_eq(a->kind, b->kind);
	ck_assert_int_eq(a->role, b->role);
	ck_assert_uint_eq(a->qos, b->qos);
	ck_assert(hf_slice_equal(a->session, b->session));
	ck_assert(hf_slice_equal(a->topic, b->topic));
	ck_assert(hf_slice_equal(a->id, b->id));
	ck_assert(hf_slice_equal(a->identity, b->identity));
	ck_assert(hf_slice_equal(a->device, b->device));
	ck_assert(hf_slice_equal(a->address, b->address));
	ck_assert(hf_slice_equal(a->digest, b->digest));
	ck_assert(hf_slice_equal(a->link, b->link));
	ck_assert_int_eq(a->stripped, b->stripped);
	ck_assert(hf_slice_equal(a->properties_digest, b->properties_digest));
	ck_assert(hf_slice_equal(a->properties, b->properties));
	ck_assert(hf_slice_equal(a->payload, b->payload));
}

START_TEST(golden_bytes_both_ways)
{
	struct hf_buffer properties = {0}, record = {0};
	struct hf_entry entry = golden_entry(&properties), back = {.lsn = 7};

	ck_assert_reason(hf_entry_encode(&entry, &record), HF_OK, "encode");
	ck_assert_hex(&record, GOLDEN_HEX);
	ck_assert_reason(hf_entry_decode(hf_buffer_slice(&record), &back), HF_OK, "decode");
	assert_entries_equal(&entry, &back);
	ck_assert_uint_eq(back.lsn, 7); /* the key's, not the record's */

	/* It appends. */
	ck_assert_reason(hf_entry_encode(&entry, &record), HF_OK, "encode behind");
	ck_assert_uint_eq(record.len % 2, 0);
	ck_assert_mem_eq(record.data, record.data + record.len / 2, record.len / 2);
	hf_buffer_free(&record);
	hf_buffer_free(&properties);
}
END_TEST

START_TEST(extremes_round_trip)
{
	static char payload[70000], long_text[UINT16_MAX], session[HF_SESSION_ID_MAX], id[UINT8_MAX];
	memset(payload, 0xa5, sizeof(payload));
	memset(long_text, 't', sizeof(long_text));
	memset(session, 's', sizeof(session));
	memset(id, 'i', sizeof(id));
	struct hf_entry entries[] = {
		/* As little as there can be: zeroed slices have no data to copy. */
		{.offset = 1, .kind = HF_KIND_TOKENS, .role = HF_ROLE_AGENT, .session = hf_slice_of("a")},
		{.offset = UINT64_MAX,
			.time_ms = INT64_MIN,
			.kind = HF_KIND_SHARED,
			.role = HF_ROLE_BROKER,
			.qos = 2,
			.session = hf_slice_from(session, sizeof(session)),
			.topic = hf_slice_from(long_text, sizeof(long_text)),
			.id = hf_slice_from(id, sizeof(id)),
			.identity = hf_slice_from(long_text, sizeof(long_text)),
			.device = hf_slice_from(long_text, sizeof(long_text)),
			.address = hf_slice_from(id, sizeof(id)),
			.payload = hf_slice_from(payload, sizeof(payload))},
	};

	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		struct hf_buffer record = {0};
		struct hf_entry back = {0};
		ck_assert_reason(hf_entry_encode(&entries[i], &record), HF_OK, "encode");
		ck_assert_reason(hf_entry_decode(hf_buffer_slice(&record), &back), HF_OK, "decode");
		assert_entries_equal(&entries[i], &back);
		hf_buffer_free(&record);
	}
}
END_TEST

START_TEST(parts_too_large_for_their_length_are_refused)
{
	static char big[UINT16_MAX + 1];
	struct hf_entry sound = {.offset = 1, .kind = HF_KIND_EVENT, .role = HF_ROLE_AGENT, .session = hf_slice_of("a")};
	struct hf_entry entries[] = {sound, sound, sound, sound, sound, sound, sound, sound};
	struct hf_slice above_32_bits =
		hf_slice_from(big, (size_t)UINT32_MAX + 1); /* its length is all that is looked at */
	entries[0].id = hf_slice_from(big, UINT8_MAX + 1);
	entries[1].topic = hf_slice_from(big, sizeof(big));
	entries[2].identity = hf_slice_from(big, sizeof(big));
	entries[3].device = hf_slice_from(big, sizeof(big));
	entries[4].properties = above_32_bits;
	entries[5].payload = above_32_bits;
	entries[6].session = hf_slice_from(big, UINT8_MAX + 1);
	entries[7].address = hf_slice_from(big, UINT8_MAX + 1);

	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		struct hf_buffer record = {0};
		ck_assert_reason(hf_entry_encode(&entries[i], &record), HF_PROPERTIES_TOO_LARGE, "too large");
		ck_assert_uint_eq(record.len, 0);
		hf_buffer_free(&record);
	}
}
END_TEST

START_TEST(any_other_length_is_corrupt)
{
	struct hf_buffer record = {0};
	struct hf_slice whole = from_hex(&record, GOLDEN_HEX);

	for (size_t len = 0; len < whole.len; len++) {
		struct hf_slice part = exact_copy(hf_slice_from(whole.data, len));
		struct hf_entry entry = {.offset = 4711};
		ck_assert_msg(hf_entry_decode(part, &entry) == HF_RECORD_CORRUPT, "%zu bytes", len);
		ck_assert_uint_eq(entry.offset, 4711);
		free((void *)(uintptr_t)part.data);
	}
	struct hf_entry entry;
	ck_assert(hf_buffer_append(&record, "\0", 1));
	ck_assert_reason(hf_entry_decode(hf_buffer_slice(&record), &entry), HF_RECORD_CORRUPT, "one byte more");
	hf_buffer_free(&record);
}
END_TEST

static const struct {
	const char *what;
	size_t at;
	unsigned char byte;
} faults[] = {
	{"format 0", 0, 0},
	{"format 1", 0, 1},
	{"no kind", 1, HF_KIND_NONE},
	{"a kind behind the logged ones", 1, HF_KIND_LOGGED_LAST + 1},
	{"a kind that is not logged", 1, HF_KIND_PRESENCE},
	{"kind 255", 1, 255},
	{"no role", 2, HF_ROLE_NONE},
	{"a role behind the last", 2, HF_ROLE_BROKER + 1},
	{"QoS 3", 3, 0x1b},
	{"flags with other bits", 3, 0x99},
	{"a digest that is said not to be there", 3, 0x11},
	{"a link that is said not to be there", 3, 0x09},
	{"stripped, and payload and properties are there", 3, 0x1d},
	{"session id one shorter", 4, 2},
	{"an address longer than one may be", 13, 1},
	{"payload of 2^24 more", 23, 1},
	{"a character that no session id has", 80, '/'},
	{"a zero byte in the session id", 80, 0},
	{"another property", 110, 2},
	{"a property that says it is longer", 111, 1},
	{"payload format 2", 135, 2},
	{"content type not UTF-8", 113, 0xff},
};

START_TEST(faults_from_the_table)
{
	struct hf_buffer record = {0};
	struct hf_entry entry;

	struct hf_slice bytes = from_hex(&record, GOLDEN_HEX);
	ck_assert_reason(hf_entry_decode(bytes, &entry), HF_OK, "before");
	record.data[faults[_i].at] = faults[_i].byte;
	ck_assert_reason(hf_entry_decode(bytes, &entry), HF_RECORD_CORRUPT, faults[_i].what);
	hf_buffer_free(&record);
}
END_TEST

START_TEST(offset_zero_is_corrupt)
{
	struct hf_buffer record = {0};
	struct hf_slice bytes = from_hex(&record, GOLDEN_HEX);
	struct hf_entry entry;

	memset(record.data + 24, 0, 8);
	ck_assert_reason(hf_entry_decode(bytes, &entry), HF_RECORD_CORRUPT, "offset 0");
	hf_buffer_free(&record);
}
END_TEST

START_TEST(bit_flips_are_corrupt_or_an_entry)
{
	struct hf_buffer record = {0}, again = {0};
	struct hf_slice whole = from_hex(&record, GOLDEN_HEX);
	size_t corrupt = 0;

	for (size_t bit = 0; bit < whole.len * 8; bit++) {
		record.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
		struct hf_slice flipped = exact_copy(whole);
		struct hf_entry entry = {0};
		if (hf_entry_decode(flipped, &entry) == HF_OK) {
			/* Every bit of a record means something: what was read writes the same bytes. */
			hf_buffer_clear(&again);
			ck_assert_reason(hf_entry_encode(&entry, &again), HF_OK, "encoded again");
			ck_assert_uint_eq(again.len, flipped.len);
			ck_assert_mem_eq(again.data, flipped.data, flipped.len);
		} else {
			corrupt++;
		}
		free((void *)(uintptr_t)flipped.data);
		record.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
	}
	/* At the least: all bits of the format, the flags but for QoS, all of the lengths. */
	ck_assert_uint_ge(corrupt, 8 + 6 + 20 * 8);
	hf_buffer_free(&record);
	hf_buffer_free(&again);
}
END_TEST

START_TEST(records_without_an_audit_have_zeros)
{
	struct hf_buffer properties = {0}, record = {0};
	struct hf_entry entry = golden_entry(&properties), back = {0};

	entry.digest = entry.link = HF_SLICE_NONE;
	ck_assert_reason(hf_entry_encode(&entry, &record), HF_OK, "encode");
	ck_assert_hex(&record, PLAIN_HEX);
	ck_assert_reason(hf_entry_decode(hf_buffer_slice(&record), &back), HF_OK, "decode");
	assert_entries_equal(&entry, &back);
	hf_buffer_free(&record);
	hf_buffer_free(&properties);
}
END_TEST

/* ---- stripped, and chained ------------------------------------------------------------------------------- */

static void strip(const char *from_bytes, struct hf_buffer *record, struct hf_hasher *hasher)
{
	struct hf_buffer before = {0};
	struct hf_entry_digests digests;
	struct hf_entry entry = {0};

	ck_assert_reason(hf_entry_decode(from_hex(&before, from_bytes), &entry), HF_OK, "decode");
	ck_assert(hf_entry_strip(&entry, hasher, &digests));
	ck_assert_reason(hf_entry_encode(&entry, record), HF_OK, "encode");
	hf_buffer_free(&before);
}

START_TEST(a_stripped_record_keeps_all_but_payload_and_properties)
{
	struct hf_hasher *hasher = hf_hasher_new();
	struct hf_buffer record = {0};
	struct hf_entry back = {0};

	strip(GOLDEN_HEX, &record, hasher);
	ck_assert_hex(&record, STRIPPED_HEX);
	ck_assert_reason(hf_entry_decode(hf_buffer_slice(&record), &back), HF_OK, "decode");
	ck_assert(back.stripped);
	ck_assert_uint_eq(back.payload_size, 2);
	ck_assert_uint_eq(back.properties_size, 26);
	ck_assert_uint_eq(back.payload.len + back.properties.len, 0);
	ck_assert_slice(back.identity, "alice");
	hf_buffer_free(&record);
	strip(STRIPPED_HEX, &record, hasher); /* once more */
	ck_assert_hex(&record, STRIPPED_HEX);
	hf_buffer_clear(&record);
	strip(PLAIN_HEX, &record, hasher); /* the digest is made then, at the latest */
	ck_assert_hex(&record, HEAD_HEX("0d") DIGEST_HEX "0000000000000000" TEXTS_HEX PROPERTIES_DIGEST_HEX);
	hf_buffer_free(&record);
	hf_hasher_free(hasher);
}
END_TEST

START_TEST(stripping_leaves_the_link)
{
	static const uint8_t previous[HF_DIGEST_SIZE] = {1, 2, 3};
	struct hf_hasher *hasher = hf_hasher_new();
	struct hf_buffer whole = {0}, stripped = {0};
	uint8_t link[HF_DIGEST_SIZE], again[HF_DIGEST_SIZE];

	ck_assert(hf_entry_link(hasher, previous, 99, from_hex(&whole, GOLDEN_HEX), link));
	ck_assert(hf_entry_link(hasher, previous, 99, from_hex(&stripped, STRIPPED_HEX), again));
	ck_assert_mem_eq(link, again, sizeof(link));
	/* By hand, as entry.h draws it: sha256 of previous, LSN, head without flags and link, texts, properties' sha256. */
	struct hf_buffer input = {0}, wanted = {0};
	struct hf_slice bytes = from_hex(&input,
		"0102030000000000000000000000000000000000000000000000000000000000 0000000000000063" HEAD_HEX("01")
			DIGEST_HEX TEXTS_HEX PROPERTIES_DIGEST_HEX);
	ck_assert(hf_hasher_digest(hasher, bytes, again));
	ck_assert_mem_eq(link, again, sizeof(link));
	hf_entry_set_link(whole.data, link);
	struct hf_entry entry = {0};
	ck_assert_reason(hf_entry_decode(hf_buffer_slice(&whole), &entry), HF_OK, "decode");
	ck_assert_mem_eq(entry.link.data, link, HF_LINK_SIZE);
	hf_buffer_free(&whole);
	hf_buffer_free(&stripped);
	hf_buffer_free(&input);
	hf_buffer_free(&wanted);
	hf_hasher_free(hasher);
}
END_TEST

/* Every bit before the properties matters, but for those that stripping changes and the link itself. */
START_TEST(every_bit_is_in_the_link)
{
	static const uint8_t previous[HF_DIGEST_SIZE];
	struct hf_hasher *hasher = hf_hasher_new();
	struct hf_buffer record = {0};
	uint8_t link[HF_DIGEST_SIZE], other[HF_DIGEST_SIZE];
	struct hf_slice bytes = from_hex(&record, GOLDEN_HEX);

	ck_assert(hf_entry_link(hasher, previous, 7, bytes, link));
	ck_assert(hf_entry_link(hasher, previous, 8, bytes, other));
	ck_assert_mem_ne(link, other, sizeof(link));
	for (size_t bit = 0; bit < (bytes.len - 2) * 8; bit++) {
		size_t byte = bit / 8;
		if (byte == 3 || (byte >= 72 && byte < 80))
			continue;
		record.data[byte] ^= (unsigned char)(1u << bit % 8);
		struct hf_entry entry = {0};
		if (hf_entry_decode(bytes, &entry) == HF_OK) {
			ck_assert(hf_entry_link(hasher, previous, 7, bytes, other));
			ck_assert_msg(memcmp(link, other, sizeof(link)) != 0, "bit %zu", bit);
		}
		record.data[byte] ^= (unsigned char)(1u << bit % 8);
	}
	hf_buffer_free(&record);
	hf_hasher_free(hasher);
}
END_TEST

START_TEST(no_memory_is_told)
{
	struct hf_buffer properties = {0}, record = {0};
	struct hf_entry entry = golden_entry(&properties);

	allocations_left = 0;
	ck_assert_reason(hf_entry_encode(&entry, &record), HF_NO_MEMORY, "no memory");
	allocations_left = SIZE_MAX;
	ck_assert_uint_eq(record.len, 0);
	hf_buffer_free(&properties);
}
END_TEST

/* ---- roles ---------------------------------------------------------------------------------------------- */

START_TEST(roles_keep_their_numbers_and_names)
{
	static const char *const names[] = {"", "agent", "user", "operator", "observer", "auditor", "admin", "broker"};

	for (int role = HF_ROLE_NONE; role <= HF_ROLE_BROKER; role++) {
		ck_assert_str_eq(hf_role_name((enum hf_role)role), names[role]);
		ck_assert_int_eq(hf_role_parse(hf_slice_of(names[role])), role == HF_ROLE_BROKER ? HF_ROLE_NONE : role);
	}
	ck_assert_str_eq(hf_role_name((enum hf_role)8), "");
	ck_assert_int_eq(hf_role_parse(hf_slice_of("Agent")), HF_ROLE_NONE);
	ck_assert_int_eq(hf_role_parse(hf_slice_of("agents")), HF_ROLE_NONE);
}
END_TEST

/* ---- properties ----------------------------------------------------------------------------------------- */

static bool write_properties(struct hf_buffer *out)
{
	static const struct hf_property all[] = {
		{.id = HF_PROPERTY_CONTENT_TYPE, .value = {.data = "text/plain", .len = 10}},
		{.id = HF_PROPERTY_USER, .name = {.data = "lang", .len = 4}, .value = {.data = "de", .len = 2}},
		{.id = HF_PROPERTY_PAYLOAD_FORMAT, .format = 1},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (!hf_property_put(out, &all[i]))
			return false;
	}
	return true;
}

START_TEST(properties_both_ways)
{
	struct hf_buffer bytes = {0};
	struct hf_property property;

	ck_assert(write_properties(&bytes));
	ck_assert_hex(&bytes, PROPERTIES_HEX);
	struct hf_slice rest = hf_buffer_slice(&bytes);
	ck_assert(hf_property_next(&rest, &property));
	ck_assert_int_eq(property.id, HF_PROPERTY_CONTENT_TYPE);
	ck_assert_slice(property.value, "text/plain");
	ck_assert(hf_property_next(&rest, &property));
	ck_assert_int_eq(property.id, HF_PROPERTY_USER);
	ck_assert_slice(property.name, "lang");
	ck_assert_slice(property.value, "de");
	ck_assert(hf_property_next(&rest, &property));
	ck_assert_int_eq(property.id, HF_PROPERTY_PAYLOAD_FORMAT);
	ck_assert_uint_eq(property.format, 1);
	ck_assert(!hf_property_next(&rest, &property));
	ck_assert_uint_eq(rest.len, 0);
	hf_buffer_free(&bytes);
}
END_TEST

START_TEST(properties_that_are_none_stay_where_they_are)
{
	static const char *const bad[] = {"01", "0102", "03", "0300", "030001", "03000261", "030001ff", "26", "260001 61",
		"260001 61 0001", "260001 ff 0000", "0201", "ff", "0b01"};
	struct hf_buffer bytes = {0};
	struct hf_property property;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct hf_slice copy = exact_copy(from_hex(&bytes, bad[i])), rest = copy;
		ck_assert_msg(!hf_property_next(&rest, &property), "%s", bad[i]);
		ck_assert_uint_eq(rest.len, copy.len);
		free((void *)(uintptr_t)copy.data);
	}
	hf_buffer_free(&bytes);
}
END_TEST

START_TEST(properties_tell_of_full_memory_and_long_texts)
{
	static char big[UINT16_MAX + 1];
	struct hf_buffer bytes = {0};
	struct hf_property property = {.id = HF_PROPERTY_USER, .name = hf_slice_from(big, UINT16_MAX)};

	check_full_memory(write_properties);
	ck_assert(hf_property_put(&bytes, &property));
	ck_assert_uint_eq(bytes.len, 1 + 2 + UINT16_MAX + 2);
	property.name.len++;
	ck_assert(!hf_property_put(&bytes, &property));
	property.name = HF_SLICE_NONE;
	property.value = hf_slice_from(big, sizeof(big));
	ck_assert(!hf_property_put(&bytes, &property));
	ck_assert_uint_eq(bytes.len, 1 + 2 + UINT16_MAX + 2);
	hf_buffer_free(&bytes);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("codec: entries");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, golden_bytes_both_ways);
	tcase_add_test(tests, extremes_round_trip);
	tcase_add_test(tests, parts_too_large_for_their_length_are_refused);
	tcase_add_test(tests, any_other_length_is_corrupt);
	tcase_add_loop_test(tests, faults_from_the_table, 0, sizeof(faults) / sizeof(faults[0]));
	tcase_add_test(tests, offset_zero_is_corrupt);
	tcase_add_test(tests, bit_flips_are_corrupt_or_an_entry);
	tcase_add_test(tests, records_without_an_audit_have_zeros);
	tcase_add_test(tests, a_stripped_record_keeps_all_but_payload_and_properties);
	tcase_add_test(tests, stripping_leaves_the_link);
	tcase_add_test(tests, every_bit_is_in_the_link);
	tcase_add_test(tests, no_memory_is_told);
	tcase_add_test(tests, roles_keep_their_numbers_and_names);
	tcase_add_test(tests, properties_both_ways);
	tcase_add_test(tests, properties_that_are_none_stay_where_they_are);
	tcase_add_test(tests, properties_tell_of_full_memory_and_long_texts);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
