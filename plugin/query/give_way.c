/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/resource.h>

#include "query/query.h"

#define NICE 10 /* a share of 110 to 1024; 19 would be 15, and no answer for minutes on a machine that is full */

/* To Linux a thread is a process of its own here (setpriority(2), under BUGS): the broker's other threads stay as they
 * are. What a store that is opened then starts, is as low. */
void hf_query_give_way(void)
{
	if (getpriority(PRIO_PROCESS, 0) < NICE)
		(void)setpriority(PRIO_PROCESS, 0, NICE);
}
