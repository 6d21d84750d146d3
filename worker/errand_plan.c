/* The errands "split" and "judge": what the Orchestrator model thinks of a goal, or of
 * agents' work. Its answers are advice, checked and cut, never obeyed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/buf.h"
#include "shared/cleanup.h"
#include "shared/json.h"
#include "shared/log.h"
#include "worker/errand_parts.h"

#define FILES_BYTES (48 * 1024)	   /* of file names shown */
#define README_BYTES (16 * 1024)   /* of a README shown */
#define PATCHES_BYTES (160 * 1024) /* of all diffs shown */
#define GOAL_BYTES (64 * 1024)
#define TITLE_BYTES 300
#define WORDS_BYTES (16 * 1024) /* of a description */
#define REASONS_BYTES 4096
#define TASKS_MAX 20
#define AGENTS_MAX 50
#define TRIES 2

/* The object in a model's answer, whatever stands around it. */
static cJSON *object_in(const char *text, struct err *e)
{
	const char *from = strchr(text, '{'), *to = strrchr(text, '}');
	cJSON *j = from && to > from ? json_parse(from, (size_t)(to - from) + 1, 1024 * 1024, e)
				     : NULL;

	if (!from || to <= from)
		err_set(e, ERR_PROTOCOL, "it holds no JSON object");
	return j;
}

/* Adds a text of the model's answer, cut. */
static void add_cut(cJSON *to, const char *name, const cJSON *from, size_t max)
{
	const char *text = json_str(from, name, "");

	json_add_text(to, name, text, utf8_cut(text, strlen(text), max));
}

/* Takes what is good of the model's answer; ERR_PROTOCOL: nothing is. */
typedef int (*take_fn)(const cJSON *said, const cJSON *question, cJSON *answer, struct err *e);

/* Asks, and once more if the answer is of no use. */
static int consult(const struct paths *paths, const struct dotenv *keys, const char *model,
	const char *system, const char *user, take_fn take, const cJSON *question, cJSON *answer,
	struct err *e)
{
	struct llm_message messages[2] = {{"system", system}, {"user", user}};
	struct llm_question q = {.model = model,
		.messages = messages,
		.message_count = 2,
		.json = true,
		.deadline_ms = ERRAND_MODEL_MS / TRIES,
		.max_tries = 2};
	int64_t in = 0, out = 0, cached = 0;
	double dollars = 0;
	int done = -1;

	for (int i = 0; i < TRIES && done < 0; i++) {
		_cleanup_free_ char *text = NULL;
		_cleanup_json_ cJSON *said = NULL;
		struct llm_answer got;

		if (errand_ask(paths, keys, &q, &text, &got, e) < 0)
			return -1;
		in += got.tokens_in;
		out += got.tokens_out;
		cached += got.tokens_cached;
		dollars = dollars < 0 || got.dollars < 0 ? -1 : dollars + got.dollars;
		said = object_in(text, e);
		done = said ? take(said, question, answer, e) : -1;
	}
	if (done < 0) {
		err_wrap(e, "the answer of %s is of no use", model);
		e->kind = ERR_UNAVAILABLE;
		return -1;
	}
	json_add_str(answer, "model", model);
	json_add_int(answer, "tokens_in", in);
	json_add_int(answer, "tokens_out", out);
	json_add_int(answer, "tokens_cached", cached);
	if (dollars < 0)
		cJSON_AddNullToObject(answer, "dollars");
	else
		cJSON_AddNumberToObject(answer, "dollars", dollars);
	return 0;
}

static int take_tasks(const cJSON *said, const cJSON *question, cJSON *answer, struct err *e)
{
	int64_t most = json_int(question, "tasks", TASKS_MAX);
	const cJSON *one;
	cJSON *tasks;

	if (!cJSON_IsArray(json_get(said, "tasks")))
		return err_set(e, ERR_PROTOCOL, "it holds no list of tasks");
	tasks = cJSON_CreateArray();
	cJSON_ArrayForEach (one, json_get(said, "tasks")) {
		const char *title = json_str(one, "title", "");
		cJSON *task;

		if (!title[strspn(title, " \t\r\n")] || cJSON_GetArraySize(tasks) >= most)
			continue;
		task = cJSON_CreateObject();
		add_cut(task, "title", one, TITLE_BYTES);
		add_cut(task, "description", one, WORDS_BYTES);
		cJSON_AddItemToArray(tasks, task);
	}
	if (cJSON_GetArraySize(tasks) == 0) {
		cJSON_Delete(tasks);
		return err_set(e, ERR_PROTOCOL, "it holds no task");
	}
	cJSON_AddItemToObject(answer, "tasks", tasks);
	return 0;
}

/* Branch (256 bytes), files and README of the repository as it is now. */
static int look(const struct paths *paths, const struct dotenv *keys, const cJSON *question,
	char *branch, char **files, char **readme, struct err *e)
{
	struct workspace_auth auth = errand_auth(paths, keys);
	char mirrors[PATHS_MAX], head[41];
	struct giturl url;

	if (giturl_parse(json_str(question, "repository", ""),
		    json_bool(question, "local_repositories", false), &url, e) < 0 ||
		workspace_library_init(e) < 0 ||
		workspace_check_remote(
			&url, &auth, json_str(question, "base", ""), branch, head, e) < 0)
		return -1;
	paths_mirrors(paths, mirrors);
	if (workspace_mirror(mirrors, &url, &auth, NULL, NULL, e) < 0)
		return -1;
	return workspace_files(mirrors, &url, branch, FILES_BYTES, README_BYTES, files, readme, e);
}

int errand_split(const struct paths *paths, const cJSON *question, cJSON *answer,
	const char **field, struct err *e)
{
	static const struct json_field fields[] = {
		{.name = "repository", .type = JSON_STRING, .required = true, .max = GITURL_MAX},
		{.name = "base", .type = JSON_STRING},
		{.name = "goal",
			.type = JSON_STRING,
			.required = true,
			.min = 1,
			.max = GOAL_BYTES},
		{.name = "tasks", .type = JSON_INT, .min = 1, .max = TASKS_MAX},
		{.name = "model", .type = JSON_STRING, .required = true, .min = 1},
		{.name = "local_repositories", .type = JSON_BOOL},
	};
	_cleanup_free_ char *files = NULL, *readme = NULL;
	struct dotenv *keys;
	char branch[256];
	struct buf text;
	int done = -1;

	if (json_check(question, fields, sizeof fields / sizeof *fields, e) < 0)
		return -1;
	keys = errand_keys(paths, e);
	if (!keys)
		return -1;
	*field = "repository";
	if (look(paths, keys, question, branch, &files, &readme, e) == 0) {
		*field = NULL;
		buf_init(&text, 0);
		buf_addf(&text, "Repository: %s, branch %s\n\nFiles:\n%s\n",
			json_str(question, "repository", ""), branch, files);
		if (*readme)
			buf_addf(&text, "README:\n%s\n\n", readme);
		buf_addf(&text, "At most %lld tasks.\n\nGoal:\n%s\n",
			(long long)json_int(question, "tasks", TASKS_MAX),
			json_str(question, "goal", ""));
		log_redact(text.data);
		done = consult(paths, keys, json_str(question, "model", ""), errand_split_words,
			text.data, take_tasks, question, answer, e);
		buf_clear(&text);
	}
	dotenv_free(keys);
	return done;
}

static bool among(const cJSON *agents, int64_t id)
{
	const cJSON *agent;

	cJSON_ArrayForEach (agent, agents) {
		if (json_int(agent, "id", 0) == id)
			return true;
	}
	return false;
}

static int take_judgement(const cJSON *said, const cJSON *question, cJSON *answer, struct err *e)
{
	const cJSON *agents = json_get(question, "agents"), *one;
	int64_t winner = json_int(said, "winner", 0);
	cJSON *scores, *score;

	if (winner && !among(agents, winner))
		return err_set(e, ERR_PROTOCOL, "its winner, agent %lld, is none of them",
			(long long)winner);
	if (!winner && !cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(said, "winner")))
		return err_set(e, ERR_PROTOCOL, "it names no winner");
	scores = cJSON_CreateArray();
	cJSON_ArrayForEach (one, json_get(said, "scores")) {
		double value = json_num(one, "score", -1);

		if (!among(agents, json_int(one, "agent", 0)) || value < 0 || value > 100 ||
			cJSON_GetArraySize(scores) >= AGENTS_MAX)
			continue;
		score = cJSON_CreateObject();
		json_add_int(score, "agent", json_int(one, "agent", 0));
		cJSON_AddNumberToObject(score, "score", value);
		add_cut(score, "reasons", one, REASONS_BYTES);
		cJSON_AddItemToArray(scores, score);
	}
	if (winner)
		json_add_int(answer, "winner", winner);
	else
		cJSON_AddNullToObject(answer, "winner");
	add_cut(answer, "reasons", said, REASONS_BYTES);
	cJSON_AddItemToObject(answer, "scores", scores);
	return 0;
}

static void add_agent(struct buf *out, const cJSON *agent, size_t patch_max)
{
	const cJSON *diff = json_get(agent, "diff");
	const char *patch = json_str(diff, "patch", "");
	size_t n = utf8_cut(patch, strlen(patch), patch_max);

	buf_addf(out,
		"\n=== Agent %lld ===\nState: %s (%s)\nTests: %s\nChanged: %lld files, +%lld "
		"-%lld\nTurns: %lld, dollars: %.4f\nIts own words: %s\nDiff%s:\n",
		(long long)json_int(agent, "id", 0), json_str(agent, "state", ""),
		json_str(agent, "reason", ""), json_str(agent, "tests", "not run"),
		(long long)json_int(agent, "files", 0), (long long)json_int(agent, "added", 0),
		(long long)json_int(agent, "removed", 0), (long long)json_int(agent, "turn", 0),
		json_num(agent, "dollars", 0), json_str(agent, "progress", ""),
		n < strlen(patch) || json_bool(diff, "cut", false) ? " (cut)" : "");
	buf_add(out, patch, n);
	buf_adds(out, *patch ? "\n" : "(none)\n");
}

int errand_judge(const struct paths *paths, const cJSON *question, cJSON *answer,
	const char **field, struct err *e)
{
	static const struct json_field fields[] = {
		{.name = "model", .type = JSON_STRING, .required = true, .min = 1},
		{.name = "task", .type = JSON_OBJECT, .required = true},
		{.name = "agents",
			.type = JSON_ARRAY,
			.required = true,
			.min = 1,
			.max = AGENTS_MAX},
	};
	const cJSON *task = json_get(question, "task"), *agents = json_get(question, "agents"),
		    *one;
	size_t share = PATCHES_BYTES;
	struct dotenv *keys;
	struct buf text;
	int done;

	(void)field;
	if (json_check(question, fields, sizeof fields / sizeof *fields, e) < 0)
		return -1;
	keys = errand_keys(paths, e);
	if (!keys)
		return -1;
	share /= (size_t)cJSON_GetArraySize(agents);
	buf_init(&text, 0);
	buf_addf(&text, "Task: %s\n\n%s\n", json_str(task, "title", ""),
		json_str(task, "description", ""));
	cJSON_ArrayForEach (one, agents)
		add_agent(&text, one, share);
	log_redact(text.data);
	done = consult(paths, keys, json_str(question, "model", ""), errand_judge_words, text.data,
		take_judgement, question, answer, e);
	buf_clear(&text);
	dotenv_free(keys);
	return done;
}
