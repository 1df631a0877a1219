/* SPDX-License-Identifier: BSD-3-Clause */
/* What else is known of a session: the types of facts in the store (hf_fact_put). They are on disk: never renumber. */
#ifndef HF_SESSION_FACTS_H
#define HF_SESSION_FACTS_H

enum hf_fact {
	HF_FACT_RESPONSE = 1, /* responses.c; name: identity, 0, id */
	HF_FACT_ID = 2,       /* repeats.c; name: identity, 0, id */
};

#endif
