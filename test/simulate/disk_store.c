/* SPDX-License-Identifier: BSD-3-Clause */
/* The real store, in a directory of its own for each schedule. It has no faults to offer. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store_control.h"

static char path[256];

void store_control_make(void)
{
}

void store_control_begin(void)
{
	/* Memory where there is some: a kill spares it as it spares the page cache, and fsync costs nothing. */
	const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");

	snprintf(path, sizeof(path), "%s/holdfast-simulate-XXXXXX", base ? base : "/tmp");
	if (!mkdtemp(path)) {
		perror(path);
		exit(EXIT_FAILURE);
	}
}

static int remove_one(const char *file, const struct stat *status, int type, struct FTW *ftw)
{
	(void)status;
	(void)type;
	(void)ftw;
	return remove(file);
}

void store_control_end(void)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *store_control_path(void)
{
	return path;
}

bool store_control_can_truncate(void)
{
	return false;
}

bool store_control_can_fail(void)
{
	return false;
}

void store_control_fail(bool fails)
{
	(void)fails;
}

bool store_control_failed(void)
{
	return false;
}

uint64_t store_control_head(void)
{
	return 0;
}

bool store_control_idle(void)
{
	return true;
}
