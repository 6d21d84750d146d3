/* What an agent tells with session/update, in our words. The published schema
 * (https://agentclientprotocol.com, version 1) and our extensions under
 * _meta["100x"] (docs/protocol.md, section 5). Unknown updates are skipped. Pure. */
#ifndef WORKER_ACP_UPDATE_H
#define WORKER_ACP_UPDATE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "shared/err.h"

enum acp_update_kind {
	ACP_TEXT,    /* agent_message_chunk */
	ACP_THOUGHT, /* agent_thought_chunk */
	ACP_LOG,     /* agent_thought_chunk of the adapter's own notices */
	ACP_TOOL,    /* tool_call, tool_call_update */
	ACP_COMMIT,  /* tool_call with our commit extension */
	ACP_USAGE,   /* usage_update */
	ACP_PLAN,    /* plan: shown as thought */
	ACP_OTHER,   /* nothing we show */
};

struct acp_usage {
	bool exact; /* for one call of a model, by our extension */
	const char *model;
	int64_t tokens_in, tokens_out, tokens_cached;
	double dollars;	   /* < 0: unknown */
	double cost_total; /* running sum in USD told by agents without the extension; < 0: none */
};

/* Pointers borrow from the message. */
struct acp_update {
	enum acp_update_kind kind;
	const char *text;
	const cJSON *tool;   /* the update object */
	const cJSON *commit; /* hash, message, author */
	struct acp_usage usage;
};

/* params of a session/update. ERR_PROTOCOL: not of that shape. */
int acp_update_parse(const cJSON *params, struct acp_update *u, struct err *e);

/* usage of a prompt's result (input/output/cached tokens of the turn). False: none there. */
bool acp_usage_of_result(const cJSON *result, struct acp_usage *usage);

/* Our extension object of a message, or NULL. */
const cJSON *acp_extension(const cJSON *j);

#endif
