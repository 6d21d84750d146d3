/* What events say, kept in tables: turns, decisions, usage, diffs, tests, pull requests. */
#include <string.h>

#include "shared/json.h"
#include "shared/views.h"
#include "supervisor/store_sql.h"

#define SENTENCE_MAX (8 * 1024)
#define PROMPT_MAX EVENT_TEXT_MAX
#define COUNT_MAX 1e12 /* of tokens, lines, turns: more is nonsense */

struct fact {
	struct store *s;
	const cJSON *body;
	int64_t agent, event_id, at;
};

/* A text field, cut to max bytes; "" when absent. */
static const char *text(const struct fact *f, const char *name, size_t max, size_t *n)
{
	const char *value = json_str(f->body, name, "");

	*n = utf8_cut(value, strlen(value), max);
	return value;
}

static int64_t count(const struct fact *f, const char *name)
{
	double v = json_num(f->body, name, 0);

	return v > 0 && v < COUNT_MAX ? (int64_t)v : 0;
}

static int turn(const struct fact *f, struct err *e)
{
	const char *phase = json_str(f->body, "phase", "");
	const char *source, *prompt, *stop;
	size_t source_len, prompt_len, stop_len;
	double idle = json_num(f->body, "idle_ms", -1);
	bool known = idle >= 0 && idle < COUNT_MAX;

	if (strcmp(phase, "started") == 0) {
		source = text(f, "source", 64, &source_len);
		prompt = text(f, "prompt", PROMPT_MAX, &prompt_len);
		if (store_exec(f->s, e,
			    "INSERT INTO turns(agent_id,turn,source,prompt,started_at,idle_ms) "
			    "VALUES(?,?,?,?,?,?)"
			    " ON CONFLICT(agent_id,turn) DO UPDATE SET source=excluded.source,"
			    "prompt=excluded.prompt,started_at=excluded.started_at,stop_reason="
			    "NULL,"
			    "ended_at=NULL,idle_ms=excluded.idle_ms",
			    known ? "iibbid" : "iibbin", f->agent, count(f, "turn"), source,
			    source_len, prompt, prompt_len, f->at, idle) < 0)
			return -1;
	} else if (strcmp(phase, "ended") == 0) {
		stop = text(f, "stop_reason", 64, &stop_len);
		if (store_exec(f->s, e,
			    "UPDATE turns SET stop_reason=?3,ended_at=?4 WHERE agent_id=?1 AND "
			    "turn=?2",
			    "iibi", f->agent, count(f, "turn"), stop, stop_len, f->at) < 0)
			return -1;
	} else {
		return err_set(e, ERR_INVALID, "phase should be started or ended");
	}
	return store_exec(f->s, e, "UPDATE agents SET turn=max(turn,?2) WHERE id=?1", "ii",
		f->agent, count(f, "turn"));
}

static int decision(const struct fact *f, struct err *e)
{
	static const char *const names[] = {"progress", "thought", "action", "future"};
	const char *v[4];
	size_t n[4];
	int i;

	if (!json_bool(f->body, "accepted", true))
		return 0;
	for (i = 0; i < 4; i++)
		v[i] = text(f, names[i], SENTENCE_MAX, &n[i]);
	if (store_exec(f->s, e,
		    "UPDATE turns SET progress=?3,thought=?4,action=?5,future=?6"
		    " WHERE agent_id=?1 AND turn=?2",
		    "iibbbb", f->agent, count(f, "turn"), v[0], n[0], v[1], n[1], v[2], n[2], v[3],
		    n[3]) < 0)
		return -1;
	return store_exec(f->s, e,
		"UPDATE agents SET progress=?2,thought=?3,action=?4,future=?5 WHERE id=?1", "ibbbb",
		f->agent, v[0], n[0], v[1], n[1], v[2], n[2], v[3], n[3]);
}

static int usage(const struct fact *f, struct err *e)
{
	const cJSON *dollars = json_get(f->body, "dollars");
	double price = cJSON_IsNumber(dollars) && dollars->valuedouble > 0 &&
				       dollars->valuedouble < COUNT_MAX
			       ? dollars->valuedouble
			       : 0;
	size_t role_len, model_len;
	const char *role = text(f, "role", 64, &role_len);
	const char *model = text(f, "model", 256, &model_len);

	if (store_exec(f->s, e,
		    "INSERT INTO usage(agent_id,turn,role,model,tokens_in,tokens_out,tokens_cached,"
		    "dollars,at) VALUES(?,?,?,?,?,?,?,?,?)",
		    cJSON_IsNumber(dollars) ? "iibbiiidi" : "iibbiiini", f->agent, count(f, "turn"),
		    role, role_len, model, model_len, count(f, "tokens_in"), count(f, "tokens_out"),
		    count(f, "tokens_cached"), price, f->at) < 0)
		return -1;
	if (store_exec(f->s, e,
		    "INSERT INTO costs SELECT " VIEWS_DAY(
			    "?2") ",t.repository,?3,?4,1,?5,?6,?7,?8,"
				  "?8 IS NULL FROM agents a JOIN tasks t ON t.id=a.task_id WHERE "
				  "a.id=?1" VIEWS_COSTS_ADD,
		    cJSON_IsNumber(dollars) ? "iibbiiid" : "iibbiiin", f->agent, f->at, model,
		    model_len, role, role_len, count(f, "tokens_in"), count(f, "tokens_out"),
		    count(f, "tokens_cached"), price) < 0)
		return -1;
	return store_exec(f->s, e,
		"UPDATE agents SET tokens_in=tokens_in+?2,tokens_out=tokens_out+?3,"
		"dollars=dollars+?4 WHERE id=?1",
		"iiid", f->agent, count(f, "tokens_in"), count(f, "tokens_out"), price);
}

static int diff(const struct fact *f, struct err *e)
{
	if (store_exec(f->s, e, "INSERT OR REPLACE INTO diffs(agent_id,event_id) VALUES(?,?)", "ii",
		    f->agent, f->event_id) < 0)
		return -1;
	return store_exec(f->s, e, "UPDATE agents SET files=?2,added=?3,removed=?4 WHERE id=?1",
		"iiii", f->agent, (int64_t)cJSON_GetArraySize(json_get(f->body, "files")),
		count(f, "added"), count(f, "removed"));
}

static int test(const struct fact *f, struct err *e)
{
	return store_exec(f->s, e, "UPDATE agents SET tests=?2 WHERE id=?1", "is", f->agent,
		json_bool(f->body, "passed", false) ? "passed" : "failed");
}

static int pull_request(const struct fact *f, struct err *e)
{
	size_t n;
	const char *url = text(f, "url", 2048, &n);

	if (n == 0)
		return err_set(e, ERR_INVALID, "url is missing");
	return store_exec(
		f->s, e, "UPDATE agents SET pull_request=?2 WHERE id=?1", "ib", f->agent, url, n);
}

int store_project(struct store *s, int64_t agent, enum event_kind kind, const char *body, size_t n,
	int64_t event_id, int64_t at_ms, struct err *e)
{
	_cleanup_json_ cJSON *j = NULL;
	struct fact f = {.s = s, .agent = agent, .event_id = event_id, .at = at_ms};

	if (!event_kind_projected(kind) || kind == EVENT_STATE)
		return 0;
	f.body = j = json_parse(body, n, EVENT_BODY_MAX, e);
	if (!j)
		return -1;
	if (kind == EVENT_TURN)
		return turn(&f, e);
	if (kind == EVENT_DECISION)
		return decision(&f, e);
	if (kind == EVENT_USAGE)
		return usage(&f, e);
	if (kind == EVENT_DIFF)
		return diff(&f, e);
	if (kind == EVENT_TEST)
		return test(&f, e);
	return pull_request(&f, e);
}
