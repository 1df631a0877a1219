/* SPDX-License-Identifier: BSD-3-Clause */
/* What was measured of the audit, and how it is told: as text on stdout, as JSON in a file. */
#ifndef HF_BENCH_AUDIT_REPORT_H
#define HF_BENCH_AUDIT_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HF_QUESTIONS 30

struct hf_moment {
	int64_t clock_ns, cpu_ns;
};

/* What was asked again and again. */
struct hf_timed {
	size_t count;
	struct hf_moment took[HF_QUESTIONS]; /* in their order */
	double mean;                         /* of what each brought: rows, devices */
};

enum hf_asked {
	HF_OPEN,
	HF_BY_SESSION_FIRST,
	HF_BY_SESSION_ALL,
	HF_BY_IDENTITY_FIRST,
	HF_BY_IDENTITY_ALL,
	HF_RECEIPTS,
	HF_ASKED,
};

struct hf_checked {
	uint64_t entries, records, seals, signatures;
	struct hf_moment took;
};

struct hf_audit_report {
	uint64_t deliveries, entries, bytes; /* of the store; bytes on disk */
	double made_s;                       /* 0: it was there already */
	struct hf_timed asked[HF_ASKED];
	struct hf_checked verify, verify_each; /* with as few signatures as it takes, with all */
};

void hf_audit_report_print(const struct hf_audit_report *report);

/* False when that failed: said on stderr. */
bool hf_audit_report_write_json(const struct hf_audit_report *report, const char *path);

#endif
