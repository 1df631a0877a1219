/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bytes of an index chunk: where a run of entries of one session stand in the log.
 *
 *     key      session id | 0x00 | offset of the first entry, u64 big-endian
 *
 *     value    0  u16  count of entries, 1 to HF_CHUNK_MAX          (integers little-endian)
 *              2  i64  time of the first entry, Unix ms
 *             10  i64  time of the last entry
 *             18  u64  LSN of the first entry
 *             26       count x u8: the kinds (enum hf_kind)
 *                      count - 1 varints: from each LSN to the next, 1 or more
 *                      count varints: the sizes of the records
 *
 * A session that has the broker to itself costs 4 bytes an entry, one among hundreds 5 (varints: codec/varint.h). An
 * offset's place in the run is its difference to the first. Times inside the run are in the records: only a search
 * for a time needs them.
 */
#include <assert.h>

#include "codec/varint.h"
#include "store/store_internal.h"

#define HEADER_SIZE 26

size_t hf_index_key(struct hf_slice session, uint64_t offset, char *out)
{
	assert(session.len <= HF_SESSION_ID_MAX);
	memcpy(out, session.data, session.len);
	out[session.len] = 0;
	hf_put_be64(out + session.len + 1, offset);
	return session.len + 1 + 8;
}

enum hf_reason hf_chunk_encode(const struct hf_chunk *chunk, struct hf_buffer *out)
{
	unsigned char *at;

	assert(chunk->count >= 1 && chunk->count <= HF_CHUNK_MAX);
	unsigned char *begin = hf_buffer_reserve(out, HEADER_SIZE + chunk->count * (1 + 2 * HF_VARINT_MAX));
	if (begin == NULL)
		return HF_NO_MEMORY;
	begin[0] = (unsigned char)chunk->count;
	begin[1] = (unsigned char)(chunk->count >> 8);
	hf_put_le64(begin + 2, (uint64_t)chunk->first_ms);
	hf_put_le64(begin + 10, (uint64_t)chunk->last_ms);
	hf_put_le64(begin + 18, chunk->lsns[0]);
	memcpy(begin + HEADER_SIZE, chunk->kinds, chunk->count);
	at = begin + HEADER_SIZE + chunk->count;
	for (uint32_t i = 1; i < chunk->count; i++) {
		assert(chunk->lsns[i] > chunk->lsns[i - 1]);
		at = hf_varint_put(at, chunk->lsns[i] - chunk->lsns[i - 1]);
	}
	for (uint32_t i = 0; i < chunk->count; i++)
		at = hf_varint_put(at, chunk->sizes[i]);
	out->len += (size_t)(at - begin);
	return HF_OK;
}

bool hf_chunk_decode(struct hf_slice value, struct hf_chunk *out)
{
	const unsigned char *at = (const unsigned char *)value.data;
	const unsigned char *end = at + value.len;

	if (value.len < HEADER_SIZE)
		return false;
	out->count = (uint32_t)at[0] | (uint32_t)at[1] << 8;
	if (out->count == 0 || out->count > HF_CHUNK_MAX || value.len - HEADER_SIZE < out->count)
		return false;
	out->first_ms = (int64_t)hf_get_le64(at + 2);
	out->last_ms = (int64_t)hf_get_le64(at + 10);
	out->lsns[0] = hf_get_le64(at + 18);
	memcpy(out->kinds, at + HEADER_SIZE, out->count);
	at += HEADER_SIZE + out->count;
	for (uint32_t i = 1; i < out->count; i++) {
		uint64_t step;
		at = hf_varint_get(at, end, &step);
		if (at == NULL || step == 0 || step > UINT64_MAX - out->lsns[i - 1])
			return false;
		out->lsns[i] = out->lsns[i - 1] + step;
	}
	for (uint32_t i = 0; i < out->count; i++) {
		uint64_t size = 0;
		at = at != NULL ? hf_varint_get(at, end, &size) : NULL;
		if (at == NULL || size > UINT32_MAX)
			return false;
		out->sizes[i] = (uint32_t)size;
	}
	return at == end;
}
