/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who got an entry. Receipts say who was sent it; who was not, but should have been, follows from what devices asked
 * for: their subscriptions when it was published, the roles in force then, and what they did afterwards.
 */
#include "query/readers.h"

#include <stdlib.h>
#include <uthash.h>

#include "codec/filter.h"
#include "codec/roles.h"
#include "query/query_internal.h"

static const struct {
	const char *name, *words;
} fates[] = {
#define FATE(id, name, words) [HF_FATE_##id] = {name, words},
	HF_FATE_TABLE(FATE)
#undef FATE
};

const char *hf_fate_name(enum hf_fate fate)
{
	return (unsigned int)fate < HF_FATE_COUNT ? fates[fate].name : "";
}

const char *hf_fate_words(enum hf_fate fate)
{
	return (unsigned int)fate < HF_FATE_COUNT ? fates[fate].words : "";
}

#define ROOT_MAX 256

/* A device that was sent it, or was subscribed to it. Its key: device, 0x00, identity. */
struct person {
	UT_hash_handle hh;
	struct hf_entry_reader reader; /* identity and device point into the key */
	char *address;
	bool sent;           /* there are receipts */
	struct wish *wishes; /* its filters that match */
	bool kept;           /* the broker keeps its session */
	uint64_t subscribed; /* seq of the last record that made one */
	bool own;            /* published it, and asked not to be sent its own */
	size_t key_len;
	char key[];
};

/* A filter in force. */
struct wish {
	struct wish *next;
	char plain[];
};

/* A start of the broker. */
struct start {
	uint64_t seq;
	int64_t time_ms;
};

struct search {
	struct hf_store *store;
	const struct hf_entry *entry;
	struct person *people;
	struct hf_buffer key;     /* scratch */
	struct hf_access *access; /* the roles in force at the time of the entry */
	enum hf_role anonymous;
	char root[ROOT_MAX + 1];
	struct start *starts;
	size_t start_count, start_size;
	enum hf_reason reason;
};

/* ---- people */

static struct person *person_of(struct search *search, const struct hf_audit *record)
{
	struct hf_buffer *key = &search->key;
	struct person *person;

	hf_buffer_clear(key);
	if (!hf_put_pair(key, record->device, record->identity)) {
		return NULL;
	}
	HASH_FIND(hh, search->people, key->data, key->len, person);
	if (!person) {
		person = calloc(1, sizeof(*person) + key->len);
		if (person) {
			memcpy(person->key, key->data, key->len);
			person->key_len = key->len;
			person->reader.device = hf_slice_from(person->key, record->device.len);
			person->reader.identity = hf_slice_from(person->key + record->device.len + 1, record->identity.len);
			HASH_ADD(hh, search->people, key, person->key_len, person);
		}
	}
	return person;
}

/* Its address, as it was last. False: no memory. */
static bool note_address(struct person *person, struct hf_slice address)
{
	char *copy = strndup(address.data, address.len);

	if (copy) {
		free(person->address);
		person->address = copy;
		person->reader.address = hf_slice_of(copy);
	}
	return copy;
}

static void drop_wishes(struct person *person, const char *plain)
{
	for (struct wish **at = &person->wishes; *at;) {
		struct wish *wish = *at;
		if (plain && strcmp(wish->plain, plain) != 0) {
			at = &wish->next;
		} else {
			*at = wish->next;
			free(wish);
		}
	}
}

static void people_free(struct search *search)
{
	struct person *person, *next;

	HASH_ITER(hh, search->people, person, next)
	{
		HASH_DEL(search->people, person);
		drop_wishes(person, NULL);
		free(person->address);
		free(person);
	}
	hf_buffer_free(&search->key);
}

/* ---- who was sent it */

static enum hf_fate fate_of(enum hf_receipt_state state)
{
	switch (state) {
	case HF_RECEIPT_ACKNOWLEDGED:
	case HF_RECEIPT_LATER:
		return HF_FATE_ACKNOWLEDGED;
	case HF_RECEIPT_REJECTED:
		return HF_FATE_REJECTED;
	case HF_RECEIPT_UNACKNOWLEDGED:
		return HF_FATE_UNACKNOWLEDGED;
	case HF_RECEIPT_ANSWERED:
		return HF_FATE_ANSWERED;
	case HF_RECEIPT_TOO_LARGE:
		return HF_FATE_TOO_LARGE;
	case HF_RECEIPT_GONE:
		return HF_FATE_GONE;
	case HF_RECEIPT_SENT:
		break;
	}
	return HF_FATE_SENT;
}

static bool take_receipt(struct search *search, const struct hf_item *item)
{
	const struct hf_device_receipt *receipt = &item->receipt;
	enum hf_fate fate = fate_of(receipt->state);
	struct person *person = person_of(search, &item->record);

	if (!person || !note_address(person, item->record.address)) {
		return false;
	}
	struct hf_entry_reader *reader = &person->reader;
	if (receipt->state != HF_RECEIPT_LATER) {
		reader->sent_ms = reader->sent_ms ? reader->sent_ms : receipt->sent_ms;
		reader->times += fate < HF_FATE_TOO_LARGE;
	}
	/* The best of them counts: fates are in that order. */
	if (!person->sent || fate < reader->fate) {
		reader->fate = fate;
		reader->settled_ms =
			fate == HF_FATE_ACKNOWLEDGED || fate == HF_FATE_REJECTED ? receipt->sent_ms + receipt->took_ms : 0;
	}
	person->sent = true;
	return true;
}

/* ---- who was subscribed to it */

static bool matches(const struct search *search, const struct hf_filter *filter)
{
	const struct hf_entry *entry = search->entry;
	char text[HF_TOPIC_MAX + 1];
	struct hf_topic topic;
	size_t root = strlen(search->root), len = root + 1 + entry->session.len + 1 + entry->topic.len;

	if (len > HF_TOPIC_MAX) {
		return false;
	}
	memcpy(text, search->root, root);
	text[root] = '/';
	memcpy(text + root + 1, entry->session.data, entry->session.len);
	text[root + 1 + entry->session.len] = '/';
	memcpy(text + root + 2 + entry->session.len, entry->topic.data, entry->topic.len);
	text[len] = '\0';
	return hf_topic_parse(search->root, text, &topic) == HF_OK && hf_filter_matches(filter, &topic);
}

static bool has(struct hf_slice text, const char *part)
{
	return memmem(text.data, text.len, part, strlen(part));
}

/* A subscription, or the end of one. */
static bool take_wish(struct search *search, const struct hf_audit *record)
{
	char filter_text[HF_TOPIC_MAX + ROOT_MAX + 64];
	struct hf_filter filter;

	if (record->topic.len == 0 || record->topic.len >= sizeof(filter_text)) {
		return true;
	}
	memcpy(filter_text, record->topic.data, record->topic.len);
	filter_text[record->topic.len] = '\0';
	if (hf_filter_parse(search->root, filter_text, &filter) != HF_OK || filter.group.len > 0 ||
		!matches(search, &filter)) {
		return true;
	}
	struct person *person = person_of(search, record);
	struct wish *wish = calloc(1, sizeof(*wish) + filter.plain.len + 1);
	if (!person || !wish || !note_address(person, record->address)) {
		free(wish);
		return false;
	}
	memcpy(wish->plain, filter.plain.data, filter.plain.len);
	drop_wishes(person, wish->plain);
	if (record->kind == HF_AUDIT_UNSUBSCRIBED) {
		free(wish);
		return true;
	}
	wish->next = person->wishes;
	person->wishes = wish;
	person->subscribed = record->seq;
	person->kept = has(record->detail, HF_AUDIT_KEPT);
	person->own = has(record->detail, HF_AUDIT_NO_LOCAL) && hf_slice_equal(record->device, search->entry->device);
	return true;
}

static void take_roles(struct search *search, const struct hf_audit *record)
{
	struct hf_access *access;

	if (hf_access_parse(record->text, &access) == HF_OK) {
		hf_access_free(search->access);
		search->access = access;
		search->anonymous = hf_role_parse(record->reason);
	}
}

static bool take_start(struct search *search, const struct hf_audit *record, bool before)
{
	if (search->start_count == search->start_size) {
		size_t size = search->start_size ? 2 * search->start_size : 16;
		struct start *starts = realloc(search->starts, size * sizeof(*starts));
		if (!starts) {
			return false;
		}
		search->starts = starts;
		search->start_size = size;
	}
	search->starts[search->start_count++] = (struct start){.seq = record->seq, .time_ms = record->time_ms};
	if (before && record->topic.len > 0 && record->topic.len <= ROOT_MAX) {
		memcpy(search->root, record->topic.data, record->topic.len);
		search->root[record->topic.len] = '\0';
	}
	return true;
}

/* Records of subscriptions to the session, and of those to all of them. */
static bool take_note(void *context, const struct hf_audit *record)
{
	struct search *search = context;
	bool taken = true, before = record->time_ms <= search->entry->time_ms;

	if (record->kind == HF_AUDIT_STARTED) {
		taken = take_start(search, record, before);
	} else if (before && record->kind == HF_AUDIT_ROLES) {
		take_roles(search, record);
	} else if (before) {
		taken = take_wish(search, record);
	}
	if (!taken) {
		search->reason = HF_NO_MEMORY;
	}
	return taken;
}

/* ---- what they did then */

struct life {
	const struct hf_entry *entry;
	const struct start *start, *starts_end; /* those that are still to come */
	bool kept;
	bool online;           /* when the entry was published */
	bool over;             /* its subscription had ended by then */
	bool back, left, gone; /* afterwards: it connected; gave the subscription up; its connection ended */
};

/* Its connection has ended, and where nothing of it was kept, its subscription. */
static void end_connection(struct life *life, bool before, bool kept)
{
	if (before) {
		life->online = false;
		life->over = life->over || !kept;
	} else {
		life->gone = true;
		life->left = life->left || !kept;
	}
}

/* Starts of the broker with a lower seq: nobody had said goodbye. */
static void pass_starts(struct life *life, uint64_t seq)
{
	for (; life->start < life->starts_end && life->start->seq < seq; life->start++) {
		end_connection(life, life->start->time_ms <= life->entry->time_ms, life->kept);
	}
}

static bool take_life(void *context, const struct hf_audit *record)
{
	struct life *life = context;
	bool before = record->time_ms <= life->entry->time_ms;

	pass_starts(life, record->seq);
	switch (record->kind) {
	case HF_AUDIT_DISCONNECTED:
		end_connection(life, before, hf_slice_is(record->detail, HF_AUDIT_KEPT));
		break;
	case HF_AUDIT_CONNECTED:
		if (hf_slice_is(record->detail, HF_AUDIT_CLEAN)) {
			end_connection(life, before, false);
		}
		life->online = before || life->online;
		life->back = life->back || !before;
		life->gone = life->gone && before;
		break;
	case HF_AUDIT_UNSUBSCRIBED:
		life->over = life->over || (before && record->topic.len == 0);
		life->left = life->left || !before;
		break;
	default:
		break;
	}
	return !life->over;
}

static bool may_read(const struct search *search, struct hf_slice identity)
{
	if (!search->access) {
		return true; /* nothing says otherwise */
	}
	return hf_role_may_read(
		identity.len > 0 ? hf_access_role(search->access, identity, search->entry->session) : search->anonymous);
}

/* Why was it not sent it? False: it was not to be. */
static bool find_fate(struct search *search, struct person *person)
{
	struct life life = {
		.entry = search->entry,
		.start = search->starts,
		.starts_end = search->starts + search->start_count,
		.kept = person->kept,
		.online = true,
	};

	if (!person->wishes || person->own) {
		return false;
	}
	while (life.start < life.starts_end && life.start->seq < person->subscribed) {
		life.start++;
	}
	search->reason =
		hf_notes_each(search->store, HF_NOTES_DEVICE, person->reader.device, person->subscribed, take_life, &life);
	pass_starts(&life, UINT64_MAX);
	if (search->reason != HF_OK || life.over) {
		return false;
	}
	if (!may_read(search, person->reader.identity)) {
		person->reader.fate = HF_FATE_WITHHELD;
	} else if (life.left) {
		person->reader.fate = HF_FATE_LEFT;
	} else if ((!life.online && !life.back) || life.gone) {
		person->reader.fate = HF_FATE_OFFLINE;
	} else {
		person->reader.fate = HF_FATE_WAITING;
	}
	return true;
}

/* ---- the answer */

static int compare(const void *a, const void *b)
{
	const struct hf_entry_reader *one = a, *other = b;
	int order = (one->sent_ms == 0) - (other->sent_ms == 0);

	if (order == 0) {
		order = (one->sent_ms > other->sent_ms) - (one->sent_ms < other->sent_ms);
	}
	if (order == 0) {
		size_t len = one->device.len < other->device.len ? one->device.len : other->device.len;
		order = memcmp(one->device.data, other->device.data, len);
		order = order ? order : (one->device.len > other->device.len) - (one->device.len < other->device.len);
	}
	return order;
}

static bool copy_text(struct hf_buffer *texts, struct hf_slice *text)
{
	struct hf_slice copy = hf_slice_from(texts->data + texts->len, text->len);

	/* There is room: nothing moves. */
	bool copied = hf_buffer_append(texts, text->data, text->len);
	*text = copy;
	return copied;
}

static enum hf_reason make_answer(struct search *search, struct hf_entry_readers *out)
{
	struct person *person;
	size_t texts = 1, people = 0;

	for (person = search->people; person; person = person->hh.next) {
		texts += person->reader.identity.len + person->reader.device.len + person->reader.address.len;
		people++;
	}
	out->array = calloc(people + 1, sizeof(*out->array));
	if (!out->array || !hf_buffer_reserve(&out->texts, texts)) {
		return HF_NO_MEMORY;
	}
	for (person = search->people; person; person = person->hh.next) {
		if (!person->sent && !find_fate(search, person)) {
			if (search->reason != HF_OK) {
				return search->reason;
			}
			continue;
		}
		struct hf_entry_reader *reader = &out->array[out->count++];
		*reader = person->reader;
		if (!copy_text(&out->texts, &reader->identity) || !copy_text(&out->texts, &reader->device) ||
			!copy_text(&out->texts, &reader->address)) {
			return HF_NO_MEMORY;
		}
	}
	qsort(out->array, out->count, sizeof(*out->array), compare);
	return search->reason;
}

/* The entry, and those who were sent it. */
static enum hf_reason read_receipts(struct search *search, struct hf_entry_readers *out, bool *found)
{
	struct hf_cursor *receipts;
	struct hf_item item;
	bool more = true;
	struct hf_query query = hf_query_any();

	query.session = search->entry->session;
	query.offset = search->entry->offset;
	(void)hf_query_add_kind(&query, hf_slice_of("published"));
	enum hf_reason reason = hf_query_open(search->store, &query, HF_SLICE_NONE, &out->cursor);
	if (reason == HF_OK) {
		reason = hf_query_next(out->cursor, &out->entry, found);
	}
	if (reason != HF_OK || !*found) {
		return reason;
	}
	search->entry = &out->entry.entry;
	query.entry_kinds = 0;
	(void)hf_query_add_kind(&query, hf_slice_of("delivered"));
	reason = hf_query_open(search->store, &query, HF_SLICE_NONE, &receipts);
	while (reason == HF_OK && more) {
		reason = hf_query_next(receipts, &item, &more);
		if (reason == HF_OK && more && !take_receipt(search, &item)) {
			reason = HF_NO_MEMORY;
		}
	}
	hf_query_close(receipts);
	return reason;
}

enum hf_reason hf_entry_readers(
	struct hf_store *store, struct hf_slice session, uint64_t offset, struct hf_entry_readers *out, bool *found)
{
	struct hf_entry asked = {.session = session, .offset = offset};
	struct search search = {.store = store, .entry = &asked, .root = "sessions"};

	*out = (struct hf_entry_readers){.count = 0};
	*found = false;
	enum hf_reason reason = read_receipts(&search, out, found);
	if (reason == HF_OK && *found) {
		reason = hf_notes_each(store, HF_NOTES_SESSION, HF_SLICE_NONE, 0, take_note, &search);
	}
	if (reason == HF_OK && *found) {
		reason = hf_notes_each(store, HF_NOTES_SESSION, session, 0, take_note, &search);
	}
	if (reason == HF_OK) {
		reason = search.reason;
	}
	if (reason == HF_OK && *found) {
		reason = make_answer(&search, out);
	}
	people_free(&search);
	free(search.starts);
	hf_access_free(search.access);
	return reason;
}

void hf_entry_readers_free(struct hf_entry_readers *readers)
{
	hf_query_close(readers->cursor);
	free(readers->array);
	hf_buffer_free(&readers->texts);
	*readers = (struct hf_entry_readers){.count = 0};
}
