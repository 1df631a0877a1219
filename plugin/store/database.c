/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening and closing RocksDB, its format mark, and what it says when something is wrong. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "store/store_internal.h"

#define FORMAT_KEY "format"
#define DIRECTORY_MODE 0750   /* conversations are nobody else's business */
#define FORMAT_RECORD_SIZE 32 /* in the write-ahead log; a table is larger */
#define WALK_READAHEAD ((size_t)1 << 20)
#define READ_TRIES 20
#define READ_RETRY_NS (5 * 1000 * 1000)

void hf_store_say(struct hf_store *store, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(store->error, sizeof store->error, format, arguments);
	va_end(arguments);
}

enum hf_reason hf_store_blame(struct hf_store *store, const char *doing, char *error)
{
	enum hf_reason reason = strncmp(error, "Corruption", 10) == 0 ? HF_RECORD_CORRUPT : HF_STORE_FAILED;

	hf_store_say(store, "%s: %s: %s", store->path, doing, error);
	rocksdb_free(error);
	return reason;
}

enum hf_reason hf_store_fail(struct hf_store *store, const char *doing, char *error)
{
	(void)hf_store_blame(store, doing, error);
	store->failed = true;
	return HF_STORE_FAILED;
}

/* ---- what is there before RocksDB looks ------------------------------------------------------------------ */

/*
 * RocksDB makes what it misses, a whole database where the file CURRENT is gone, column families that a cut MANIFEST
 * does not name, and then deletes the files that it knows nothing of. So nothing may be missing where there are data:
 * tables, or a write-ahead log that is not empty. A creation that was cut short leaves neither: at most a part of the
 * write of the format mark, which comes first and is synced.
 */
struct remains {
	int error;    /* errno of reading the directory */
	bool current; /* the file CURRENT, with which every database begins */
	bool data;
};

static struct remains look_for_remains(const struct hf_store *store)
{
	struct remains remains = {0};
	DIR *directory = opendir(store->path);

	if (directory == NULL) {
		remains.error = errno;
		return remains;
	}
	for (const struct dirent *file = readdir(directory); file != NULL; file = readdir(directory)) {
		const char *suffix = strrchr(file->d_name, '.');
		char path[PATH_MAX];
		struct stat status;
		snprintf(path, sizeof path, "%s/%s", store->path, file->d_name);
		if (strcmp(file->d_name, "CURRENT") == 0)
			remains.current = true;
		else if (suffix != NULL && (strcmp(suffix, ".sst") == 0 || strcmp(suffix, ".log") == 0) &&
				 stat(path, &status) == 0 && status.st_size >= FORMAT_RECORD_SIZE)
			remains.data = true;
	}
	closedir(directory);
	return remains;
}

static bool has_family(char **names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

static enum hf_reason check_remains(struct hf_store *store, const struct remains *remains, enum hf_open_mode mode)
{
	if (remains->current || (mode == HF_OPEN_CREATE && !remains->data))
		return HF_OK;
	if (remains->data)
		hf_store_say(store, "%s: a database without its file CURRENT", store->path);
	else
		hf_store_say(
			store, "%s: no store there: %s", store->path, strerror(remains->error != 0 ? remains->error : ENOENT));
	return HF_STORE_FAILED;
}

static enum hf_reason check_families(
	struct hf_store *store, const struct hf_database_options *options, const struct remains *remains)
{
	char *error = NULL;
	size_t count = 0;
	size_t known = 0;
	enum hf_reason reason = HF_OK;

	char **names = rocksdb_list_column_families(options->database, store->path, &count, &error);
	if (error != NULL) { /* there is none yet, or opening it will tell what is wrong */
		rocksdb_free(error);
		rocksdb_list_column_families_destroy(names, count);
		return HF_OK;
	}
	for (enum hf_family family = 0; family < HF_FAMILY_COUNT; family++) {
		if (has_family(names, count, hf_family_names[family])) {
			known++;
		} else if (remains->data) {
			hf_store_say(store, "%s: not a store of Holdfast, or damaged: it has no column family '%s'", store->path,
				hf_family_names[family]);
			reason = HF_STORE_FAILED;
		}
	}
	if (reason == HF_OK && count > known) {
		hf_store_say(
			store, "%s: written by a later version: it has a column family more than this one knows", store->path);
		reason = HF_STORE_OTHER_FORMAT;
	}
	rocksdb_list_column_families_destroy(names, count);
	return reason;
}

/* ---- opening --------------------------------------------------------------------------------------------- */

static bool is_locked(const char *error)
{
	return strstr(error, "lock file") != NULL || strstr(error, "lock hold by current process") != NULL;
}

/* RocksDB's threads inherit the signal mask: the broker's signals must interrupt the broker's own thread. */
static rocksdb_t *open_with_signals_blocked(
	struct hf_store *store, const struct hf_database_options *options, enum hf_open_mode mode, char **error)
{
	const rocksdb_options_t *const *families = (const rocksdb_options_t *const *)options->families;
	rocksdb_t *db;
	sigset_t all;
	sigset_t before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (mode == HF_OPEN_READ) {
		db = rocksdb_open_for_read_only_column_families(
			options->database, store->path, HF_FAMILY_COUNT, hf_family_names, families, store->families, 0, error);
	} else {
		db = rocksdb_open_column_families(
			options->database, store->path, HF_FAMILY_COUNT, hf_family_names, families, store->families, error);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return db;
}

static enum hf_reason open_database(
	struct hf_store *store, const struct hf_database_options *options, enum hf_open_mode mode)
{
	char *error = NULL;

	/* A running broker may delete a file between our reading of its name and our opening of it. */
	for (int tries = mode == HF_OPEN_READ ? READ_TRIES : 1; tries > 0; tries--) {
		store->db = open_with_signals_blocked(store, options, mode, &error);
		if (error == NULL || tries == 1)
			break;
		rocksdb_free(error);
		error = NULL;
		nanosleep(&(struct timespec){.tv_nsec = READ_RETRY_NS}, NULL);
	}
	if (error != NULL) {
		bool locked = is_locked(error);
		store->db = NULL;
		(void)hf_store_blame(store, locked ? "another process has it open" : "cannot open", error);
		return locked ? HF_STORE_BUSY : HF_STORE_FAILED;
	}
	store->writable = mode != HF_OPEN_READ;
	return HF_OK;
}

/* ---- the format mark ------------------------------------------------------------------------------------- */

static enum hf_reason write_format(struct hf_store *store)
{
	const uint32_t format = htole32(HF_STORE_FORMAT);
	rocksdb_writeoptions_t *options = rocksdb_writeoptions_create();
	char *error = NULL;

	rocksdb_writeoptions_set_sync(options, 1);
	rocksdb_put(store->db, options, FORMAT_KEY, strlen(FORMAT_KEY), (const char *)&format, sizeof format, &error);
	rocksdb_writeoptions_destroy(options);
	return error == NULL ? HF_OK : hf_store_blame(store, "cannot write the format mark", error);
}

static enum hf_reason check_format(struct hf_store *store, const struct remains *remains)
{
	rocksdb_pinnableslice_t *pinned = NULL;
	uint32_t format = 0;
	enum hf_reason reason = hf_database_get(store, HF_FAMILY_DEFAULT, hf_slice_of(FORMAT_KEY), &pinned);

	if (reason != HF_OK)
		return reason;
	if (pinned == NULL && !remains->data && store->writable)
		return write_format(store);
	if (pinned == NULL) {
		hf_store_say(store,
			remains->data ? "%s: not a store of Holdfast, or damaged: it has no format mark" : "%s: no store there yet",
			store->path);
		return HF_STORE_FAILED;
	}
	struct hf_slice value = hf_pinned_slice(pinned);
	if (value.len == sizeof format) {
		memcpy(&format, value.data, sizeof format);
		format = le32toh(format);
	}
	rocksdb_pinnableslice_destroy(pinned);
	if (format == HF_STORE_FORMAT)
		return HF_OK;
	hf_store_say(
		store, "%s: its format is %u, this version of Holdfast knows %d", store->path, format, HF_STORE_FORMAT);
	return HF_STORE_OTHER_FORMAT;
}

/* *torn: it was read while a running broker moved what is in the write-ahead log into a table, and deleted the log: one
 * was read too early, the other too late. */
static enum hf_reason open_once(struct hf_store *store, enum hf_open_mode mode, bool *torn)
{
	struct hf_database_options options;
	char *error = NULL;
	enum hf_reason reason;

	if (mode == HF_OPEN_CREATE)
		(void)mkdir(store->path, DIRECTORY_MODE); /* where it fails, RocksDB fails too and says why */
	if (!hf_database_options_make(&options, mode, &error))
		return hf_store_blame(store, "RocksDB does not know an option", error);
	const struct remains remains = look_for_remains(store);
	reason = check_remains(store, &remains, mode);
	if (reason == HF_OK)
		reason = check_families(store, &options, &remains);
	if (reason == HF_OK)
		reason = open_database(store, &options, mode);
	hf_database_options_destroy(&options);
	if (reason != HF_OK)
		return reason;
	reason = check_format(store, &remains);
	*torn = mode == HF_OPEN_READ && reason == HF_STORE_FAILED && remains.data;
	if (reason != HF_OK)
		hf_database_close(store);
	return reason == HF_RECORD_CORRUPT ? HF_STORE_FAILED : reason;
}

enum hf_reason hf_database_open(struct hf_store *store, enum hf_open_mode mode)
{
	bool torn = false;
	enum hf_reason reason = open_once(store, mode, &torn);

	for (int tries = 1; torn && tries < READ_TRIES; tries++) {
		nanosleep(&(struct timespec){.tv_nsec = READ_RETRY_NS}, NULL);
		torn = false;
		reason = open_once(store, mode, &torn);
	}
	return reason;
}

void hf_database_close(struct hf_store *store)
{
	if (store->db == NULL)
		return;
	hf_scrub_stop(store);
	for (enum hf_family family = 0; family < HF_FAMILY_COUNT; family++)
		rocksdb_column_family_handle_destroy(store->families[family]);
	rocksdb_close(store->db);
	store->db = NULL;
	store->writable = false;
}

/* ---- reading --------------------------------------------------------------------------------------------- */

enum hf_reason hf_database_get(
	struct hf_store *store, enum hf_family family, struct hf_slice key, rocksdb_pinnableslice_t **out)
{
	char *error = NULL;

	*out = NULL;
	if (store->db == NULL)
		return HF_STORE_FAILED;
	*out = rocksdb_get_pinned_cf(store->db, store->read_options, store->families[family], key.data, key.len, &error);
	return error == NULL ? HF_OK : hf_store_blame(store, "cannot read", error);
}

rocksdb_iterator_t *hf_database_iterate(struct hf_store *store, enum hf_family family)
{
	if (store->db == NULL)
		return NULL;
	return rocksdb_create_iterator_cf(store->db, store->read_options, store->families[family]);
}

rocksdb_iterator_t *hf_database_walk(struct hf_store *store, enum hf_family family)
{
	if (store->db == NULL)
		return NULL;
	rocksdb_readoptions_t *options = rocksdb_readoptions_create();
	rocksdb_readoptions_set_fill_cache(options, 0);
	rocksdb_readoptions_set_readahead_size(options, WALK_READAHEAD);
	rocksdb_iterator_t *iterator = rocksdb_create_iterator_cf(store->db, options, store->families[family]);
	rocksdb_readoptions_destroy(options); /* the iterator has a copy */
	return iterator;
}

enum hf_reason hf_iterator_check(struct hf_store *store, const rocksdb_iterator_t *iterator)
{
	char *error = NULL;

	rocksdb_iter_get_error(iterator, &error);
	return error == NULL ? HF_OK : hf_store_blame(store, "cannot read", error);
}
