/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What every group ($share) promises, for the groups of a fixed table.
 *
 * An entry that is due to a group is with one worker at a time, and done with once that has acknowledged it. It goes to
 * another one only when the first one's connection is over. Within a session it comes behind everything before it that
 * is done with, or that this very worker has. After a kill, what was not acknowledged comes again; what was, shorter
 * before than is promised to be on disk, may.
 */
#ifndef HF_TEST_SIMULATE_GROUPS_H
#define HF_TEST_SIMULATE_GROUPS_H

#include "reader.h"
#include "world.h"

struct share {
	const char *name, *plain;
	uint8_t session; /* NOBODY: any */
};
extern const struct share shares[GROUPS];

bool group_is_member(unsigned group, unsigned reader);
bool reader_is_member(unsigned reader); /* of any group */
int group_of_kept(const char *filter);  /* as the broker keeps it; -1: of none */
void group_kept(unsigned group, char *out, size_t size);

/* ---- what happens to them */

void group_joined(unsigned group, unsigned reader, const struct wish *wish);
void group_left(unsigned group, unsigned reader); /* with UNSUBSCRIBE */
void groups_forget_member(unsigned reader);       /* its session has ended: with it, what it had */
void groups_take_back(unsigned reader);           /* what it had is not its work any more */
void groups_worker_back(unsigned reader);         /* on a new connection */
void groups_get_entry(uint64_t lsn);
void groups_lose_entry(uint64_t lsn); /* to retention */
void groups_roles_changed(void);
void groups_restarted(bool clean);

/* ---- what they hand over. Messages know the life of their group: it may have begun anew since. */

/* An entry is about to be handed to a worker: is it the right one? */
void group_check_hand(unsigned group, unsigned reader, uint64_t lsn, uint8_t qos);
void group_handed(unsigned group, unsigned reader, uint64_t lsn, uint8_t qos);
void group_check_mark(unsigned group, unsigned reader, unsigned session); /* that something will not come */
void group_done(unsigned group, uint32_t life, unsigned reader, uint64_t lsn);
void group_returned(unsigned group, uint32_t life, unsigned reader, uint64_t lsn);

/* Everybody has acknowledged everything: then nothing is left that somebody who is there may take. */
void groups_check_settled(void);

#endif
