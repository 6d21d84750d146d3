/* Inside of errands, for errand*.c alone. */
#ifndef WORKER_ERRAND_PARTS_H
#define WORKER_ERRAND_PARTS_H

#include <cjson/cJSON.h>

#include "shared/dotenv.h"
#include "shared/err.h"
#include "shared/giturl.h"
#include "shared/paths.h"
#include "worker/llm.h"
#include "worker/workspace.h"

#define ERRAND_MODEL_MS 100000 /* for one question to a model */
#define ERRAND_TEST_MS 30000   /* the same to try whether it answers */

/* Fills answer, or e and the field of the question that is wrong (may be NULL). */
typedef int (*errand_fn)(const struct paths *paths, const cJSON *question, cJSON *answer,
	const char **field, struct err *e);

/* errand_model.c, errand_plan.c, errand_github.c */
int errand_model(const struct paths *paths, const cJSON *question, cJSON *answer,
	const char **field, struct err *e);
int errand_split(const struct paths *paths, const cJSON *question, cJSON *answer,
	const char **field, struct err *e);
int errand_judge(const struct paths *paths, const cJSON *question, cJSON *answer,
	const char **field, struct err *e);
int errand_health(const struct paths *paths, const cJSON *question, cJSON *answer,
	const char **field, struct err *e);
int errand_issues(const struct paths *paths, const cJSON *question, cJSON *answer,
	const char **field, struct err *e);

/* ~/.env of this home over the environment; the caller frees it. */
struct dotenv *errand_keys(const struct paths *paths, struct err *e);
/* keys are borrowed. */
struct workspace_auth errand_auth(const struct paths *paths, const struct dotenv *keys);

/* Asks a model and waits. *text is the caller's; answer's own text is not to be used. */
int errand_ask(const struct paths *paths, const struct dotenv *keys, const struct llm_question *q,
	char **text, struct llm_answer *answer, struct err *e);

/* Prompts (errand_words.c). */
extern const char errand_split_words[], errand_judge_words[];

#endif
