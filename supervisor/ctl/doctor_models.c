/* doctor: keys of the configured models, GitHub's token. */
#include <stdio.h>
#include <string.h>

#include "shared/json.h"
#include "shared/model.h"
#include "supervisor/ctl/doctor.h"

static const char *key(void *arg, const char *name)
{
	return dotenv_get(arg, name);
}

static void model(struct doctor *d, const char *role, const char *text)
{
	char url[1024], mend[512], subject[32];
	const char *value = NULL;
	struct model m;
	struct err e;

	snprintf(subject, sizeof(subject), "%s", role);
	if (model_parse(text, &m, &e) < 0) {
		doctor_find(d, FINDING_MISSING, subject,
			"choose another: Settings → Models, or `100x config set models.…=…`", "%s",
			e.text);
		return;
	}
	if (model_endpoint(&m, key, d->keys, url, sizeof(url), &value, &e) < 0) {
		snprintf(mend, sizeof(mend),
			"put %s=… into ~/.env, or choose another: `100x config set models.%s=…`",
			m.provider->key_variable && e.kind == ERR_DENIED
				? m.provider->key_variable
				: m.provider->base_variable,
			role);
		if (e.kind == ERR_DENIED)
			doctor_find(d, FINDING_MISSING, subject, mend, "%s: %s is not set", text,
				m.provider->key_variable);
		else
			doctor_find(d, FINDING_MISSING, subject, mend, "%s", e.text);
		return;
	}
	if (value)
		doctor_find(d, FINDING_GOOD, subject, "", "%s, key in %s", text,
			m.provider->key_variable ? m.provider->key_variable : "the environment");
	else
		doctor_find(d, FINDING_GOOD, subject, "", "%s, needs no key", text);
}

static void models(struct doctor *d)
{
	static const char *const roles[] = {"orchestrator", "agent", "aider"};
	_cleanup_json_ cJSON *config = NULL;
	struct err e;

	if (!ctl_running(d->ctl))
		doctor_find(d, FINDING_HINT, "supervisor", "start it: `100x up`",
			"does not run, so the default models are looked at");
	else if (ctl_ask(d->ctl, "config.get", NULL, CTL_ASK_MS, &config, &e) < 0)
		doctor_find(d, FINDING_MISSING, "supervisor", "", "%s", e.text);
	for (size_t i = 0; i < 3; i++)
		model(d, roles[i], json_str(json_get(config, "models"), roles[i], MODEL_DEFAULT));
}

static void token(struct doctor *d)
{
	static const char *const mend =
		"put GITHUB_TOKEN=… into ~/.env (scope repo, or contents and pull requests: write)";
	const char *argv[] = {NULL, "--errand", "github", NULL};
	_cleanup_json_ cJSON *answer = NULL;
	char worker[PATHS_MAX], out[4096];
	const char *scopes;
	struct err e;

	if (!dotenv_get(d->keys, "GITHUB_TOKEN")) {
		doctor_find(d, FINDING_HINT, "github", mend,
			"no GITHUB_TOKEN: agents end with a branch, without a pull request");
		return;
	}
	if (paths_program("100x-worker", worker, &e) == 0) {
		argv[0] = worker;
		doctor_run(argv, "{}\n", out, sizeof(out));
		answer = json_parse(out, strlen(out), sizeof(out), &e);
	}
	if (!json_bool(answer, "ok", false)) {
		bool refused = strcmp(json_str(answer, "kind", ""), "denied") == 0;

		doctor_find(d, refused ? FINDING_MISSING : FINDING_HINT, "github",
			refused ? mend : "", "GITHUB_TOKEN is set; %s",
			json_str(answer, "error", "it could not be tried"));
		return;
	}
	scopes = json_str(answer, "scopes", "");
	if (*scopes && !strstr(scopes, "repo"))
		doctor_find(d, FINDING_MISSING, "github", mend, "GITHUB_TOKEN of %s has only: %s",
			json_str(answer, "login", "?"), scopes);
	else
		doctor_find(d, FINDING_GOOD, "github", "", "GITHUB_TOKEN of %s, %s",
			json_str(answer, "login", "?"), *scopes ? scopes : "fine-grained");
}

void doctor_models(struct doctor *d)
{
	models(d);
	token(d);
}
