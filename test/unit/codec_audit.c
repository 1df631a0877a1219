/* SPDX-License-Identifier: BSD-3-Clause */
/* Records of the audit, seals and signatures: their bytes, which are on disk for years, and what is refused. */
#include "codec_full.h"

#include "codec/audit.h"
#include "codec/seal.h"

#define LINK_HEX "aabbccddeeff0011"
/* A refusal: {act, time, count, topic, device, reason, address, session, identity}. */
#define FACTS_HEX                                                                                                      \
	"a9 63616374 677075626c697368 6474696d65 1b0000019b2bc68000 65636f756e74 02 65746f706963 67732f612f746f6b "        \
	"66646576696365 6370686f 66726561736f6e 6d6e6f742d7065726d6974746564 6761646472657373 633a3a31 "                   \
	"6773657373696f6e 6161 686964656e74697479 63616e6e"
#define GOLDEN_HEX "01 07 " LINK_HEX FACTS_HEX

static struct hf_audit golden(void)
{
	return (struct hf_audit){
		.seq = 3,
		.kind = HF_AUDIT_REFUSED,
		.time_ms = INT64_C(0x19b2bc68000),
		.identity = hf_slice_of("ann"),
		.device = hf_slice_of("pho"),
		.address = hf_slice_of("::1"),
		.session = hf_slice_of("a"),
		.topic = hf_slice_of("s/a/tok"),
		.act = hf_slice_of("publish"),
		.reason = hf_slice_of("not-permitted"),
		.count = 2,
	};
}

START_TEST(records_both_ways)
{
	static const uint8_t link[HF_DIGEST_SIZE] = {0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x00, 0x11, 0x22};
	struct hf_buffer value = {0};
	struct hf_audit record = golden(), back = {.seq = 9};

	ck_assert(hf_audit_encode(&record, &value));
	ck_assert(!hf_audit_has_link(hf_buffer_slice(&value), link));
	hf_audit_set_link(value.data, link);
	ck_assert(hf_audit_has_link(hf_buffer_slice(&value), link));
	ck_assert_hex(&value, GOLDEN_HEX);
	ck_assert_reason(hf_audit_decode(hf_buffer_slice(&value), &back), HF_OK, "decode");
	ck_assert_uint_eq(back.seq, 9);
	ck_assert_int_eq(back.kind, HF_AUDIT_REFUSED);
	ck_assert_int_eq(back.time_ms, record.time_ms);
	ck_assert_uint_eq(back.count, 2);
	ck_assert_slice(back.identity, "ann");
	ck_assert_slice(back.reason, "not-permitted");
	ck_assert_uint_eq(back.by.len + back.page.len + back.first, 0);
	hf_buffer_free(&value);
}
END_TEST

START_TEST(every_field_comes_back)
{
	struct hf_buffer value = {0};
	struct hf_audit record = golden(), back = {0};

	record.time_ms = -5; /* a clock before 1970 */
	record.detail = hf_slice_of("d");
	record.by = hf_slice_of("ada");
	record.key = hf_slice_from("\0k", 2);
	record.signature = hf_slice_from("\xff", 1);
	record.page = hf_slice_from("\x80page", 5);
	record.text = hf_slice_of("t");
	record.protocol = hf_slice_of("p");
	record.port = 1883;
	record.first = 1;
	record.last = UINT64_MAX;
	ck_assert(hf_audit_encode(&record, &value));
	ck_assert_reason(hf_audit_decode(hf_buffer_slice(&value), &back), HF_OK, "decode");
	ck_assert_int_eq(back.time_ms, -5);
	ck_assert(hf_slice_equal(back.detail, record.detail) && hf_slice_equal(back.by, record.by));
	ck_assert(hf_slice_equal(back.key, record.key) && hf_slice_equal(back.signature, record.signature));
	ck_assert(hf_slice_equal(back.page, record.page));
	ck_assert(hf_slice_equal(back.device, record.device) && hf_slice_equal(back.address, record.address));
	ck_assert(hf_slice_equal(back.session, record.session) && hf_slice_equal(back.topic, record.topic));
	ck_assert(hf_slice_equal(back.act, record.act));
	ck_assert_slice(back.text, "t");
	ck_assert_slice(back.protocol, "p");
	ck_assert_uint_eq(back.port, 1883);
	ck_assert_uint_eq(back.first, 1);
	ck_assert_uint_eq(back.last, UINT64_MAX);
	hf_buffer_free(&value);
}
END_TEST

static bool encode_golden(struct hf_buffer *out)
{
	struct hf_audit record = golden();

	return hf_audit_encode(&record, out);
}

START_TEST(full_memory_is_told)
{
	check_full_memory(encode_golden);
}
END_TEST

START_TEST(a_later_version_s_record_is_read)
{
	struct hf_buffer value = {0};
	struct hf_audit back = {0};

	/* A kind and a field that this version does not know. */
	ck_assert_reason(
		hf_audit_decode(from_hex(&value, "01 fe 0000000000000000 a2 6474696d65 07 657368696e79 83010203"), &back),
		HF_OK, "decode");
	ck_assert_int_eq(back.time_ms, 7);
	ck_assert_str_eq(hf_audit_kind_name(back.kind), "");
	hf_buffer_free(&value);
}
END_TEST

START_TEST(what_is_no_record_is_refused)
{
	static const char *const values[] = {
		"",
		"01 07 00000000000000",                                    /* cut off */
		"01 07 0000000000000000",                                  /* no facts */
		"02 07 0000000000000000 a0",                               /* another format */
		"01 00 0000000000000000 a0",                               /* no kind */
		"01 07 0000000000000000 80",                               /* no map */
		"01 07 0000000000000000 a0 00",                            /* something behind it */
		"01 07 0000000000000000 a1 6474696d65",                    /* a key without a value */
		"01 07 0000000000000000 a1 6474696d65 6161",               /* a time that is a text */
		"01 07 0000000000000000 a1 6474696d65 1bffffffffffffffff", /* beyond 64 bits with a sign */
		"01 07 0000000000000000 a1 65636f756e74 20",               /* a count below 0 */
		"01 07 0000000000000000 a1 6473696d65 a1",                 /* an unknown key with half a value */
		"01 07 0000000000000000 a1 636b6579 6161",                 /* a key that is a text */
		"01 07 0000000000000000 a1 65746f706963 61ff",             /* not UTF-8 */
	};
	struct hf_buffer bytes = {0};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct hf_audit back = {.seq = 5};
		struct hf_slice copy = exact_copy(from_hex(&bytes, values[i]));
		ck_assert_reason(hf_audit_decode(copy, &back), HF_RECORD_CORRUPT, values[i]);
		ck_assert_uint_eq(back.seq, 5);
		free((void *)(uintptr_t)copy.data);
	}
	hf_buffer_free(&bytes);
}
END_TEST

START_TEST(the_link_is_of_all_but_itself)
{
	static const uint8_t previous[HF_DIGEST_SIZE] = {7};
	struct hf_hasher *hasher = hf_hasher_new();
	struct hf_buffer value = {0}, input = {0};
	uint8_t link[HF_DIGEST_SIZE], other[HF_DIGEST_SIZE];
	struct hf_slice bytes = from_hex(&value, GOLDEN_HEX);

	ck_assert(hf_audit_link(hasher, previous, 3, bytes, link));
	/* By hand, as audit.h draws it. */
	struct hf_slice drawn = from_hex(
		&input, "0700000000000000000000000000000000000000000000000000000000000000 0000000000000003 0107 " FACTS_HEX);
	ck_assert(hf_hasher_digest(hasher, drawn, other));
	ck_assert_mem_eq(link, other, sizeof(link));
	for (size_t bit = 0; bit < bytes.len * 8; bit++) {
		value.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
		ck_assert(hf_audit_link(hasher, previous, 3, bytes, other));
		ck_assert_int_eq(memcmp(link, other, sizeof(link)) == 0, bit / 8 >= 2 && bit / 8 < 10);
		value.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
	}
	ck_assert(hf_audit_link(hasher, previous, 4, bytes, other));
	ck_assert_mem_ne(link, other, sizeof(link));
	hf_buffer_free(&value);
	hf_buffer_free(&input);
	hf_hasher_free(hasher);
}
END_TEST

START_TEST(kinds_keep_their_numbers_and_names)
{
	static const struct {
		int number;
		const char *name;
	} kinds[] = {
		{1, "started"},
		{2, "stopped"},
		{3, "connected"},
		{4, "disconnected"},
		{5, "subscribed"},
		{6, "unsubscribed"},
		{7, "refused"},
		{8, "delivered"},
		{9, "roles"},
		{10, "key"},
		{11, "lost"},
		{12, "uncovered"},
		{15, "removed"},
		{17, "held"},
		{18, "released"},
		{19, "forgetting"},
		{20, "forgotten"},
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		ck_assert_str_eq(hf_audit_kind_name((enum hf_audit_kind)kinds[i].number), kinds[i].name);
		ck_assert_int_eq(hf_audit_kind_parse(hf_slice_of(kinds[i].name)), kinds[i].number);
	}
	ck_assert_int_eq(hf_audit_kind_parse(hf_slice_of("nothing")), 0);
	ck_assert_str_eq(hf_audit_kind_name((enum hf_audit_kind)0), "");
}
END_TEST

/* ---- signatures, and seals ------------------------------------------------------------------------------- */

/* RFC 8032, section 7.1, test 2, as `openssl pkey` writes it: the 32 bytes behind an ASN.1 head, in base64. */
#define PRIVATE_PEM                                                                                                    \
	"-----BEGIN PRIVATE KEY-----\n"                                                                                    \
	"MC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7\n"                                               \
	"-----END PRIVATE KEY-----\n"
#define PUBLIC_HEX "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
#define PUBLIC_PEM                                                                                                     \
	"-----BEGIN PUBLIC KEY-----\n"                                                                                     \
	"MCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=\n"                                                   \
	"-----END PUBLIC KEY-----\n"
#define SIGNATURE_HEX                                                                                                  \
	"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"                                                 \
	"085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"

START_TEST(signatures_are_those_of_the_standard)
{
	struct hf_signer *signer = hf_signer_parse(hf_slice_of(PRIVATE_PEM));
	uint8_t signature[HF_SIGNATURE_SIZE], public_key[HF_PUBLIC_KEY_SIZE];
	struct hf_buffer bytes = {0}, pem = {0};
	struct hf_slice message = hf_slice_from("\x72", 1);

	ck_assert_ptr_nonnull(signer);
	ck_assert_mem_eq(hf_signer_public_key(signer), from_hex(&bytes, PUBLIC_HEX).data, HF_PUBLIC_KEY_SIZE);
	ck_assert(hf_signer_sign(signer, message, signature));
	ck_assert_mem_eq(signature, from_hex(&bytes, SIGNATURE_HEX).data, sizeof(signature));
	ck_assert(hf_signature_verify(message, signature, hf_signer_public_key(signer)));
	ck_assert(!hf_signature_verify(hf_slice_from("\x73", 1), signature, hf_signer_public_key(signer)));
	signature[63] ^= 1;
	ck_assert(!hf_signature_verify(message, signature, hf_signer_public_key(signer)));
	ck_assert(hf_signer_export(signer, &pem));
	ck_assert_slice(hf_buffer_slice(&pem), PRIVATE_PEM);
	hf_buffer_clear(&pem);
	ck_assert(hf_public_key_export(hf_signer_public_key(signer), &pem));
	ck_assert_slice(hf_buffer_slice(&pem), PUBLIC_PEM);
	ck_assert(hf_public_key_parse(hf_slice_of(PUBLIC_PEM), public_key));
	ck_assert_mem_eq(public_key, hf_signer_public_key(signer), sizeof(public_key));
	hf_buffer_free(&bytes);
	hf_buffer_free(&pem);
	hf_signer_free(signer);
}
END_TEST

START_TEST(keys_that_are_none_are_refused)
{
	static const char *const texts[] = {"", "nonsense", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
		PUBLIC_PEM,
		/* an X25519 key: of the same length, but for something else */
		"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VuBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7\n"
		"-----END PRIVATE KEY-----\n"};
	uint8_t public_key[HF_PUBLIC_KEY_SIZE];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		ck_assert_msg(hf_signer_parse(hf_slice_of(texts[i])) == NULL, "%s", texts[i]);
	ck_assert(!hf_public_key_parse(hf_slice_of(PRIVATE_PEM), public_key));
	ck_assert(!hf_public_key_parse(hf_slice_of(""), public_key));
	hf_signer_free(NULL);
}
END_TEST

START_TEST(new_keys_differ)
{
	struct hf_signer *a = hf_signer_generate(), *b = hf_signer_generate();

	ck_assert_mem_ne(hf_signer_public_key(a), hf_signer_public_key(b), HF_PUBLIC_KEY_SIZE);
	hf_signer_free(a);
	hf_signer_free(b);
}
END_TEST

/* "holdfast seal", the number, all bytes of the value: and so each of them is in it. */
START_TEST(a_seal_s_digest_is_of_all_its_bytes)
{
	struct hf_hasher *hasher = hf_hasher_new();
	unsigned char value[HF_SEAL_SIZE];
	uint8_t digest[HF_DIGEST_SIZE], other[HF_DIGEST_SIZE];
	struct hf_buffer bytes = {0};

	memset(value, 0xab, sizeof value);
	(void)from_hex(&bytes, "686f6c64666173742073 65616c 0201000000000000");
	ck_assert(hf_buffer_append(&bytes, value, sizeof value));
	ck_assert(hf_hasher_digest(hasher, hf_buffer_slice(&bytes), other));
	ck_assert(hf_seal_digest(hasher, 0x0102, value, digest));
	ck_assert_mem_eq(digest, other, sizeof digest);
	ck_assert(hf_seal_digest(hasher, 0x0103, value, other));
	ck_assert_mem_ne(digest, other, sizeof digest);
	for (size_t i = 0; i < sizeof value; i++) {
		value[i] ^= 1;
		ck_assert(hf_seal_digest(hasher, 0x0102, value, other));
		ck_assert_mem_ne(digest, other, sizeof digest);
		value[i] ^= 1;
	}
	hf_buffer_free(&bytes);
	hf_hasher_free(hasher);
}
END_TEST

START_TEST(seals_both_ways)
{
	struct hf_signer *signer = hf_signer_parse(hf_slice_of(PRIVATE_PEM));
	struct hf_seal seal = {.number = 2, .lsn = 0x0102, .seq = 5, .time_ms = 7, .key_seq = 1}, back = {.number = 2};
	unsigned char value[HF_SEAL_SIZE];
	struct hf_slice bytes = hf_slice_from(value, sizeof(value));
	struct hf_buffer head = {0};

	memset(seal.log_link, 0x11, HF_DIGEST_SIZE);
	memset(seal.audit_link, 0x22, HF_DIGEST_SIZE);
	memset(seal.previous, 0x33, HF_DIGEST_SIZE);
	ck_assert(hf_seal_encode(&seal, signer, value));
	ck_assert_mem_eq(value,
		from_hex(&head, "02 0201000000000000 0500000000000000 0700000000000000 0100000000000000"
						"1111111111111111111111111111111111111111111111111111111111111111"
						"2222222222222222222222222222222222222222222222222222222222222222"
						"3333333333333333333333333333333333333333333333333333333333333333")
			.data,
		129);
	ck_assert(hf_seal_decode(bytes, &back));
	ck_assert_mem_eq(&back, &seal, sizeof(seal));
	ck_assert(hf_seal_verify(bytes, 2, hf_signer_public_key(signer)));
	ck_assert(!hf_seal_verify(bytes, 3, hf_signer_public_key(signer)));
	for (size_t i = 0; i < sizeof(value); i++) {
		value[i] ^= 0x10;
		ck_assert_msg(!hf_seal_verify(bytes, 2, hf_signer_public_key(signer)), "byte %zu", i);
		value[i] ^= 0x10;
	}
	ck_assert(!hf_seal_decode(hf_slice_from(value, sizeof(value) - 1), &back));
	ck_assert(!hf_seal_verify(hf_slice_from(value, sizeof(value) - 1), 2, hf_signer_public_key(signer)));
	value[0] = 1;
	ck_assert(!hf_seal_decode(bytes, &back));
	hf_buffer_free(&head);
	hf_signer_free(signer);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("codec: audit");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, records_both_ways);
	tcase_add_test(tests, every_field_comes_back);
	tcase_add_test(tests, full_memory_is_told);
	tcase_add_test(tests, a_later_version_s_record_is_read);
	tcase_add_test(tests, what_is_no_record_is_refused);
	tcase_add_test(tests, the_link_is_of_all_but_itself);
	tcase_add_test(tests, kinds_keep_their_numbers_and_names);
	tcase_add_test(tests, signatures_are_those_of_the_standard);
	tcase_add_test(tests, keys_that_are_none_are_refused);
	tcase_add_test(tests, new_keys_differ);
	tcase_add_test(tests, seals_both_ways);
	tcase_add_test(tests, a_seal_s_digest_is_of_all_its_bytes);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
