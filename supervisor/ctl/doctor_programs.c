/* doctor: our programs, the pinned aider, git, the page's files. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "shared/json.h"
#include "supervisor/ctl/doctor.h"

#define VERSION_MAX 32

static void programs(struct doctor *d)
{
	static const char *const names[] = {
		"100x-supervisor", "100x-worker", "100x-webui", "100x-guard"};
	char path[PATHS_MAX], out[128];
	struct err e;

	for (size_t i = 0; i < 4; i++) {
		const char *argv[] = {path, "--version", NULL};

		if (paths_program(names[i], path, &e) < 0)
			doctor_find(d, FINDING_MISSING, "programs", "build them: ./scripts/setup",
				"%s", e.text);
		else if (doctor_run(argv, NULL, out, sizeof(out)) != 0)
			doctor_find(d, FINDING_MISSING, "programs",
				"a library it needs may be missing: ./scripts/setup",
				"%s does not start", path);
		else if (!strstr(out, VERSION_STRING))
			doctor_find(d, FINDING_HINT, "programs", "build all of them: make",
				"%s is of version \"%s\", 100x of " VERSION_STRING, path, out);
		else if (i == 3)
			doctor_find(d, FINDING_GOOD, "programs", "", "version " VERSION_STRING);
	}
}

/* The version pinned in the lock file: the text behind "aider-chat==". */
static int pinned(const char *adapter, char *version)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[PATHS_MAX + 32], line[512];

	snprintf(path, sizeof(path), "%s/requirements.lock", adapter);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "aider-chat==", 12) == 0) {
			snprintf(version, VERSION_MAX, "%.*s", (int)strcspn(line + 12, " ;\\\n"),
				line + 12);
			return 0;
		}
	}
	return -1;
}

/* The version installed beside an interpreter <venv>/bin/python: the name of a
 * folder, which is quicker than asking the interpreter. */
static int installed(const char *python, char *version)
{
	char lib[PATHS_MAX + 64], site[PATHS_MAX * 2];
	_cleanup_closedir_ DIR *pythons = NULL;
	struct dirent *entry;
	char *end;

	snprintf(lib, sizeof(lib), "%s", python);
	for (int up = 0; up < 2; up++) {
		end = strrchr(lib, '/');
		if (!end)
			return -1;
		*end = 0;
	}
	if (strlen(lib) + 5 >= sizeof(lib))
		return -1;
	strcat(lib, "/lib");
	pythons = opendir(lib);
	while (pythons && (entry = readdir(pythons))) {
		_cleanup_closedir_ DIR *packages = NULL;
		struct dirent *package;

		if (strncmp(entry->d_name, "python3", 7) != 0)
			continue;
		snprintf(site, sizeof(site), "%s/%s/site-packages", lib, entry->d_name);
		packages = opendir(site);
		while (packages && (package = readdir(packages))) {
			if (strncmp(package->d_name, "aider_chat-", 11) != 0)
				continue;
			end = strstr(package->d_name, ".dist-info");
			snprintf(version, VERSION_MAX, "%.*s",
				end ? (int)(end - package->d_name - 11) : 0, package->d_name + 11);
			return 0;
		}
	}
	return -1;
}

static void aider(struct doctor *d)
{
	char adapter[PATHS_MAX], python[PATHS_MAX], setup[PATHS_MAX], mend[PATHS_MAX + 32];
	char want[VERSION_MAX], have[VERSION_MAX];
	struct err e;

	if (paths_shipped("aider", adapter, &e) < 0) {
		doctor_find(d, FINDING_MISSING, "aider", "run it from its source or `make install`",
			"%s", e.text);
		return;
	}
	snprintf(mend, sizeof(mend), "install the pinned one: %s", paths_setup_aider(setup));
	if (access(paths_aider_python(&d->ctl->paths, python), X_OK) != 0)
		doctor_find(d, FINDING_MISSING, "aider", mend, "no interpreter at %s", python);
	else if (installed(python, have) < 0)
		doctor_find(d, FINDING_MISSING, "aider", mend, "not installed beside %s", python);
	else if (pinned(adapter, want) < 0)
		doctor_find(
			d, FINDING_HINT, "aider", "", "version %s; %s pins none", have, adapter);
	else if (strcmp(have, want) != 0)
		doctor_find(d, FINDING_MISSING, "aider", mend,
			"version %s is installed, %s is needed", have, want);
	else
		doctor_find(d, FINDING_GOOD, "aider", "", "version %s", have);
}

static void git(struct doctor *d)
{
	const char *version[] = {"git", "--version", NULL};
	const char *name[] = {"git", "config", "--get", "user.name", NULL};
	const char *email[] = {"git", "config", "--get", "user.email", NULL};
	char out[256], mail[256];
	_cleanup_json_ cJSON *config = NULL;
	struct err e;

	if (doctor_run(version, NULL, out, sizeof(out)) != 0) {
		doctor_find(d, FINDING_MISSING, "git", "sudo apt-get install git",
			"git is not in PATH");
		return;
	}
	doctor_find(d, FINDING_GOOD, "git", "", "%s", out);
	if (ctl_running(d->ctl))
		ctl_ask(d->ctl, "config.get", NULL, CTL_ASK_MS, &config, &e);
	if (*json_str(json_get(config, "general"), "git_name", "") &&
		*json_str(json_get(config, "general"), "git_email", ""))
		doctor_find(d, FINDING_GOOD, "git identity", "", "from the configuration");
	else if (doctor_run(name, NULL, out, sizeof(out)) != 0 || !*out ||
		 doctor_run(email, NULL, mail, sizeof(mail)) != 0 || !*mail)
		doctor_find(d, FINDING_HINT, "git identity",
			"git config --global user.name 'Your Name'; git config --global user.email "
			"you@example.org",
			"user.name or user.email is not set: commits are signed by 100x");
	else
		doctor_find(d, FINDING_GOOD, "git identity", "", "%s <%s>", out, mail);
}

static void page(struct doctor *d)
{
	char path[PATHS_MAX], index[PATHS_MAX + 16];
	struct err e;

	if (paths_shipped("web", path, &e) == 0) {
		snprintf(index, sizeof(index), "%s/index.html", path);
		if (access(index, R_OK) == 0) {
			_cleanup_free_ char *real = realpath(path, NULL);

			doctor_find(d, FINDING_GOOD, "page", "", "%s", real ? real : path);
			return;
		}
	}
	doctor_find(d, FINDING_MISSING, "page", "build it: ./scripts/setup",
		"the page's files are not there");
}

void doctor_programs(struct doctor *d)
{
	programs(d);
	aider(d);
	git(d);
	page(d);
}
