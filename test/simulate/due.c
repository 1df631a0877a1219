/* SPDX-License-Identifier: BSD-3-Clause */
#include "due.h"

#include "log.h"
#include "reader.h"

#define NO_LOCAL 0x04

bool filter_matches(const char *filter, const char *topic)
{
	for (;;) {
		if (filter[0] == '#') {
			return true;
		}
		size_t filter_len = strcspn(filter, "/"), topic_len = strcspn(topic, "/");
		bool plus = filter_len == 1 && filter[0] == '+';
		if (!plus && (filter_len != topic_len || memcmp(filter, topic, topic_len) != 0)) {
			return false;
		}
		filter += filter_len;
		topic += topic_len;
		if (!*filter || !*topic) {
			return *filter == *topic || strcmp(filter, "/#") == 0;
		}
		filter++;
		topic++;
	}
}

unsigned filters_matching(unsigned index, uint64_t lsn)
{
	const struct reader *reader = &world->readers[index];
	const struct entry *entry = &world->entries[lsn];
	unsigned matching = 0;
	char topic[100];

	if (!reads(role_of(index, entry->session))) {
		return 0;
	}
	log_topic(entry, topic, sizeof(topic));
	for (unsigned i = 0; i < FILTERS; i++) {
		const struct filter *filter = &reader->filters[i];
		bool own = (filter->options & NO_LOCAL) && entry->publisher == index;
		if (filter->used && !filter->outside && !own && filter_matches(filter->plain, topic)) {
			matching |= 1u << i;
		}
	}
	return matching;
}

bool filter_begins_before(const struct filter *filter, uint64_t lsn)
{
	const struct entry *entry = &world->entries[lsn];
	uint64_t head = 0; /* of the session, when the filter came */

	if (lsn <= filter->from || entry->offset < filter->floor) {
		return false;
	}
	if (filter->last_n == 0 || lsn > filter->last_lsn) {
		return true;
	}
	while (head < world->session_head[entry->session] &&
		   world->session_lsn[entry->session][head + 1] <= filter->last_lsn) {
		head++;
	}
	return entry->offset + filter->last_n > head;
}

/* At QoS 0 nothing tells if it was too large. Of a client that came back, the hub then believes what it knows of
 * before: rather a mark too many than none. */
static bool believed_unfit(unsigned index, uint64_t lsn)
{
	const struct reader *reader = &world->readers[index];
	unsigned asking = reader->debts[lsn].open & filters_matching(index, lsn);
	uint8_t best = 0;

	for (unsigned i = 0; i < FILTERS; i++) {
		uint8_t granted = asking & 1u << i ? (uint8_t)(reader->filters[i].options & 0x03) : 0;
		best = granted > best ? granted : best;
	}
	uint32_t max = reader->outgrown ? 0 : reader->facts.max_packet_size;
	best = best < reader->max_qos ? best : reader->max_qos;
	return best == 0 && !reader->size_known && max > 0 && world->entries[lsn].size > max;
}

bool entry_too_large(unsigned index, uint64_t lsn)
{
	const struct reader *reader = &world->readers[index];

	return reader->max_packet > 0 && world->entries[lsn].size > reader->max_packet;
}

bool entry_unfit(unsigned index, uint64_t lsn)
{
	return entry_too_large(index, lsn) || believed_unfit(index, lsn);
}

unsigned entry_must(unsigned index, uint64_t lsn)
{
	const struct debt *debt = &world->readers[index].debts[lsn];
	unsigned open = debt->either || world->entries[lsn].removed ? 0 : debt->open;

	open = open ? open & filters_matching(index, lsn) : 0;
	/* It is passed over. But the client is told. */
	return open && entry_unfit(index, lsn) && !reader_listens(index, world->entries[lsn].session, "mark") ? 0 : open;
}

unsigned entry_may(unsigned index, uint64_t lsn)
{
	const struct debt *debt = &world->readers[index].debts[lsn];

	return world->entries[lsn].removed ? 0 : (debt->open | debt->maybe) & filters_matching(index, lsn);
}
