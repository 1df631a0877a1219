/* SPDX-License-Identifier: BSD-3-Clause */
#include "store/usage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "store/store_internal.h"

#define STAT_BLOCK 512 /* what st_blocks counts, whatever the file system's own are */

_Static_assert(HF_USAGE_PARTS == HF_FAMILY_COUNT, "a part for each family");

static uint64_t property(struct hf_store *store, enum hf_family family, const char *name)
{
	uint64_t value = 0;

	return rocksdb_property_int_cf(store->db, store->families[family], name, &value) == 0 ? value : 0;
}

static bool has_suffix(const char *name, const char *suffix)
{
	size_t len = strlen(name);
	size_t suffix_len = strlen(suffix);

	return len >= suffix_len && strcmp(name + len - suffix_len, suffix) == 0;
}

/* Files may go while they are counted: RocksDB's own threads remove what is merged. */
static void add_file(int directory, const char *name, struct hf_usage *out)
{
	struct stat status;

	if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(status.st_mode))
		return;
	out->disk_bytes += (uint64_t)status.st_blocks * STAT_BLOCK;
	if (has_suffix(name, ".log"))
		out->wal_bytes += (uint64_t)status.st_size;
}

static enum hf_reason add_files(struct hf_store *store, struct hf_usage *out)
{
	DIR *directory = opendir(store->path);

	if (directory == NULL) {
		hf_store_say(store, "%s: cannot be listed: %s", store->path, strerror(errno));
		return HF_STORE_FAILED;
	}
	for (const struct dirent *file = readdir(directory); file != NULL; file = readdir(directory))
		add_file(dirfd(directory), file->d_name, out);
	closedir(directory);
	return HF_OK;
}

enum hf_reason hf_store_usage(struct hf_store *store, struct hf_usage *out)
{
	*out = (struct hf_usage){.table_bytes = 0};
	if (store->db == NULL)
		return HF_STORE_FAILED;
	for (enum hf_family family = 0; family < HF_FAMILY_COUNT; family++) {
		out->parts[family] = (struct hf_usage_part){
			.name = hf_family_names[family],
			.table_bytes = property(store, family, "rocksdb.total-sst-files-size"),
			.memory_bytes = property(store, family, "rocksdb.cur-size-all-mem-tables"),
			.keys = property(store, family, "rocksdb.estimate-num-keys"),
		};
		out->table_bytes += out->parts[family].table_bytes;
	}
	return add_files(store, out);
}

/* ---- by session ------------------------------------------------------------------------------------------ */

static bool add_session(void *context, const struct hf_session_info *info)
{
	struct hf_usage_sessions *out = context;
	struct hf_usage_session *largest = out->largest;
	size_t at = out->largest_count;

	out->sessions++;
	out->entries += info->head + 1 - info->tail;
	out->bytes += info->bytes;
	while (at > 0 && largest[at - 1].bytes < info->bytes)
		at--;
	if (at == out->largest_max)
		return true;
	out->largest_count += out->largest_count < out->largest_max;
	memmove(largest + at + 1, largest + at, (out->largest_count - 1 - at) * sizeof *largest);
	largest[at] = (struct hf_usage_session){.entries = info->head + 1 - info->tail, .bytes = info->bytes};
	memcpy(largest[at].session, info->session.data, info->session.len);
	return true;
}

enum hf_reason hf_store_usage_sessions(struct hf_store *store, struct hf_usage_sessions *out)
{
	out->largest_count = 0;
	out->sessions = out->entries = out->bytes = 0;
	return hf_session_each(store, HF_SLICE_NONE, add_session, out);
}
