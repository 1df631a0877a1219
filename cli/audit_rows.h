/* SPDX-License-Identifier: BSD-3-Clause */
/* What happened, one row an item; and the options of the commands that ask for it. */
#ifndef HF_CLI_AUDIT_ROWS_H
#define HF_CLI_AUDIT_ROWS_H

#include <argp.h>

#include "query/query.h"
#include "rows.h"

/* What the options of a query say. `query` has its texts as they were given. */
struct hf_audit_options {
	const char *store;
	enum hf_format format;
	struct hf_query query;
};

/* Children for the argp of a command; their input is a struct hf_audit_options, which they fill in. All have --store;
 * besides, the first has --format, the second --from and --to, the third all three. */
extern const struct argp hf_audit_format_argp;
extern const struct argp hf_audit_time_argp;
extern const struct argp hf_audit_argp;

/* Open the store of these options to ask its audit. NULL: it cannot be, or there is none, and standard error says why.
 */
struct hf_store *hf_audit_store_open(const struct hf_audit_options *options);

/* A query failed: say why. */
void hf_audit_complain(struct hf_store *store, const struct hf_query *query, enum hf_reason reason);

/* Print all items that the query asks for, as rows. The exit status. */
enum hf_exit hf_audit_print(struct hf_store *store, const struct hf_audit_options *options);

#endif
