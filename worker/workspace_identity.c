#include "worker/workspace_identity.h"

#include <stdio.h>
#include <unistd.h>

#include "worker/workspace_git.h"

#define IDENTITY_BYTES 256

static void read_one(git_config *config, const char *key, char *out)
{
	git_buf value = GIT_BUF_INIT;

	if (!out[0] && git_config_get_string_buf(&value, config, key) == 0)
		snprintf(out, IDENTITY_BYTES, "%s", value.ptr);
	git_buf_dispose(&value);
}

static void read_file(const char *home, const char *leaf, char *name, char *email)
{
	_cleanup_git_(config) git_config *config = NULL;
	char path[1200];

	snprintf(path, sizeof path, "%s/%s", home, leaf);
	if (access(path, R_OK) < 0 || git_config_open_ondisk(&config, path) < 0)
		return;
	read_one(config, "user.name", name);
	read_one(config, "user.email", email);
}

void workspace_identity(const char *home, const char *configured_name, const char *configured_email,
	const char *branch, char *name, char *email)
{
	snprintf(name, IDENTITY_BYTES, "%s", configured_name);
	snprintf(email, IDENTITY_BYTES, "%s", configured_email);
	if (!name[0] || !email[0]) {
		read_file(home, ".gitconfig", name, email);
		read_file(home, ".config/git/config", name, email);
	}
	if (!name[0])
		snprintf(name, IDENTITY_BYTES, "100x %.200s", branch);
	if (!email[0])
		snprintf(email, IDENTITY_BYTES, "%.200s@100x.invalid", branch);
}
