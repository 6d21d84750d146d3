/* What every talk with a remote has in common: libgit2's start, credentials, progress,
 * and errors in our words. The token is told to nobody but its host. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "shared/clock.h"
#include "worker/workspace_git.h"

#define PROGRESS_EVERY_MS 100

/* Where the certificates of a Debian system lie, and what libgit2 has read by itself:
 * reading them once more, by file and by folder, would cost a worker 1.4 MB. */
static const char *own_path(const char *variable, const char *usual)
{
	const char *path = getenv(variable);

	return path && *path && strcmp(path, usual) != 0 ? path : NULL;
}

int workspace_library_init(struct err *e)
{
	static const git_config_level_t levels[] = {GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_XDG,
		GIT_CONFIG_LEVEL_GLOBAL, GIT_CONFIG_LEVEL_PROGRAMDATA};
	const char *ca_file = own_path("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt");
	const char *ca_dir = own_path("SSL_CERT_DIR", "/etc/ssl/certs");
	int rc = git_libgit2_init();

	if (rc < 0)
		return workspace_git_error(e, rc, "start libgit2");
	if (workspace_memory_init(e) < 0)
		return -1;
	for (size_t i = 0; i < sizeof levels / sizeof levels[0] && rc >= 0; i++)
		rc = git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, levels[i], "");
	if (rc >= 0)
		rc = git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
	if (rc >= 0)
		rc = workspace_flush_each(true);
	if (rc >= 0 && (ca_file || ca_dir))
		rc = git_libgit2_opts(GIT_OPT_SET_SSL_CERT_LOCATIONS, ca_file, ca_dir);
	if (rc >= 0)
		rc = git_libgit2_opts(GIT_OPT_SET_USER_AGENT, "100x-orchestrator " VERSION_STRING);
	if (rc >= 0)
		rc = workspace_stream_register();
	if (rc >= 0)
		rc = workspace_filter_register();
	return rc < 0 ? workspace_git_error(e, rc, "start libgit2") : 0;
}

static enum err_kind kind_of(int code, const git_error *last)
{
	switch (code) {
	case GIT_EAUTH:
	case GIT_ECERTIFICATE: /* a person must act */
		return ERR_DENIED;
	case GIT_EUSER:
		return ERR_CANCELLED;
	case GIT_ENONFASTFORWARD:
	case GIT_EBAREREPO:
	case GIT_ECONFLICT:
	case GIT_EUNMERGED:
		return ERR_CONFLICT;
	case GIT_ENOTFOUND:
		return ERR_NOT_FOUND;
	case GIT_EINVALIDSPEC:
		return ERR_INVALID;
	default:
		break;
	}
	switch (last ? last->klass : GIT_ERROR_NONE) {
	case GIT_ERROR_HTTP:
		if (strstr(last->message, "401") || strstr(last->message, "403"))
			return ERR_DENIED;
		return strstr(last->message, "404") ? ERR_NOT_FOUND : ERR_UNAVAILABLE;
	case GIT_ERROR_NET:
	case GIT_ERROR_SSH:
	case GIT_ERROR_SSL:
		return ERR_UNAVAILABLE;
	case GIT_ERROR_INVALID:
	case GIT_ERROR_SUBMODULE:
	case GIT_ERROR_TREE:
	case GIT_ERROR_OBJECT:
		return ERR_INVALID;
	default:
		return ERR_SYS;
	}
}

int workspace_git_error(struct err *e, int code, const char *fmt, ...)
{
	const git_error *last = git_error_last();
	char doing[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(doing, sizeof doing, fmt, ap);
	va_end(ap);
	return err_set(e, kind_of(code, last), "%s: %s", doing,
		last ? last->message : "libgit2 failed without a reason");
}

int workspace_session_error(
	const struct workspace_session *s, struct err *e, int code, const char *doing)
{
	if (s->cancelled)
		return err_set(e, ERR_CANCELLED, "%s %s: called off", doing, s->url->text);
	if (s->failure.kind != ERR_NONE) {
		if (e)
			*e = s->failure;
		return err_wrap(e, "%s %s", doing, s->url->text);
	}
	workspace_git_error(e, code, "%s %s", doing, s->url->text);
	if (e && e->kind == ERR_NOT_FOUND && s->url->scheme != GITURL_LOCAL)
		err_set(e, ERR_NOT_FOUND, "%s %s: no such repository there%s", doing, s->url->text,
			s->auth && s->auth->token
				? ", or GITHUB_TOKEN has no right to see it"
				: ", or it is private: set GITHUB_TOKEN in ~/.env");
	else if (e && e->kind == ERR_DENIED && code != GIT_ECERTIFICATE && s->auth &&
		 s->auth->token)
		err_set(e, ERR_DENIED,
			"%s %s: refused: GITHUB_TOKEN (environment or ~/.env) has no right to do "
			"this",
			doing, s->url->text);
	return -1;
}

/* Host of a URL of http(s), without user and port. */
static void host_of(const char *url, char out[256])
{
	const char *from = strstr(url, "://");
	size_t n;

	out[0] = '\0';
	if (!from)
		return;
	from += 3;
	n = strcspn(from, "/?#");
	if (memrchr(from, '@', n)) {
		const char *at = memrchr(from, '@', n);

		n -= (size_t)(at + 1 - from);
		from = at + 1;
	}
	if (*from == '[')
		n = strcspn(from, "]") + 1;
	else if (memchr(from, ':', n))
		n = (size_t)((const char *)memchr(from, ':', n) - from);
	if (n < 256)
		snprintf(out, 256, "%.*s", (int)n, from);
}

static bool loopback(const char *host)
{
	return strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
	       (strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == strlen(host));
}

bool workspace_token_may_go(const char *url, const char *api, const char *token_host)
{
	char host[256], api_host[256] = "";

	host_of(url, host);
	if (!host[0])
		return false;
	if (strncmp(url, "https://", 8) != 0 && !loopback(host))
		return false;
	if (strcasecmp(host, "github.com") == 0 || strcasecmp(host, "www.github.com") == 0)
		return true;
	if (token_host && strcasecmp(host, token_host) == 0)
		return true;
	if (!api)
		api = getenv("GITHUB_API_URL");
	if (!api)
		return false;
	host_of(api, api_host);
	return strcasecmp(host, api_host) == 0 ||
	       (strncasecmp(api_host, "api.", 4) == 0 && strcasecmp(host, api_host + 4) == 0);
}

static int on_credentials(git_credential **out, const char *url, const char *user,
	unsigned int allowed, void *payload)
{
	struct workspace_session *s = payload;
	const char *token = s->auth ? s->auth->token : NULL;
	const char *host = s->url->host;

	(void)user;
	if (!(allowed & GIT_CREDENTIAL_USERPASS_PLAINTEXT)) {
		err_set(&s->failure, ERR_DENIED,
			"%s asks for a kind of credentials that is not known", host);
		return GIT_EAUTH;
	}
	if (!token) {
		err_set(&s->failure, ERR_DENIED,
			"%s asks for credentials (or there is no such repository): set "
			"GITHUB_TOKEN in "
			"~/.env, or use an ssh URL",
			host);
		return GIT_EAUTH;
	}
	if (!workspace_token_may_go(url, s->auth->api_url, s->auth->token_host)) {
		err_set(&s->failure, ERR_DENIED,
			"%s asks for credentials, but GITHUB_TOKEN is sent to GitHub alone: use an "
			"ssh "
			"URL",
			host);
		return GIT_EAUTH;
	}
	if (s->asked++ > 0) {
		err_set(&s->failure, ERR_DENIED,
			"%s refuses GITHUB_TOKEN: it is wrong, has expired or has no right to this "
			"repository; set another in ~/.env",
			host);
		return GIT_EAUTH;
	}
	return git_credential_userpass_plaintext_new(out, "x-access-token", token);
}

bool workspace_session_progress(struct workspace_session *s, int64_t done, int64_t total, bool last)
{
	int64_t now_ms = clock_now_ms();

	if (s->cancelled)
		return false;
	if (!s->progress || (!last && s->told_ms && now_ms - s->told_ms < PROGRESS_EVERY_MS))
		return true;
	s->told_ms = now_ms;
	if (!s->progress(s->progress_arg, s->what, done, total))
		s->cancelled = true;
	return !s->cancelled;
}

static int on_transfer(const git_indexer_progress *p, void *payload)
{
	return workspace_session_progress(payload, p->received_objects, p->total_objects, false)
		       ? 0
		       : GIT_EUSER;
}

static int on_push(unsigned int done, unsigned int total, size_t bytes, void *payload)
{
	(void)bytes;
	return workspace_session_progress(payload, done, total, false) ? 0 : GIT_EUSER;
}

/* The server's own remarks: of no use to us, but a chance to call it off. */
static int on_sideband(const char *text, int n, void *payload)
{
	const struct workspace_session *s = payload;

	(void)text;
	(void)n;
	return s->cancelled ? GIT_EUSER : 0;
}

enum err_kind workspace_refusal(const char *status)
{
	static const struct {
		const char *words;
		enum err_kind kind;
	} known[] = {
		{"fast-forward", ERR_CONFLICT},
		{"fetch first", ERR_CONFLICT},
		{"already exists", ERR_CONFLICT},
		{"unpacker error", ERR_UNAVAILABLE}, /* its disk is full, it was killed, … */
		{"failed to update ref", ERR_UNAVAILABLE},
		{"failed to lock", ERR_UNAVAILABLE},
		{"cannot lock ref", ERR_UNAVAILABLE},
		{"missing necessary objects", ERR_UNAVAILABLE},
		{"timeout", ERR_UNAVAILABLE},
	};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (strcasestr(status, known[i].words))
			return known[i].kind;
	return ERR_DENIED;
}

static int on_reference(const char *name, const char *status, void *payload)
{
	struct workspace_session *s = payload;

	if (!status)
		return 0;
	s->rejected = true;
	err_set(&s->failure, workspace_refusal(status), "%s was refused by the remote: %.300s",
		name, status);
	return 0;
}

void workspace_session_init(struct workspace_session *s, const struct giturl *url,
	const struct workspace_auth *auth, const char *what, workspace_progress progress, void *arg)
{
	memset(s, 0, sizeof *s);
	s->url = url;
	s->auth = auth;
	s->what = what;
	s->progress = progress;
	s->progress_arg = arg;
}

void workspace_session_callbacks(struct workspace_session *s, git_remote_callbacks *callbacks)
{
	git_remote_init_callbacks(callbacks, GIT_REMOTE_CALLBACKS_VERSION);
	callbacks->credentials = on_credentials;
	callbacks->transfer_progress = on_transfer;
	callbacks->sideband_progress = on_sideband;
	callbacks->push_transfer_progress = on_push;
	callbacks->push_update_reference = on_reference;
	if (s->url->scheme == GITURL_SSH)
		callbacks->transport = workspace_ssh_transport;
	callbacks->payload = s;
}

git_proxy_options workspace_session_proxy(const struct workspace_session *s)
{
	git_proxy_options proxy;

	git_proxy_options_init(&proxy, GIT_PROXY_OPTIONS_VERSION);
	proxy.type = s->url->scheme == GITURL_HTTPS ? GIT_PROXY_AUTO : GIT_PROXY_NONE;
	return proxy;
}
