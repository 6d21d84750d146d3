/* 100x-webui: the REST interface, the event streams and the page. It owns HTTP and
 * signing in, reads the store and asks the supervisor for every change; nobody
 * else notices when it dies. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/clock.h"
#include "shared/log.h"
#include "shared/paths.h"
#include "webui/pulse.h"
#include "webui/site.h"

#define LOG_MAX (4 * 1024 * 1024) /* then it is set aside as .1 */
#define PORT_DEFAULT 5000
#define GREET_MS 1000  /* a supervisor that came after us is told within this */
#define STOP_SECONDS 3 /* then the process ends whatever a handler waits for */

struct options {
	const char *state_dir, *run_dir, *ui_dir, *bind;
	struct guard guard;
};

static const char usage[] =
	"usage: 100x-webui [options]\n"
	"\n"
	"Serves the page and the REST interface of 100x-orchestrator.\n"
	"\n"
	"  --port N            port to listen on (default 5000)\n"
	"  --bind ADDRESS      address to listen on (IPv4; default 127.0.0.1);\n"
	"                      beyond loopback only together with --behind-proxy\n"
	"  --behind-proxy      a proxy in front speaks TLS with the browser\n"
	"  --allow-host NAME   a name the page is reached by beside localhost (repeatable)\n"
	"  --state-dir DIR     where tasks.db lies\n"
	"  --run-dir DIR       where the sockets lie\n"
	"  --ui-dir DIR        the page's files\n"
	"  --version           print the version\n";

static bool loopback(const char *address)
{
	return !strncmp(address, "127.", 4);
}

static int parse_port(const char *text, int *port, struct err *e)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (!*text || *end || value < 1 || value > 65535)
		return err_set(
			e, ERR_INVALID, "--port %s: should be a number from 1 to 65535", text);
	*port = (int)value;
	return 0;
}

/* 0: go on; 1: everything is said; -1: wrong. */
static int parse_options(int argc, char **argv, struct options *o, struct err *e)
{
	static const struct option options[] = {{"port", required_argument, NULL, 'p'},
		{"bind", required_argument, NULL, 'b'}, {"behind-proxy", no_argument, NULL, 'x'},
		{"allow-host", required_argument, NULL, 'a'},
		{"state-dir", required_argument, NULL, 's'},
		{"run-dir", required_argument, NULL, 'r'}, {"ui-dir", required_argument, NULL, 'u'},
		{"version", no_argument, NULL, 'v'}, {"help", no_argument, NULL, 'h'}, {0}};
	int c;

	o->guard.port = PORT_DEFAULT;
	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c == 'p' && parse_port(optarg, &o->guard.port, e) < 0)
			return -1;
		if (c == 'a' && guard_allow(&o->guard, optarg, e) < 0)
			return -1;
		if (c == 'b')
			o->bind = strcmp(optarg, "localhost") ? optarg : "127.0.0.1";
		if (c == 'x')
			o->guard.behind_proxy = true;
		if (c == 's')
			o->state_dir = optarg;
		if (c == 'r')
			o->run_dir = optarg;
		if (c == 'u')
			o->ui_dir = optarg;
		if (c == 'v') {
			puts("100x-webui " VERSION_STRING);
			return 1;
		}
		if (c == 'h') {
			fputs(usage, stdout);
			return 1;
		}
		if (c == '?')
			return err_set(e, ERR_INVALID, "see 100x-webui --help");
	}
	if (optind < argc)
		return err_set(
			e, ERR_INVALID, "%s: not expected; see 100x-webui --help", argv[optind]);
	if (o->bind && !loopback(o->bind) && !o->guard.behind_proxy)
		return err_set(e, ERR_DENIED,
			"--bind %s would offer the page to the network without TLS: put a proxy "
			"that speaks TLS in front and add --behind-proxy --allow-host NAME, or use "
			"ssh -L %d:localhost:%d",
			o->bind, o->guard.port, o->guard.port);
	if (o->bind && loopback(o->bind)) /* 127.0.0.2 is named like this by the browser */
		return guard_allow(&o->guard, o->bind, e);
	return 0;
}

/* The page may be missing: the REST interface is useful without it. */
static struct files *load_page(const char *dir)
{
	char shipped[PATHS_MAX];
	struct err e;
	struct files *files = NULL;

	if (dir || paths_shipped("web", shipped, &e) == 0)
		files = files_load(dir ? dir : shipped, &e);
	if (!files)
		log_warn("the page is not served: %s", e.text);
	return files;
}

/* The page's URL, as the browser reaches us. */
static void base_url(const struct options *o, char *out, size_t size)
{
	const char *address = o->bind && loopback(o->bind) ? o->bind : "localhost";

	if (o->guard.behind_proxy && o->guard.count)
		snprintf(out, size, "https://%s/", o->guard.hosts[0]);
	else
		snprintf(out, size, "http://%s:%d/", address, o->guard.port);
}

static void end_now(int number)
{
	(void)number;
	_exit(0);
}

/* Until a signal says to end. */
static void wait_for_end(const sigset_t *set, const struct site *s, struct pulse *pulse)
{
	struct timespec wait;
	int64_t wait_ms;

	do {
		control_hello(s->api.control, getpid(), s->guard.port);
		wait_ms = pulse_beat(pulse, clock_now_ms());
		if (wait_ms > GREET_MS)
			wait_ms = GREET_MS;
		wait.tv_sec = wait_ms / 1000;
		wait.tv_nsec = wait_ms % 1000 * 1000000;
	} while (sigtimedwait(set, NULL, &wait) < 0);
	pulse_stopping(pulse);
}

static int serve(const struct options *o, const struct paths *p, struct err *e)
{
	struct site s = {.guard = o->guard};
	char url[PATHS_MAX];
	struct pulse pulse;
	sigset_t set;

	/* Blocked before any thread starts, so that only wait_for_end() gets them. */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGALRM, end_now);
	pulse_init(&pulse);
	snprintf(s.cookie, sizeof s.cookie, "100x_session_%d", o->guard.port);
	s.auth = auth_new(p->state_dir, e);
	s.api.store = store_new(paths_store(p, url));
	s.api.history = store_new(url);
	s.api.control = s.auth ? control_new(paths_control_url(p, url), e) : NULL;
	struct hub *hub = s.api.control ? hub_new(paths_events_url(p, url), s.api.store, e) : NULL;
	s.api.feed = hub ? feed_new(hub, s.api.store) : NULL;
	s.files = hub ? load_page(o->ui_dir) : NULL;
	const char *address = o->bind ? o->bind : "127.0.0.1";
	struct http_server *server =
		hub ? http_start(address, o->guard.port, site_handle, &s, e) : NULL;
	if (server) {
		base_url(o, url, sizeof url);
		printf("%ssign-in?token=%s\n", url, auth_token(s.auth));
		fflush(stdout);
		log_info("listening on port %d", o->guard.port);
		pulse_ready(&pulse, address, o->guard.port, url);
		wait_for_end(&set, &s, &pulse);
		alarm(STOP_SECONDS);
		hub_close(hub);
		http_stop(server);
	} else if (hub) {
		hub_close(hub);
	}
	feed_free(s.api.feed);
	hub_free(hub);
	files_free(s.files);
	control_free(s.api.control);
	store_free(s.api.store);
	store_free(s.api.history);
	auth_free(s.auth);
	return server ? 0 : -1;
}

static int limit_log(const struct paths *p)
{
	log_limit(p->state_dir, LOG_MAX);
	return 0;
}

int main(int argc, char **argv)
{
	struct options o = {0};
	struct paths p;
	struct err e;

	log_init("webui");
	int said = parse_options(argc, argv, &o, &e);
	if (said > 0)
		return 0;
	if (said < 0 || paths_init(&p, o.state_dir, o.run_dir, &e) < 0 || paths_make(&p, &e) < 0 ||
		limit_log(&p) < 0 || serve(&o, &p, &e) < 0) {
		fprintf(stderr, "100x-webui: %s\n", e.text);
		return said < 0 ? 2 : 1;
	}
	return 0;
}
