/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A disk that fails when the test says so. The test program defines write and its like itself; RocksDB, which calls
 * them through the dynamic linker, gets these. The C library's own streams do not come this way.
 */
#ifndef HF_TEST_UNIT_STORE_FAULTS_H
#define HF_TEST_UNIT_STORE_FAULTS_H

#include <errno.h>
#include <sys/syscall.h>

#include "store_check.h"

enum fault {
	FAULT_ONCE, /* one call fails, the next ones work */
	FAULT_GONE, /* nothing works from then on; half of the first write was done */
	FAULT_FULL, /* the same, as a full disk says it */
	FAULT_KILL, /* half of the write, and the process is gone */
};

static enum fault fault_kind;
static atomic_long fault_calls_left = -1; /* until one fails; negative: never */
static atomic_bool fault_lasts;
static atomic_long fault_fired;

static bool fault_in_sync(void);

/* The n-th call from now on, counted from 1. */
static inline void fault_after(enum fault kind, long n)
{
	sync_fails = fault_in_sync;
	fault_kind = kind;
	fault_fired = 0;
	fault_lasts = false;
	fault_calls_left = n - 1;
}

static inline void fault_clear(void)
{
	fault_calls_left = -1;
	fault_lasts = false;
}

/* 0, or the errno to fail with; *half: a half of what is to be written is written. */
static int fault_now(bool *half)
{
	*half = false;
	const int error = fault_kind == FAULT_FULL ? ENOSPC : EIO;
	if (fault_lasts)
		return error;
	if (fault_calls_left < 0 || fault_calls_left-- != 0)
		return 0;
	fault_fired++;
	if (fault_kind == FAULT_ONCE)
		return error;
	*half = true;
	fault_lasts = true;
	return error;
}

/* RocksDB's own journal of what it does, whose failures are nobody's loss. */
static bool is_info_log(int file)
{
	char link[64];
	char path[4096];

	snprintf(link, sizeof link, "/proc/self/fd/%d", file);
	ssize_t len = readlink(link, path, sizeof path);
	return len >= 4 && memcmp(path + len - 4, "/LOG", 4) == 0;
}

ssize_t write(int file, const void *bytes, size_t len)
{
	bool half = false;
	int error = is_info_log(file) ? 0 : fault_now(&half);

	if (half) {
		ssize_t written = syscall(SYS_write, file, bytes, len / 2);
		if (fault_kind == FAULT_KILL)
			_exit(EXIT_SUCCESS);
		if (len > 1)
			return written;
	}
	if (error == 0)
		return syscall(SYS_write, file, bytes, len);
	errno = error;
	return -1;
}

static bool fault_in_sync(void)
{
	bool half;
	int error = fault_now(&half);

	if (half && fault_kind == FAULT_KILL)
		_exit(EXIT_SUCCESS);
	errno = error;
	return error != 0;
}

#endif
