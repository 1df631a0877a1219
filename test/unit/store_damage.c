/* SPDX-License-Identifier: BSD-3-Clause */
/* Damaged files: opening fails and says so, or gives a prefix of what was; reading gives what was written or an
 * error. Never a crash, never other bytes. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "store_check.h"

#define OLD 300 /* entries of each session that are in tables */
#define ALL 500 /* and with those in the write-ahead log */

static char master[320];

static void copy_file(const char *from, const char *to)
{
	static char bytes[1 << 20];
	FILE *in = fopen(from, "rb");
	FILE *out = fopen(to, "wb");

	ck_assert(in != NULL && out != NULL);
	for (size_t len; (len = fread(bytes, 1, sizeof bytes, in)) > 0;)
		ck_assert_uint_eq(fwrite(bytes, 1, len, out), len);
	fclose(in);
	ck_assert_int_eq(fclose(out), 0);
}

/* A fresh copy of the master at store_path. */
static void copy_master(void)
{
	char from[640];
	char to[640];

	remove_tree(store_path);
	ck_assert_int_eq(mkdir(store_path, 0700), 0);
	DIR *files = opendir(master);
	ck_assert_ptr_nonnull(files);
	for (const struct dirent *file = readdir(files); file != NULL; file = readdir(files)) {
		if (file->d_name[0] == '.')
			continue;
		snprintf(from, sizeof from, "%s/%s", master, file->d_name);
		snprintf(to, sizeof to, "%s/%s", store_path, file->d_name);
		copy_file(from, to);
	}
	closedir(files);
}

static void append_to(uint64_t head)
{
	struct hf_store *store = open_store();
	struct hf_log *a = acquire(store, "a");
	struct hf_log *b = acquire(store, "b");

	while (hf_log_head(a) < head) {
		append(a);
		append(b);
		if (hf_log_head(a) == head - 50)
			ck_assert_ok(hf_store_flush(store));
	}
	hf_log_release(a);
	hf_log_release(b);
	if (head == OLD)
		hf_store_close(store);
}

static void make_master(void *context)
{
	(void)context;
	append_to(OLD);
	append_to(ALL); /* opening has moved the old ones to tables; ends as a kill would end it */
}

static void prepare(void)
{
	int status = run_child(make_master, NULL);

	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	snprintf(master, sizeof master, "%s/master", directory);
	ck_assert_int_eq(rename(store_path, master), 0);
	chance_seed();
}

/* ---- what may be left ------------------------------------------------------------------------------------ */

static void read_one(
	struct hf_records *records, const struct hf_ref *ref, struct hf_slice session, uint64_t *unreadable)
{
	struct hf_entry entry;
	enum hf_reason reason = hf_records_at(records, ref->lsn, &entry);

	if (reason == HF_OK)
		check_entry(&entry, session, ref->offset);
	else
		++*unreadable;
	ck_assert_msg(
		reason == HF_OK || reason == HF_RECORD_CORRUPT || reason == HF_STORE_FAILED, "%s", hf_reason_name(reason));
}

/* Read a session in every way. Returns how many entries it has; counts those that gave an error. */
static uint64_t read_session(struct hf_store *store, const char *session, uint64_t *unreadable)
{
	struct hf_log *log;
	struct hf_scan *scan;
	struct hf_records *records;
	struct hf_ref ref;
	uint64_t offset = 0;
	enum hf_reason reason = hf_log_acquire(store, hf_slice_of(session), false, &log);

	if (reason != HF_OK) {
		*unreadable += reason == HF_SESSION_UNKNOWN ? 0 : 1;
		return 0;
	}
	ck_assert_ok(hf_scan_open(log, 1, &scan));
	ck_assert_ok(hf_records_open(store, &records));
	while (hf_scan_next(scan, &ref)) {
		ck_assert_uint_eq(ref.offset, ++offset);
		read_one(records, &ref, hf_log_session(log), unreadable);
	}
	reason = hf_scan_reason(scan);
	if (reason == HF_OK)
		ck_assert_uint_eq(offset, hf_log_head(log));
	else
		++*unreadable;
	hf_records_close(records);
	hf_scan_close(scan);
	(void)hf_log_offset_at(log, 1000, &offset);
	(void)hf_log_offset_after(log, ALL, &offset);
	uint64_t head = hf_log_head(log);
	hf_log_release(log);
	return head;
}

/* Open the damaged copy. True when it opened and was whole. */
static bool check_damaged(const char *what)
{
	struct hf_store *store;
	uint64_t unreadable = 0;
	enum hf_reason reason = try_open(&store, false);

	if (reason != HF_OK) {
		ck_assert_msg(reason == HF_STORE_FAILED, "%s: %s: %s", what, hf_reason_name(reason), message);
		ck_assert_msg(strstr(message, store_path) != NULL, "%s: no path in: %s", what, message);
		return false;
	}
	uint64_t a = read_session(store, "a", &unreadable);
	uint64_t b = read_session(store, "b", &unreadable);
	ck_assert_msg(a <= ALL && b <= ALL, "%s: heads %" PRIu64 " %" PRIu64, what, a, b);
	/* They were written in turns, so a prefix has as many of both, or one more of the first. */
	ck_assert_msg(unreadable > 0 || a == b || a == b + 1, "%s: heads %" PRIu64 " %" PRIu64, what, a, b);
	hf_store_close(store);
	return unreadable == 0 && a == ALL && b == ALL;
}

/* ---- damage ---------------------------------------------------------------------------------------------- */

static bool has_suffix(const char *name, const char *suffix)
{
	size_t len = strlen(name);
	size_t suffix_len = strlen(suffix);

	return len >= suffix_len && strcmp(name + len - suffix_len, suffix) == 0;
}

static void path_in_copy(char out[640], const char *name)
{
	snprintf(out, 640, "%s/%s", store_path, name);
}

static off_t size_of(const char *path)
{
	struct stat status;

	ck_assert_int_eq(stat(path, &status), 0);
	return status.st_size;
}

static void flip(const char *path, off_t at)
{
	unsigned char byte;
	int file = open(path, O_RDWR);

	ck_assert_int_ge(file, 0);
	ck_assert_int_eq(pread(file, &byte, 1, at), 1);
	byte ^= (unsigned char)(1 + chance(255));
	ck_assert_int_eq(pwrite(file, &byte, 1, at), 1);
	close(file);
}

typedef void (*damage_fn)(const char *name);

static void for_each_file(damage_fn damage)
{
	DIR *files = opendir(master);
	int count = 0;

	ck_assert_ptr_nonnull(files);
	for (const struct dirent *file = readdir(files); file != NULL; file = readdir(files)) {
		const char *name = file->d_name;
		if (has_suffix(name, ".sst") || has_suffix(name, ".log") || strncmp(name, "MANIFEST", 8) == 0 ||
			strcmp(name, "CURRENT") == 0) {
			damage(name);
			count++;
		}
	}
	closedir(files);
	ck_assert_int_ge(count, 6);
}

static void truncate_some(const char *name)
{
	char path[640];
	char what[1024];

	for (int i = 0; i < 4; i++) {
		copy_master();
		path_in_copy(path, name);
		off_t size = size_of(path);
		off_t left = i == 0 ? 0 : i == 1 ? size - 1 : (off_t)chance((uint64_t)size);
		ck_assert_int_eq(truncate(path, left), 0);
		snprintf(what, sizeof what, "%s of %ld cut to %ld", name, (long)size, (long)left);
		bool whole = check_damaged(what);
		/* The end of a MANIFEST may say only what is known anyway. */
		ck_assert_msg(!whole || !has_suffix(name, ".sst"), "%s went unnoticed", what);
	}
}

static void flip_some(const char *name)
{
	char path[640];
	char what[1024];

	for (int i = 0; i < 4; i++) {
		copy_master();
		path_in_copy(path, name);
		off_t size = size_of(path);
		off_t at = (off_t)chance((uint64_t)size);
		flip(path, at);
		snprintf(what, sizeof what, "%s of %ld changed at %ld", name, (long)size, (long)at);
		(void)check_damaged(what); /* whole where the byte matters to nobody, as in padding */
	}
}

static void remove_it(const char *name)
{
	char path[640];
	char away[320];

	copy_master();
	path_in_copy(path, name);
	snprintf(away, sizeof away, "%s/away", directory);
	ck_assert_int_eq(rename(path, away), 0);
	ck_assert_msg(!check_damaged(name), "%s: its loss went unnoticed", name);
	if (message[0] == '\0') /* the write-ahead log: a prefix is left */
		return;
	ck_assert(strcmp(name, "CURRENT") != 0 || strstr(message, "CURRENT") != NULL);
	/* Refusing did no harm: put back, all is there again. */
	ck_assert_int_eq(rename(away, path), 0);
	ck_assert_msg(check_damaged(name), "%s: refused, then lost: %s", name, message);
}

START_TEST(truncated_files)
{
	prepare();
	for_each_file(truncate_some);
}
END_TEST

START_TEST(flipped_bytes)
{
	prepare();
	for_each_file(flip_some);
}
END_TEST

START_TEST(lost_files)
{
	prepare();
	for_each_file(remove_it);
}
END_TEST

START_TEST(an_undamaged_copy_is_whole)
{
	prepare();
	copy_master();
	ck_assert(check_damaged("nothing"));
}
END_TEST

static void change_inside(const char *name)
{
	char path[640];

	if (!has_suffix(name, ".log"))
		return;
	for (int i = 0; i < 5; i++) {
		copy_master();
		path_in_copy(path, name);
		/* In the first half: many whole records follow. */
		flip(path, (off_t)chance((uint64_t)size_of(path) / 2));
		ck_assert_msg(!check_damaged(name), "went unnoticed");
		ck_assert_msg(strstr(message, "Corruption") != NULL, "opened, or failed with: %s", message);
	}
}

/* Acknowledged entries must not vanish in silence because of one byte before them. */
START_TEST(damage_inside_the_write_ahead_log_is_loud)
{
	prepare();
	for_each_file(change_inside);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store: damage");
	TCase *tests = case_with_directory(suite);

	tcase_add_test(tests, an_undamaged_copy_is_whole);
	tcase_add_test(tests, truncated_files);
	tcase_add_test(tests, flipped_bytes);
	tcase_add_test(tests, lost_files);
	tcase_add_test(tests, damage_inside_the_write_ahead_log_is_loud);
	return run_suite(suite);
}
