/* SPDX-License-Identifier: BSD-3-Clause */
/* The seals' own chain: which signatures speak for which seals, and that nobody gains by it who lacks a key. What
 * verify says is the same however many signatures it checks: see verify_opened. */
#include "store_audited.h"

#define OLD 3 /* seals of the first key ... */
#define ALL 6 /* ... and with those of its successor */

static struct hf_signer *old_key, *new_key;

static struct hf_signer *read_signer(const char *path)
{
	char text[1024];
	FILE *file = fopen(path, "r");

	ck_assert_ptr_nonnull(file);
	size_t len = fread(text, 1, sizeof text, file);
	ck_assert_int_eq(fclose(file), 0);
	struct hf_signer *signer = hf_signer_parse(hf_slice_from(text, len));
	ck_assert_ptr_nonnull(signer);
	return signer;
}

static void write_blocks(struct hf_store *store, unsigned count)
{
	struct hf_log *log = acquire(store, "a");

	for (unsigned i = 0; i < count; i++) {
		append(log);
		add_one(store, "a", "ann");
		ck_assert_ok(hf_audit_seal(store, (int64_t)(store->audit->seal.number + 1) * 10000));
	}
	hf_log_release(log);
}

static void rotate(struct hf_store *store)
{
	uint8_t public_key[HF_PUBLIC_KEY_SIZE];
	char next[340];
	bool rotated;

	snprintf(next, sizeof next, "%s.next", key_path);
	ck_assert_ok(hf_key_make(next, public_key));
	ck_assert_ok(hf_audit_rotate(store, 4000, &rotated));
	ck_assert(rotated);
}

/* Of each seal an entry and a record, and one of each that none covers. */
static void write_sealed(void)
{
	struct hf_store *store = open_audited();

	write_blocks(store, OLD);
	old_key = read_signer(key_path);
	rotate(store);
	new_key = read_signer(key_path);
	write_blocks(store, ALL - OLD);
	struct hf_log *log = acquire(store, "a");
	append(log);
	add_one(store, "a", "ben");
	ck_assert_ok(hf_store_commit(store));
	hf_log_release(log);
	hf_store_close(store);
}

static struct hf_store *open_to_tamper(void)
{
	write_sealed();
	ck_assert_str_eq(verify().bad, "");
	return open_store(); /* without the audit, which would look */
}

static void free_keys(void)
{
	hf_signer_free(old_key);
	hf_signer_free(new_key);
}

static void check_found(struct hf_store *store, const char *words)
{
	struct hf_verified verified = verify_opened(store);

	ck_assert_msg(strstr(verified.bad, words) != NULL, "not '%s' in: %s", words, verified.bad);
}

/* ---- what somebody may do to a seal ---------------------------------------------------------------------- */

static void get_seal(struct hf_store *store, uint64_t number, struct hf_seal *seal, unsigned char value[HF_SEAL_SIZE])
{
	bool found;

	ck_assert_ok(hf_seal_get(store, number, seal, value, &found));
	ck_assert(found);
}

/* Make it new, signed by `signer`; NULL: its signature stays, which does not fit any more. */
static void put_seal(struct hf_store *store, const struct hf_seal *seal, const struct hf_signer *signer)
{
	unsigned char value[HF_SEAL_SIZE], before[HF_SEAL_SIZE];
	struct hf_seal replaced;

	get_seal(store, seal->number, &replaced, before);
	ck_assert(hf_seal_encode(seal, signer != NULL ? signer : old_key, value));
	if (signer == NULL)
		memcpy(value + HF_SEAL_SIZE - HF_SIGNATURE_SIZE, before + HF_SEAL_SIZE - HF_SIGNATURE_SIZE, HF_SIGNATURE_SIZE);
	put_value(store, HF_FAMILY_AUDIT_INDEX, seal->number, hf_slice_from(value, sizeof value));
}

/* Another time: nothing but the seal itself tells it. */
static void move_time(struct hf_store *store, uint64_t number, const struct hf_signer *signer)
{
	unsigned char value[HF_SEAL_SIZE];
	struct hf_seal seal;

	get_seal(store, number, &seal, value);
	seal.time_ms -= 1;
	put_seal(store, &seal, signer);
}

/* Give the seals first to last the digests of those before them. */
static void chain_anew(struct hf_store *store, uint64_t first, uint64_t last, const struct hf_signer *signer)
{
	for (uint64_t number = first; number <= last; number++) {
		unsigned char value[HF_SEAL_SIZE];
		struct hf_seal seal, before;
		get_seal(store, number - 1, &before, value);
		uint8_t previous[HF_DIGEST_SIZE];
		ck_assert(hf_seal_digest(store->hasher, number - 1, value, previous));
		get_seal(store, number, &seal, value);
		memcpy(seal.previous, previous, sizeof previous);
		put_seal(store, &seal, signer);
	}
}

/* ---- which signatures are checked ------------------------------------------------------------------------ */

START_TEST(the_last_seal_of_each_key_speaks_for_all)
{
	const struct hf_verify_options each = {.each_signature = true};
	struct hf_verified verified;

	struct hf_store *store = open_to_tamper();
	ck_assert_ok(hf_audit_verify(store, NULL, &verified));
	ck_assert_str_eq(verified.bad, "");
	ck_assert_uint_eq(verified.seals, ALL);
	ck_assert_uint_eq(verified.signatures, 2);
	ck_assert_ok(hf_audit_verify(store, &each, &verified));
	ck_assert_str_eq(verified.bad, "");
	ck_assert_uint_eq(verified.signatures, ALL);
	hf_store_close(store);
	free_keys();
}
END_TEST

START_TEST(the_chain_goes_on_after_a_start)
{
	write_sealed();
	for (int i = 0; i < 3; i++) {
		struct hf_store *store = open_audited();
		write_blocks(store, 2);
		hf_store_close(store);
	}
	struct hf_verified verified = verify();
	ck_assert_str_eq(verified.bad, "");
	ck_assert_uint_eq(verified.seals, ALL + 6);
	ck_assert_uint_eq(verified.signatures, 2);
	free_keys();
}
END_TEST

/* ---- without a key --------------------------------------------------------------------------------------- */

/* Where bits are flipped: in each field, and what verify says then. */
static const struct {
	size_t first, end;
	const char *words;
} fields[] = {
	{0, 1, "seal %d does not decode"},
	{17, 25, "seal %d (%d entries"}, /* its time; the key that it names; links; the seal before; its signature */
	{25, 33, "seal %d (%d entries"},
	{33, 97, "seal %d (%d entries"},
	{97, 129, "seal %d (%d entries"},
	{129, HF_SEAL_SIZE, "seal %d (%d entries"},
};
#define FIELDS (sizeof fields / sizeof fields[0])

START_TEST(a_flipped_bit_in_a_seal_is_found_whichever_it_is)
{
	struct hf_store *store = open_to_tamper();
	struct hf_buffer value = {0};
	char words[64];
	int number = _i + 1;

	get_value(store, HF_FAMILY_AUDIT_INDEX, (uint64_t)number, &value);
	for (size_t field = 0; field < FIELDS; field++) {
		for (size_t at = fields[field].first; at < fields[field].end; at += 5) {
			value.data[at] ^= 0x40;
			put_value(store, HF_FAMILY_AUDIT_INDEX, (uint64_t)number, hf_buffer_slice(&value));
			snprintf(words, sizeof words, fields[field].words, number, number);
			check_found(store, words);
			value.data[at] ^= 0x40;
		}
	}
	hf_buffer_free(&value);
	hf_store_close(store);
	free_keys();
}
END_TEST

/* Several at once, anywhere: whatever it is, and whatever is found first. */
START_TEST(random_damage_is_found_with_few_signatures_as_with_all)
{
	struct hf_store *store = open_to_tamper();

	chance_seed();
	for (int round = 0; round < 100; round++) {
		struct hf_buffer value = {0};
		size_t at[ALL + 1];
		unsigned char flipped[ALL + 1] = {0};
		uint64_t always = 1 + chance(ALL);
		for (uint64_t number = 1; number <= ALL; number++) {
			at[number] = chance(HF_SEAL_SIZE);
			flipped[number] = number == always || chance(3) == 0 ? (unsigned char)(1 + chance(255)) : 0;
			get_value(store, HF_FAMILY_AUDIT_INDEX, number, &value);
			value.data[at[number]] ^= flipped[number];
			put_value(store, HF_FAMILY_AUDIT_INDEX, number, hf_buffer_slice(&value));
		}
		ck_assert_str_ne(verify_opened(store).bad, "");
		for (uint64_t number = 1; number <= ALL; number++) {
			get_value(store, HF_FAMILY_AUDIT_INDEX, number, &value);
			value.data[at[number]] ^= flipped[number];
			put_value(store, HF_FAMILY_AUDIT_INDEX, number, hf_buffer_slice(&value));
		}
		hf_buffer_free(&value);
	}
	ck_assert_str_eq(verify_opened(store).bad, "");
	hf_store_close(store);
	free_keys();
}
END_TEST

/* All digests behind it are made new, so that only signatures can tell. */
START_TEST(a_seal_that_a_stranger_signed_is_found)
{
	struct hf_store *store = open_to_tamper();
	struct hf_signer *stranger = hf_signer_generate();
	uint64_t number = (uint64_t)_i + 1;
	char words[32];

	snprintf(words, sizeof words, "seal %d (", _i + 1);
	move_time(store, number, stranger);
	check_found(store, words);
	chain_anew(store, number + 1, ALL, stranger);
	check_found(store, words);
	hf_signer_free(stranger);
	hf_store_close(store);
	free_keys();
}
END_TEST

START_TEST(a_seal_that_is_left_out_is_found)
{
	struct hf_store *store = open_to_tamper();
	struct hf_buffer value = {0};

	for (uint64_t number = 2; number < ALL; number++) { /* those behind it take its number */
		get_value(store, HF_FAMILY_AUDIT_INDEX, number + 1, &value);
		put_value(store, HF_FAMILY_AUDIT_INDEX, number, hf_buffer_slice(&value));
	}
	remove_value(store, HF_FAMILY_AUDIT_INDEX, ALL);
	check_found(store, "seal 2 (");
	hf_buffer_free(&value);
	hf_store_close(store);
	free_keys();
}
END_TEST

/* The end is cut off, the broker goes on, and then the old seal comes back: it is signed, and fits what it covers. */
START_TEST(a_seal_of_another_continuation_is_found)
{
	struct hf_buffer value = {0};
	struct hf_store *store = open_to_tamper();

	get_value(store, HF_FAMILY_AUDIT_INDEX, ALL, &value);
	remove_value(store, HF_FAMILY_AUDIT_INDEX, ALL);
	hf_store_close(store);
	store = open_audited();
	write_blocks(store, 2);
	hf_store_close(store);
	ck_assert_str_eq(verify().bad, "");
	store = open_store();
	put_value(store, HF_FAMILY_AUDIT_INDEX, ALL, hf_buffer_slice(&value));
	check_found(store, "seal 6 is another than the one that seal 7 was made behind");
	hf_buffer_free(&value);
	hf_store_close(store);
	free_keys();
}
END_TEST

/* ---- with one of the keys -------------------------------------------------------------------------------- */

/* Of a key out of service: signatures alone would let it pass. */
START_TEST(an_old_key_makes_nothing_new)
{
	struct hf_store *store = open_to_tamper();
	char words[80];

	snprintf(words, sizeof words, "seal %d is another than the one that seal %d was made behind", _i + 1, _i + 2);
	move_time(store, (uint64_t)_i + 1, old_key);
	check_found(store, words);
	chain_anew(store, (uint64_t)_i + 2, OLD, old_key);
	check_found(store, "seal 3 is another than the one that seal 4 was made behind");
	chain_anew(store, OLD + 1, ALL, NULL);
	check_found(store, "seal 4 (");
	hf_store_close(store);
	free_keys();
}
END_TEST

/* Whoever has only the key in service can make his own seals fit whatever he has put before them. */
START_TEST(a_new_key_makes_no_old_seals)
{
	struct hf_store *store = open_to_tamper();
	char words[32];

	snprintf(words, sizeof words, "seal %d (", _i + 1);
	move_time(store, (uint64_t)_i + 1, _i % 2 ? NULL : new_key);
	chain_anew(store, (uint64_t)_i + 2, OLD, NULL);
	chain_anew(store, OLD + 1, ALL, new_key);
	check_found(store, words);
	hf_store_close(store);
	free_keys();
}
END_TEST

/* What the last row of AUDIT.md's table says: only what is kept elsewhere tells. A checkpoint fixes all before it. */
START_TEST(with_every_key_anything_can_be_made_new_but_a_checkpoint)
{
	struct hf_store *store = open_to_tamper();
	unsigned char kept[HF_SEAL_SIZE], value[HF_SEAL_SIZE];
	struct hf_seal seal;

	get_seal(store, 5, &seal, kept);
	move_time(store, 1, old_key);
	chain_anew(store, 2, OLD, old_key);
	chain_anew(store, OLD + 1, ALL, new_key);
	ck_assert_str_eq(verify_opened(store).bad, "");
	get_seal(store, 5, &seal, value);
	ck_assert_mem_ne(kept, value, sizeof kept);
	hf_store_close(store);
	free_keys();
}
END_TEST

/* ---- a start --------------------------------------------------------------------------------------------- */

static void check_refused(const char *words)
{
	struct hf_store *store;
	enum hf_reason reason = try_open_audited(&store);

	ck_assert_msg(reason == HF_RECORD_CORRUPT, "%s: %s", hf_reason_name(reason), message);
	ck_assert_msg(strstr(message, words) != NULL, "not '%s' in: %s", words, message);
}

/* Somebody changes what was said, makes all links new, and those that the seals have, and waits for the broker to sign
 * on top of that. */
START_TEST(a_start_signs_nothing_on_top_of_a_forgery)
{
	struct hf_store *store = open_to_tamper();
	struct hf_buffer value = {0};
	uint8_t link[HF_DIGEST_SIZE] = {0};

	for (uint64_t lsn = 1; lsn <= ALL + 1; lsn++) {
		get_value(store, HF_FAMILY_LOG, lsn, &value);
		if (lsn == 2)
			value.data[2] = HF_ROLE_USER; /* it was not the agent who said it */
		ck_assert(hf_entry_link(store->hasher, link, lsn, hf_buffer_slice(&value), link));
		hf_entry_set_link(value.data, link);
		put_value(store, HF_FAMILY_LOG, lsn, hf_buffer_slice(&value));
		if (lsn <= ALL) {
			unsigned char bytes[HF_SEAL_SIZE];
			struct hf_seal seal;
			get_seal(store, lsn, &seal, bytes);
			memcpy(seal.log_link, link, sizeof link);
			put_seal(store, &seal, NULL);
			if (lsn > 1)
				chain_anew(store, lsn, lsn, NULL);
		}
	}
	check_found(store, "seal 2 (");
	hf_buffer_free(&value);
	hf_store_close(store);
	check_refused("seal 6 of the audit, the newest, is not signed by its key");
	free_keys();
}
END_TEST

START_TEST(a_start_looks_at_the_newest_signature)
{
	struct hf_store *store = open_to_tamper();
	struct hf_buffer value = {0};

	get_value(store, HF_FAMILY_AUDIT_INDEX, ALL, &value);
	value.data[HF_SEAL_SIZE - 1] ^= 1;
	put_value(store, HF_FAMILY_AUDIT_INDEX, ALL, hf_buffer_slice(&value));
	hf_store_close(store);
	check_refused("seal 6 ");
	store = open_store();
	value.data[HF_SEAL_SIZE - 1] ^= 1;
	put_value(store, HF_FAMILY_AUDIT_INDEX, ALL, hf_buffer_slice(&value));
	hf_store_close(store);
	hf_store_close(open_audited());
	hf_buffer_free(&value);
	free_keys();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store: seals");
	TCase *tests = case_with_directory(suite);

	known = NULL;
	tcase_add_test(tests, the_last_seal_of_each_key_speaks_for_all);
	tcase_add_test(tests, the_chain_goes_on_after_a_start);
	tcase_add_loop_test(tests, a_flipped_bit_in_a_seal_is_found_whichever_it_is, 0, ALL);
	tcase_add_test(tests, random_damage_is_found_with_few_signatures_as_with_all);
	tcase_add_loop_test(tests, a_seal_that_a_stranger_signed_is_found, 0, ALL);
	tcase_add_test(tests, a_seal_that_is_left_out_is_found);
	tcase_add_test(tests, a_seal_of_another_continuation_is_found);
	tcase_add_loop_test(tests, an_old_key_makes_nothing_new, 0, OLD);
	tcase_add_loop_test(tests, a_new_key_makes_no_old_seals, 0, OLD);
	tcase_add_test(tests, with_every_key_anything_can_be_made_new_but_a_checkpoint);
	tcase_add_test(tests, a_start_signs_nothing_on_top_of_a_forgery);
	tcase_add_test(tests, a_start_looks_at_the_newest_signature);
	return run_suite(suite);
}
