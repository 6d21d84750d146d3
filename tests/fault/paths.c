/* The main paths, each with the n-th call of one kind failing, for every n until nothing
 * fails any more:  paths PATH CALL [FROM STEP | N FOLDER]  (run with libfault.so preloaded; a
 * repository to clone is named by FAULT_REPOSITORY; FROM STEP: every STEP-th n from FROM;
 * N FOLDER: this one alone). Each n runs in a child of its own and must end in success or in an
 * error with a text; what was promised before must still be there, with no descriptor and no
 * memory left over. Exhausted memory may also end the process as err_out_of_memory() does; what
 * was promised is then looked for by another. Prints a line; exit code 1 if any n was bad. */
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/child.h"
#include "shared/cleanup.h"
#include "shared/event.h"
#include "shared/giturl.h"
#include "shared/log.h"
#include "shared/spool.h"
#include "supervisor/store.h"
#include "supervisor/store_backup.h"
#include "worker/session.h"
#include "worker/workspace.h"

#define FOLDER "/dev/shm/100x-fault-XXXXXX" /* a disk takes longer than all the rest */
#define CALLS_MAX 200000
#define CHILD_SECONDS 60 /* then it hangs */
#define DAMAGE "this is no database"
#define BODY "{\"text\":\"a line of output\\n\"}"

static void (*arm)(const char *call, long nth);
static bool (*disarm)(void);
static long (*living)(void);

/* What a path has been promised, for its check. Shared with the children. */
static int64_t *promised;

/* --- spool --- */

static int spool_path(const char *dir, struct err *e)
{
	struct spool *s = spool_open(dir, 7, 0, e);
	int64_t seq;
	int done = 0;

	for (int i = 0; s && done == 0 && i < 3; i++) {
		done = spool_append(s, EVENT_OUTPUT, BODY, strlen(BODY), &seq, e);
		if (done == 0)
			*promised = seq;
	}
	if (s && done == 0)
		done = spool_acknowledge(s, 1, e);
	spool_free(s);
	return s ? done : -1;
}

static const char *spool_check(const char *dir)
{
	struct err e;
	struct spool *s = spool_open(dir, 7, 0, &e);
	const char *frame;
	size_t n;

	if (!s)
		return "it does not open again";
	if (spool_last(s) < *promised)
		return "an event is gone";
	for (int64_t seq = spool_acknowledged(s) + 1; seq <= *promised; seq++) {
		if (spool_read(s, seq, &frame, &n, &e) < 0 || !strstr(frame, BODY + 1))
			return "an event is not what it was";
	}
	spool_free(s);
	return NULL;
}

/* --- store --- */

static int commit_event(struct store *s, bool durable, struct err *e)
{
	int64_t at = 1700000000000, id;

	if (store_begin(s, durable, e) < 0)
		return -1;
	if (store_event_add(s, "task", 1, 0, "created", at, BODY, strlen(BODY), &id, e) < 0) {
		store_rollback(s);
		return -1;
	}
	if (store_commit(s, e) < 0)
		return -1;
	++*promised;
	return 0;
}

static int store_path(const char *dir, struct err *e)
{
	char path[512];
	struct store *s;
	int done;

	snprintf(path, sizeof path, "%s/tasks.db", dir);
	s = store_open(path, e);
	if (!s)
		return -1;
	done = commit_event(s, true, e);
	if (done == 0)
		done = commit_event(s, false, e);
	if (done == 0)
		store_checkpoint(s);
	if (done == 0)
		done = commit_event(s, true, e);
	store_close(s);
	return done;
}

static const char *store_good(const char *dir)
{
	char path[512];
	struct err e;
	struct store *s;
	bool damaged;
	int64_t last;

	snprintf(path, sizeof path, "%s/tasks.db", dir);
	if (access(path, F_OK) == 0 && store_check(path, &damaged, &e) < 0 && damaged)
		return "it is damaged";
	s = store_open(path, &e);
	if (!s)
		return "it does not open again";
	last = store_last_event(s);
	store_close(s);
	return last < *promised ? "a committed event is gone" : NULL;
}

static int backup_path(const char *dir, struct err *e)
{
	char path[512], made[PATHS_MAX];

	snprintf(path, sizeof path, "%s/tasks.db", dir);
	return store_backup(path, made, e);
}

/* What has the name of a copy is a whole one. */
static const char *backup_check(const char *dir)
{
	char path[512];
	_cleanup_(globfree) glob_t copies = {0};
	struct err e;

	snprintf(path, sizeof path, "%s/backups/tasks-*.db", dir);
	glob(path, 0, NULL, &copies);
	for (size_t i = 0; i < copies.gl_pathc; i++) {
		if (store_check(copies.gl_pathv[i], NULL, &e) < 0)
			return "a copy is not whole";
	}
	return store_good(dir);
}

/* A damaged store with a log, and a good copy. */
static int restore_prepare(const char *dir, struct err *e)
{
	char path[512], log[520];
	_cleanup_close_ int fd = -1, log_fd = -1;

	snprintf(path, sizeof path, "%s/tasks.db", dir);
	snprintf(log, sizeof log, "%s-wal", path);
	if (store_path(dir, e) < 0 || backup_path(dir, e) < 0)
		return -1;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	log_fd = open(log, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (pwrite(fd, DAMAGE, strlen(DAMAGE), 0) < 0 || write(log_fd, "log", 3) < 0)
		return err_errno(e, "damage %s", path);
	return 0;
}

static int restore_path(const char *dir, struct err *e)
{
	char path[512], kept[PATHS_MAX];

	snprintf(path, sizeof path, "%s/tasks.db", dir);
	return store_backup_restore(path, kept, e) < 0 ? -1 : store_check(path, NULL, e);
}

/* An absent store would be begun afresh, a log of another file's would be read into it. */
static const char *restore_check(const char *dir)
{
	char path[512], log[530], head[sizeof DAMAGE] = "";
	_cleanup_(globfree) glob_t kept = {0};
	struct err e;
	bool damaged;
	FILE *f;

	snprintf(path, sizeof path, "%s/tasks.db", dir);
	snprintf(log, sizeof log, "%s-wal", path);
	f = fopen(path, "r");
	if (!f)
		return "there is no store";
	damaged = fgets(head, sizeof head, f) && strcmp(head, DAMAGE) == 0;
	fclose(f);
	if (damaged != (access(log, F_OK) == 0))
		return "the log is not where its store is";
	if (damaged && restore_path(dir, &e) < 0)
		return "it cannot be tried again";
	snprintf(log, sizeof log, "%s.damaged-*-wal", path);
	if (glob(log, 0, NULL, &kept) != 0 || kept.gl_pathc != 1)
		return "the damaged one is not kept, or twice";
	return store_good(dir);
}

/* --- session --- */

static int session_path(const char *dir, struct err *e)
{
	struct session s;
	int done;

	if (session_open(&s, dir, e) < 0)
		return -1;
	session_set(&s.prompt, "do it");
	session_add_message(&s, "person", "a word");
	s.command = 5;
	done = session_save(&s, true, e);
	if (done == 0)
		*promised = 5;
	s.command = 6;
	if (done == 0 && session_save(&s, false, e) == 0)
		*promised = 6;
	session_clear(&s);
	return done;
}

static const char *session_check(const char *dir)
{
	struct session s;
	struct err e;
	bool bad;

	if (session_open(&s, dir, &e) < 0)
		return "it does not open again";
	bad = s.command < *promised ||
	      (*promised && strcmp(s.prompt ? s.prompt : "", "do it") != 0);
	session_clear(&s);
	return bad ? "what was saved is gone" : NULL;
}

/* --- workspace --- */

static int workspace_path(const char *dir, struct err *e)
{
	char mirrors[512], repo[512], hash[41], file[600];
	struct workspace *w;
	struct giturl url;
	uint64_t fingerprint;
	char *diff;
	int fd, done = -1;

	snprintf(mirrors, sizeof mirrors, "%s/mirrors", dir);
	snprintf(repo, sizeof repo, "%s/repo", dir);
	snprintf(file, sizeof file, "%s/new.txt", repo);
	if (giturl_parse(getenv("FAULT_REPOSITORY"), true, &url, e) < 0 ||
		workspace_mirror(mirrors, &url, NULL, NULL, NULL, e) < 0 ||
		workspace_open(repo, mirrors, &url, "main", "agent-7", "Ann", "ann@example.org",
			NULL, NULL, &w, e) < 0)
		return -1;
	fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, "text\n", 5) != 5) {
		err_errno(e, "%s", file);
	} else if ((diff = workspace_diff(w, &fingerprint, e))) {
		free(diff);
		done = workspace_commit_all(w, "new", hash, e);
		*promised = done == 0;
	}
	if (fd >= 0)
		close(fd);
	workspace_free(w);
	return done;
}

static const char *workspace_check(const char *dir)
{
	char mirrors[512], repo[512];
	struct workspace *w;
	struct giturl url;
	struct err e;
	int ahead;

	snprintf(mirrors, sizeof mirrors, "%s/mirrors", dir);
	snprintf(repo, sizeof repo, "%s/repo", dir);
	giturl_parse(getenv("FAULT_REPOSITORY"), true, &url, &e);
	if (workspace_mirror(mirrors, &url, NULL, NULL, NULL, &e) < 0 ||
		workspace_open(repo, mirrors, &url, "main", "agent-7", "Ann", "ann@example.org",
			NULL, NULL, &w, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		return "it does not open again";
	}
	ahead = workspace_commits_ahead(w, &e);
	workspace_free(w);
	return ahead < *promised ? "the commit is gone" : NULL;
}

/* --- child --- */

static void child_done(void *arg, int code)
{
	*(int *)arg = code;
}

static void child_output(void *arg, int stream, const char *data, size_t n)
{
	(void)arg, (void)stream, (void)data, (void)n;
}

/* Made once: a program makes its loop before it has anything to lose. */
static uv_loop_t loop;

static int child_path(const char *dir, struct err *e)
{
	static const char *const argv[] = {"/bin/echo", "hello", NULL}, *const env[] = {NULL};
	static const struct child_events on = {.output = child_output, .done = child_done};
	struct child_spec spec = {.argv = argv,
		.env = env,
		.cwd = dir,
		.pipe_stdin = true,
		.pipe_stdout = true,
		.pipe_stderr = true,
		.stdout_fd = -1,
		.stderr_fd = -1};
	int code = -1000, done = 0;

	if (!loop.data && uv_loop_init(&loop) != 0)
		return err_set(e, ERR_SYS, "no loop");
	loop.data = &loop;
	if (!child_start(&loop, &spec, &on, &code, e))
		done = -1;
	uv_run(&loop, UV_RUN_DEFAULT); /* also closes what a failed start had opened */
	if (done == 0 && code != 0)
		done = err_set(e, ERR_SYS, "it ended with %d", code);
	return done;
}

static const char *child_check(const char *dir)
{
	(void)dir;
	return waitpid(-1, NULL, WNOHANG) == 0 ? "a child is left" : NULL;
}

static const struct path {
	const char *name;
	int (*prepare)(const char *dir, struct err *e); /* nothing fails in it; NULL: nothing */
	int (*run)(const char *dir, struct err *e);
	const char *(*check)(const char *dir);
	bool afresh; /* libuv does not work in a forked child: each n is exec'd */
	bool keeps;  /* libgit2 keeps what it has read until the process ends */
} paths[] = {
	{"spool", NULL, spool_path, spool_check, false, false},
	{"store", NULL, store_path, store_good, false, false},
	{"backup", store_path, backup_path, backup_check, false, false},
	{"restore", restore_prepare, restore_path, restore_check, false, false},
	{"session", NULL, session_path, session_check, false, false},
	{"workspace", NULL, workspace_path, workspace_check, false, true},
	{"child", NULL, child_path, child_check, true, false},
};

/* --- one n --- */

enum { CLEAN, REFUSED = 10, TOLERATED, BAD };

static int descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

static int bad(const char *what)
{
	fprintf(stderr, "%s\n", what);
	return BAD;
}

static int in_child(const struct path *p, const char *dir, const char *call, long nth)
{
	struct err e = {.kind = ERR_NONE};
	/* libgit2 1.5 forgets to close a file that it could not flush (git_filebuf_commit). */
	int forgotten = p->keeps && strcmp(call, "fsync") == 0 ? 1 : 0;
	const char *wrong;
	int fds, done, left;
	long memory;
	bool failed;

	if (p->prepare && p->prepare(dir, &e) < 0)
		return bad(e.text);
	fds = descriptors();
	memory = living();
	arm(call, nth);
	done = p->run(dir, &e);
	failed = disarm();
	if (done < 0 && (!failed || !*e.text))
		return bad(*e.text ? e.text : "it failed without a word");
	left = descriptors() - fds;
	if (left < 0 || left > forgotten)
		return bad("descriptors are left open");
	if (living() > memory && !p->keeps)
		return bad("memory is not freed");
	wrong = p->check(dir);
	if (wrong)
		return bad(wrong);
	return !failed ? CLEAN : done < 0 ? REFUSED : TOLERATED;
}

static int start(const struct path *p, const char *dir, const char *call, long nth)
{
	char number[24];

	if (!p->afresh)
		return in_child(p, dir, call, nth);
	snprintf(number, sizeof number, "%ld", nth);
	execl("/proc/self/exe", "paths", p->name, call, number, dir, (char *)NULL);
	return bad("exec has failed");
}

static int check(const struct path *p, const char *dir)
{
	const char *wrong = p->check(dir);

	return wrong ? bad(wrong) : CLEAN;
}

static void last_words(int fd, char *text, size_t size)
{
	size_t used = 0;
	ssize_t n;

	while (used < size - 1 && (n = read(fd, text + used, size - 1 - used)) > 0)
		used += (size_t)n;
	text[used] = '\0';
}

/* In a child, which says what is wrong on stderr: the path with its n-th call failing, or for
 * n = 0 its check alone. Its exit code; BAD also for a crash. */
static int one(
	const struct path *p, const char *dir, const char *call, long nth, char *said, size_t size)
{
	int ends[2], status;
	pid_t child;

	if (pipe(ends) < 0 || (child = fork()) < 0)
		return bad("no child");
	if (child == 0) {
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		close(ends[1]);
		alarm(CHILD_SECONDS);
		_exit(nth > 0 ? start(p, dir, call, nth) : check(p, dir));
	}
	close(ends[1]);
	last_words(ends[0], said, size);
	close(ends[0]);
	waitpid(child, &status, 0);
	if (!WIFSIGNALED(status))
		return WEXITSTATUS(status);
	snprintf(said, size, "crashed by signal %d", WTERMSIG(status));
	return BAD;
}

/* One n in a folder of its own. Memory must not end a process without a word, and what was
 * promised before must be there then, too. */
static int attempt(const struct path *p, const char *call, long nth, char *said, size_t size)
{
	char dir[] = FOLDER;
	struct err e;
	int got;

	if (!mkdtemp(dir))
		return bad("no folder");
	*promised = 0;
	got = one(p, dir, call, nth, said, size);
	if (got == ERR_MEMORY_EXIT && !strcmp(call, "malloc") && strstr(said, "out of memory"))
		got = one(p, dir, call, 0, said, size) == CLEAN ? REFUSED : BAD;
	if (workspace_remove(dir, &e) < 0)
		return bad(e.text);
	return got;
}

static int every(const struct path *p, const char *call, long nth, long step)
{
	long refused = 0, tolerated = 0, wrong = 0;
	char said[4096];
	int got;

	for (;; nth += step) {
		got = attempt(p, call, nth, said, sizeof said);
		if (got == CLEAN || nth >= CALLS_MAX)
			break;
		refused += got == REFUSED;
		tolerated += got == TOLERATED;
		if (got != REFUSED && got != TOLERATED) {
			wrong++;
			printf("%s, %s %ld: %s\n", p->name, call, nth, said);
		}
	}
	printf("%s: %ld times %s failed: %ld refused, %ld tolerated, %ld wrong\n", p->name,
		refused + tolerated + wrong, call, refused, tolerated, wrong);
	return wrong || nth >= CALLS_MAX;
}

/* Once before, so that what libraries keep for good is there already. */
static int warm_up(const struct path *p, struct err *e)
{
	char dir[] = FOLDER;

	if (!mkdtemp(dir))
		return err_errno(e, "make %s", dir);
	if (workspace_library_init(e) < 0 || (p->prepare && p->prepare(dir, e) < 0) ||
		p->run(dir, e) < 0)
		return -1;
	return workspace_remove(dir, e);
}

int main(int argc, char **argv)
{
	const struct path *p = paths, *end = paths + sizeof paths / sizeof paths[0];
	const char *folder = argc == 5 && strchr(argv[4], '/') ? argv[4] : NULL;
	long nth = argc == 5 ? atol(argv[3]) : 1;
	long step = argc == 5 && !folder ? atol(argv[4]) : 1;
	struct err e;

	arm = (void (*)(const char *, long))dlsym(RTLD_DEFAULT, "fault_arm");
	disarm = (bool (*)(void))dlsym(RTLD_DEFAULT, "fault_disarm");
	living = (long (*)(void))dlsym(RTLD_DEFAULT, "fault_living");
	while (p < end && argc > 1 && strcmp(p->name, argv[1]) != 0)
		p++;
	if ((argc != 3 && argc != 5) || !arm || p == end || nth < 1 || step < 1) {
		fputs("usage: LD_PRELOAD=libfault.so paths PATH CALL [FROM STEP | N FOLDER]\n",
			stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	log_init("fault");
	setvbuf(stdout, NULL, _IOLBF, 0);
	promised = mmap(
		NULL, sizeof *promised, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (warm_up(p, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		return 2;
	}
	*promised = 0;
	return folder ? in_child(p, folder, argv[2], nth) : every(p, argv[2], nth, step);
}
