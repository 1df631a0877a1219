/* SPDX-License-Identifier: BSD-3-Clause */
/* Walking a session by its index, without the records. */
#include "store/store_internal.h"

struct hf_scan {
	struct hf_log *log;
	uint64_t next; /* offset */
	bool down;
	enum hf_reason reason;
	struct hf_index_reader reader;
};

static enum hf_reason scan_open(struct hf_log *log, uint64_t next, bool down, struct hf_scan **out)
{
	struct hf_scan *scan = malloc(sizeof *scan);

	*out = scan;
	if (scan == NULL)
		return HF_NO_MEMORY;
	scan->log = log;
	scan->next = next;
	scan->down = down;
	scan->reason = HF_OK;
	hf_index_reader_begin(&scan->reader);
	return HF_OK;
}

enum hf_reason hf_scan_open(struct hf_log *log, uint64_t first_offset, struct hf_scan **out)
{
	uint64_t tail = log->record.tail;

	return scan_open(log, first_offset > tail ? first_offset : tail, false, out);
}

enum hf_reason hf_scan_open_down(struct hf_log *log, uint64_t end_offset, struct hf_scan **out)
{
	uint64_t head = log->record.head;

	return scan_open(log, end_offset > head ? head : end_offset > 0 ? end_offset - 1 : 0, true, out);
}

bool hf_scan_next(struct hf_scan *scan, struct hf_ref *ref)
{
	const struct hf_chunk *chunk;

	if (scan->reason != HF_OK || scan->next > scan->log->record.head || scan->next < scan->log->record.tail)
		return false;
	scan->reason = hf_index_find(&scan->reader, scan->log, scan->next, &chunk);
	if (scan->reason != HF_OK)
		return false;
	uint64_t at = scan->next - chunk->first;
	ref->offset = scan->next;
	ref->lsn = chunk->lsns[at];
	ref->kind = (enum hf_kind)chunk->kinds[at];
	ref->size = chunk->sizes[at];
	scan->next += scan->down ? UINT64_MAX : 1;
	return true;
}

enum hf_reason hf_scan_reason(const struct hf_scan *scan)
{
	return scan->reason;
}

void hf_scan_close(struct hf_scan *scan)
{
	if (scan == NULL)
		return;
	hf_index_reader_end(&scan->reader);
	free(scan);
}
