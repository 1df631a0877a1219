/* SPDX-License-Identifier: BSD-3-Clause */
/* Who asks the audit gives way on the processor; whoever does other things in the same process stays as it was. */
#include "store_check.h"

#include <pthread.h>
#include <sys/resource.h>

#include "query/query.h"

struct seen {
	int of_thread, of_next;
};

static void *look(void *context)
{
	*(int *)context = getpriority(PRIO_PROCESS, 0);
	return NULL;
}

static void *ask(void *context)
{
	struct seen *seen = context;
	pthread_t next;

	hf_query_give_way();
	(void)look(&seen->of_thread);
	ck_assert_int_eq(pthread_create(&next, NULL, look, &seen->of_next), 0);
	pthread_join(next, NULL);
	return NULL;
}

START_TEST(a_thread_gives_way_and_what_it_starts)
{
	const int before = getpriority(PRIO_PROCESS, 0);
	struct seen seen = {0};
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, ask, &seen), 0);
	pthread_join(thread, NULL);
	ck_assert_int_eq(seen.of_thread, before > 10 ? before : 10);
	ck_assert_int_eq(seen.of_next, seen.of_thread);
	ck_assert_int_eq(getpriority(PRIO_PROCESS, 0), before);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("query: giving way");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, a_thread_gives_way_and_what_it_starts);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
