/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening: what is refused, with which words, and the reader beside a running broker. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "store_check.h"

#include "store/store_internal.h"

static void check_refused(enum hf_reason wanted, bool read_only, const char *words)
{
	struct hf_store *store = (struct hf_store *)directory;
	enum hf_reason reason = try_open(&store, read_only);

	ck_assert_msg(reason == wanted, "%s, not %s: %s", hf_reason_name(reason), hf_reason_name(wanted), message);
	ck_assert_ptr_null(store);
	ck_assert_msg(strstr(message, store_path) != NULL, "no path in: %s", message);
	ck_assert_msg(strstr(message, words) != NULL, "not '%s' in: %s", words, message);
}

START_TEST(a_path_that_cannot_be_is_refused)
{
	char path[320];

	snprintf(store_path, sizeof store_path, "%s/no/parents", directory);
	check_refused(HF_STORE_FAILED, false, "No such file");
	check_refused(HF_STORE_FAILED, true, "No such file");
	snprintf(store_path, sizeof store_path, "%s/file", directory);
	int file = open(store_path, O_CREAT | O_WRONLY, 0600);
	ck_assert_int_ge(file, 0);
	close(file);
	check_refused(HF_STORE_FAILED, false, "exists");
	snprintf(path, sizeof path, "%s/below", store_path);
	strcpy(store_path, path);
	check_refused(HF_STORE_FAILED, false, "Not a directory");
	/* With no room for words. */
	struct hf_store *store;
	ck_assert_reason(
		hf_store_open(&(struct hf_store_options){.path = store_path}, NULL, NULL, &store, NULL, 0), HF_STORE_FAILED);
	ck_assert_ptr_null(store);
}
END_TEST

START_TEST(a_directory_without_permission_is_refused)
{
	ck_assert_int_eq(mkdir(store_path, 0500), 0);
	if (geteuid() == 0) {
		ck_assert_int_eq(chmod(directory, 0755), 0);
		ck_assert_int_eq(seteuid(65534), 0);
	}
	check_refused(HF_STORE_FAILED, false, "Permission denied");
	ck_assert_int_eq(seteuid(getuid()), 0);
}
END_TEST

START_TEST(a_store_is_for_its_owner_and_group)
{
	struct stat status;

	umask(0);
	hf_store_close(open_store());
	ck_assert_int_eq(stat(store_path, &status), 0);
	ck_assert_int_eq(status.st_mode & 07777, 0750);
}
END_TEST

/* ---- who else has it ------------------------------------------------------------------------------------- */

START_TEST(a_locked_store_is_busy)
{
	int ready[2];
	char byte;

	ck_assert_int_eq(pipe(ready), 0);
	pid_t child = check_fork();
	if (child == 0) {
		struct hf_store *store = open_store();
		append(acquire(store, "a"));
		ck_assert_int_eq(write(ready[1], "x", 1), 1);
		pause();
		_exit(EXIT_FAILURE);
	}
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	check_refused(HF_STORE_BUSY, false, "another process");
	kill(child, SIGKILL);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	struct hf_store *store = open_store();
	ck_assert_uint_eq(hf_store_head(store), 1);
	check_refused(HF_STORE_BUSY, false, "another process"); /* it is not; but busy */
	hf_store_close(store);
	hf_store_close(open_store());
}
END_TEST

/* ---- what else it may be --------------------------------------------------------------------------------- */

static void raw_put(const char *key, const char *value, size_t len)
{
	rocksdb_options_t *options = rocksdb_options_create();
	rocksdb_writeoptions_t *write = rocksdb_writeoptions_create();
	char *error = NULL;
	size_t count = 0;
	const char *alone[] = {"default"};
	const rocksdb_options_t *families[HF_FAMILY_COUNT];
	rocksdb_column_family_handle_t *handles[HF_FAMILY_COUNT];
	char **names = rocksdb_list_column_families(options, store_path, &count, &error);
	const char *const *opened = error == NULL ? (const char *const *)names : alone;
	int opened_count = error == NULL ? (int)count : 1;

	rocksdb_free(error);
	error = NULL;
	ck_assert_int_le(opened_count, HF_FAMILY_COUNT);
	for (int i = 0; i < HF_FAMILY_COUNT; i++)
		families[i] = options;
	rocksdb_options_set_create_if_missing(options, 1);
	rocksdb_t *db = rocksdb_open_column_families(options, store_path, opened_count, opened, families, handles, &error);
	ck_assert_msg(error == NULL, "%s", error);
	rocksdb_put_cf(db, write, handles[0], key, strlen(key), value, len, &error);
	ck_assert_ptr_null(error);
	for (int i = 0; i < opened_count; i++)
		rocksdb_column_family_handle_destroy(handles[i]);
	rocksdb_list_column_families_destroy(names, count);
	rocksdb_close(db);
	rocksdb_writeoptions_destroy(write);
	rocksdb_options_destroy(options);
}

/* The smallest write-ahead log that says something: see FORMAT_RECORD_SIZE in database.c. */
START_TEST(the_format_mark_is_the_first_write_and_its_size_is_known)
{
	struct dirent *file;
	struct stat status;
	off_t size = 0;

	hf_store_close(open_store());
	DIR *listing = opendir(store_path);
	while ((file = readdir(listing)) != NULL) {
		char path[600];
		snprintf(path, sizeof path, "%s/%s", store_path, file->d_name);
		if (strstr(file->d_name, ".log") != NULL && stat(path, &status) == 0)
			size += status.st_size;
	}
	closedir(listing);
	ck_assert_int_eq(size, 32);
}
END_TEST

START_TEST(another_format_is_refused)
{
	const char now[4] = {HF_STORE_FORMAT};

	hf_store_close(open_store());
	raw_put("format", "\1\0\0\0", 4);
	check_refused(HF_STORE_OTHER_FORMAT, false, "its format is 1");
	check_refused(HF_STORE_OTHER_FORMAT, true, "its format is 1");
	raw_put("format", now, 3);
	check_refused(HF_STORE_OTHER_FORMAT, false, "format");
	raw_put("format", now, 4);
	hf_store_close(open_store());
}
END_TEST

START_TEST(a_later_version_s_families_are_refused)
{
	hf_store_close(open_store());
	rocksdb_options_t *options = rocksdb_options_create();
	char *error = NULL;

	rocksdb_options_set_create_missing_column_families(options, 1);
	const char *names[HF_FAMILY_COUNT + 1];
	const rocksdb_options_t *families[HF_FAMILY_COUNT + 1];
	rocksdb_column_family_handle_t *handles[HF_FAMILY_COUNT + 1];
	for (int i = 0; i <= HF_FAMILY_COUNT; i++) {
		names[i] = i < HF_FAMILY_COUNT ? hf_family_names[i] : "of a later version";
		families[i] = options;
	}
	rocksdb_t *db =
		rocksdb_open_column_families(options, store_path, HF_FAMILY_COUNT + 1, names, families, handles, &error);
	ck_assert_msg(error == NULL, "%s", error);
	for (int i = 0; i <= HF_FAMILY_COUNT; i++)
		rocksdb_column_family_handle_destroy(handles[i]);
	rocksdb_close(db);
	rocksdb_options_destroy(options);
	check_refused(HF_STORE_OTHER_FORMAT, false, "later version");
}
END_TEST

START_TEST(a_stranger_s_database_is_refused)
{
	raw_put("something", "else", 4);
	check_refused(HF_STORE_FAILED, false, "not a store of Holdfast");
	check_refused(HF_STORE_FAILED, true, "not a store of Holdfast");
}
END_TEST

START_TEST(a_hole_in_the_log_is_refused)
{
	struct hf_store *store = open_store();
	struct hf_log *log = acquire(store, "a");

	append(log);
	append(log);
	hf_log_release(log);
	hf_store_close(store);
	/* The mark says that LSN 3 is indexed and 4 comes next, but 5 does. */
	raw_put("indexed", "\3\0\0\0\0\0\0\0", 8);
	store = open_store();
	ck_assert_uint_eq(hf_store_head(store), 3);
	log = acquire(store, "b");
	append(log);
	hf_log_release(log);
	hf_store_close(store);
	raw_put("indexed", "\0\0\0\0\0\0\0\0", 8);
	check_refused(HF_STORE_FAILED, false, "LSN 3 is missing");
	raw_put("indexed", "\2\0\0\0\0\0\0\0", 8);
	check_refused(HF_STORE_FAILED, false, "LSN 3 is missing");
	raw_put("indexed", "\2", 1);
	check_refused(HF_STORE_FAILED, false, "'indexed' does not decode");
}
END_TEST

/* Put the record of one LSN under another one as well. */
static void copy_record(uint64_t from, uint64_t to)
{
	struct hf_store *store = open_store();
	rocksdb_pinnableslice_t *record;
	char key[HF_LSN_KEY_SIZE];
	char *error = NULL;

	hf_put_be64(key, from);
	ck_assert_ok(hf_database_get(store, HF_FAMILY_LOG, hf_slice_from(key, sizeof key), &record));
	ck_assert_ptr_nonnull(record);
	struct hf_slice bytes = hf_pinned_slice(record);
	hf_put_be64(key, to);
	rocksdb_put_cf(store->db, store->write_options, store->families[HF_FAMILY_LOG], key, sizeof key, bytes.data,
		bytes.len, &error);
	ck_assert_ptr_null(error);
	rocksdb_pinnableslice_destroy(record);
	hf_store_close(store);
}

static void fill(uint64_t count)
{
	struct hf_store *store = open_store();
	struct hf_log *log = acquire(store, "a");

	while (hf_log_head(log) < count)
		append(log);
	hf_log_release(log);
	hf_store_close(store);
}

START_TEST(an_offset_that_comes_twice_is_refused)
{
	fill(3);
	copy_record(2, 4);
	check_refused(HF_STORE_FAILED, false, "LSN 4 has its offset 2, but the index LSN 2");
	check_refused(HF_STORE_FAILED, true, "log and index disagree");
}
END_TEST

START_TEST(an_offset_too_far_is_refused)
{
	struct hf_store *store = open_store();
	struct hf_log *b = acquire(store, "b");
	struct hf_entry entry;

	ck_assert_ok(append_bytes(b, HF_KIND_INPUT, HF_SLICE_NONE, 1, &entry));
	ck_assert_ok(hf_store_flush(store));
	ck_assert_ok(append_bytes(b, HF_KIND_INPUT, HF_SLICE_NONE, 1, &entry));
	/* The entry with offset 2 is gone, and the one with offset 3 in its place. */
	ck_assert_ok(append_bytes(b, HF_KIND_INPUT, HF_SLICE_NONE, 1, &entry));
	hf_log_release(b);
	hf_store_close(store);
	copy_record(3, 2);
	raw_put("indexed", "\1\0\0\0\0\0\0\0", 8);
	check_refused(HF_STORE_FAILED, false, "LSN 2 has its offset 3, but the index LSN 3");
}
END_TEST

/* As after an append that wrote the index by itself, and a kill. */
START_TEST(an_index_ahead_of_its_mark_is_taken_up)
{
	fill(HF_CHUNK_MAX + 3);
	raw_put("indexed", "\0\0\0\0\0\0\0\0", 8);
	for (int read_only = 1; read_only >= 0; read_only--) {
		struct hf_store *store;
		ck_assert_msg(try_open(&store, read_only) == HF_OK, "%s", message);
		struct hf_log *log = acquire(store, "a");
		check_log(store, log, HF_CHUNK_MAX + 3);
		ck_assert_uint_eq(hf_store_head(store), HF_CHUNK_MAX + 3);
		ck_assert(hf_store_dirty(store) == read_only);
		hf_log_release(log);
		hf_store_close(store);
	}
}
END_TEST

/* ---- a reader beside a running broker -------------------------------------------------------------------- */

static void check_reader(uint64_t head)
{
	struct hf_store *reader;
	struct hf_log *log;

	ck_assert_msg(try_open(&reader, true) == HF_OK, "%s", message);
	ck_assert_uint_eq(hf_store_head(reader), head);
	ck_assert_ok(hf_log_acquire(reader, hf_slice_of("a"), false, &log));
	check_log(reader, log, head);
	hf_log_release(log);
	ck_assert_ok(hf_log_acquire(reader, hf_slice_of("a"), false, &log));
	check_log(reader, log, head);
	hf_log_release(log);
	ck_assert_reason(hf_log_acquire(reader, hf_slice_of("b"), false, &log), HF_SESSION_UNKNOWN);
	ck_assert_reason(hf_store_flush(reader), hf_store_dirty(reader) ? HF_STORE_FAILED : HF_OK);
	ck_assert_reason(hf_store_sync(reader), HF_STORE_FAILED);
	hf_store_close(reader);
}

START_TEST(a_reader_sees_what_is_there)
{
	check_refused(HF_STORE_FAILED, true, "No such file");
	ck_assert_int_ne(access(store_path, F_OK), 0); /* asking did not make it */
	struct hf_store *store = open_store();
	struct hf_log *log = acquire(store, "a");
	append(log);
	check_reader(1); /* from the log alone */
	ck_assert_ok(hf_store_flush(store));
	check_reader(1); /* from the index alone */
	for (int i = 0; i < 2 * HF_CHUNK_MAX; i++)
		append(log);
	check_reader(1 + 2 * HF_CHUNK_MAX); /* from both */
	/* The reader wrote nothing: the writer goes on. */
	append(log);
	check_log(store, log, 2 + 2 * HF_CHUNK_MAX);
	hf_log_release(log);
	hf_store_close(store);
	check_reader(2 + 2 * HF_CHUNK_MAX); /* with nobody else */
}
END_TEST

struct writing {
	volatile uint64_t head;
	volatile bool stop;
};

/* Entries so large that files come and go all the time. */
static void write_much(void *context)
{
	static char payload[64 * 1024];
	struct writing *writing = context;
	struct hf_store *store = open_store();
	struct hf_log *log = acquire(store, "a");
	struct hf_entry entry;

	while (!writing->stop && writing->head < 3000) {
		ck_assert_ok(append_bytes(log, HF_KIND_INPUT, hf_slice_from(payload, sizeof payload), 1000, &entry));
		writing->head = entry.offset;
		if (entry.offset % 37 == 0)
			ck_assert_ok(hf_store_flush(store));
	}
	/* As a kill would end it. */
}

START_TEST(a_reader_gets_a_prefix_of_a_busy_writer)
{
	struct writing *writing = shared_memory(sizeof *writing);
	int status;
	pid_t child = check_fork();

	if (child == 0) {
		write_much(writing);
		_exit(EXIT_SUCCESS);
	}
	while (writing->head == 0 && waitpid(child, &status, WNOHANG) == 0)
		usleep(1000);
	for (int i = 0; i < 15; i++) {
		struct hf_store *reader;
		struct hf_log *log;
		struct hf_scan *scan;
		struct hf_ref ref;
		uint64_t offset = 0;
		uint64_t least = writing->head;
		ck_assert_msg(try_open(&reader, true) == HF_OK, "%s", message);
		uint64_t most = writing->head + 1;
		ck_assert_ok(hf_log_acquire(reader, hf_slice_of("a"), false, &log));
		ck_assert_uint_ge(hf_log_head(log), least);
		ck_assert_uint_le(hf_log_head(log), most);
		ck_assert_ok(hf_scan_open(log, 1, &scan));
		while (hf_scan_next(scan, &ref))
			ck_assert_uint_eq(ref.offset, ++offset);
		ck_assert_ok(hf_scan_reason(scan));
		ck_assert_uint_eq(offset, hf_log_head(log));
		hf_scan_close(scan);
		hf_log_release(log);
		hf_store_close(reader);
	}
	writing->stop = true;
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	struct hf_store *store = open_store();
	ck_assert_uint_eq(hf_store_head(store), writing->head);
	hf_store_close(store);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store: open");
	TCase *tests = case_with_directory(suite);

	tcase_add_test(tests, a_path_that_cannot_be_is_refused);
	tcase_add_test(tests, a_directory_without_permission_is_refused);
	tcase_add_test(tests, a_store_is_for_its_owner_and_group);
	tcase_add_test(tests, a_locked_store_is_busy);
	tcase_add_test(tests, the_format_mark_is_the_first_write_and_its_size_is_known);
	tcase_add_test(tests, another_format_is_refused);
	tcase_add_test(tests, a_later_version_s_families_are_refused);
	tcase_add_test(tests, a_stranger_s_database_is_refused);
	tcase_add_test(tests, a_hole_in_the_log_is_refused);
	tcase_add_test(tests, an_offset_that_comes_twice_is_refused);
	tcase_add_test(tests, an_offset_too_far_is_refused);
	tcase_add_test(tests, an_index_ahead_of_its_mark_is_taken_up);
	tcase_add_test(tests, a_reader_sees_what_is_there);
	tcase_add_test(tests, a_reader_gets_a_prefix_of_a_busy_writer);
	return run_suite(suite);
}
