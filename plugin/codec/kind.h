/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of topics that topics and filters are read by. Internal to the codec; others use topic.h. */
#ifndef HF_CODEC_KIND_H
#define HF_CODEC_KIND_H

#include "codec/topic.h"

/* What may follow the name of a kind. */
enum hf_kind_shape {
	HF_SHAPE_NONE, /* no such kind */
	HF_SHAPE_NAME, /* nothing */
	HF_SHAPE_KEY,  /* one level, not empty */
	HF_SHAPE_TAIL, /* at least one byte, any number of levels */
};

struct hf_kind_info {
	const char *name;
	size_t len;
	enum hf_kind_shape shape;
};

extern const struct hf_kind_info hf_kind_table[HF_KIND_COUNT];

#endif
