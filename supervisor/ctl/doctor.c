/* doctor: what is missing for real work. */
#include "supervisor/ctl/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "shared/json.h"

extern char **environ;

void doctor_find(struct doctor *d, enum finding_level level, const char *subject, const char *mend,
	const char *fmt, ...)
{
	static const char *const words[] = {"good", "hint", "missing"};
	static const char *const marks[] = {"ok", "hint", "missing"};
	static const enum term_style styles[] = {TERM_GREEN, TERM_YELLOW, TERM_RED};
	const struct term *t = &d->ctl->out;
	char text[1024];
	struct buf line;
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	d->missing += level == FINDING_MISSING;
	d->hints += level == FINDING_HINT;
	if (d->findings) {
		cJSON *finding = cJSON_CreateObject();

		json_add_str(finding, "subject", subject);
		json_add_str(finding, "level", words[level]);
		json_add_text(finding, "text", text, strlen(text));
		if (*mend)
			json_add_str(finding, "mend", mend);
		cJSON_AddItemToArray(d->findings, finding);
		return;
	}
	buf_init(&line, 0);
	term_line(&line, text, 0);
	printf("%s%-8s%s %-12s %s\n", term_on(t, styles[level]), marks[level],
		term_off(t, styles[level]), subject, line.len ? line.data : "");
	if (*mend)
		printf("%21s → %s\n", "", mend);
	buf_clear(&line);
}

int doctor_run(const char *const *argv, const char *input, char *out, size_t size)
{
	_cleanup_close_ int read_fd = -1;
	posix_spawn_file_actions_t files;
	int in[2], ends[2], status, failed;
	size_t n = 0;
	pid_t pid;

	*out = 0;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	if (pipe2(in, O_CLOEXEC) < 0) {
		close(ends[0]);
		close(ends[1]);
		return -1;
	}
	read_fd = ends[0];
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, in[0], 0);
	posix_spawn_file_actions_adddup2(&files, ends[1], 1);
	posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
	failed = posix_spawnp(&pid, argv[0], &files, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&files);
	close(ends[1]);
	close(in[0]);
	/* A pipe takes these few bytes whether they are read or not. */
	if (input && strlen(input) < 4096 && write(in[1], input, strlen(input)) < 0)
		failed = errno;
	close(in[1]);
	if (failed)
		return -1;
	while (n < size - 1) {
		ssize_t got = read(read_fd, out + n, size - 1 - n);

		if (got <= 0)
			break;
		n += (size_t)got;
	}
	out[n] = 0;
	out[strcspn(out, "\n")] = 0;
	close(take_fd(&read_fd));
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int ctl_doctor(struct ctl *c, const struct args *a)
{
	struct doctor d = {.ctl = c};
	char path[PATHS_MAX + 8];
	int64_t port = 5000;
	struct err e;

	if (a->word_count || args_int(a, "port", 1, 65535, &port, &e) < 0)
		return ctl_usage("doctor", "%s", a->word_count ? "doctor takes no words" : e.text);
	d.port = (int)port;
	if (c->json)
		d.findings = cJSON_CreateArray();
	snprintf(path, sizeof(path), "%s/.env", c->paths.home);
	d.keys = dotenv_load(path, &e);
	if (!d.keys) {
		doctor_find(&d, FINDING_MISSING, "keys",
			"make it readable for you alone: chmod 600", "%s", e.text);
		d.keys = dotenv_parse("", 0, &e);
	} else if (dotenv_skipped(d.keys) > 0) {
		doctor_find(&d, FINDING_HINT, "keys", "write lines as NAME=value",
			"%d lines of %s are not understood", dotenv_skipped(d.keys), path);
	}
	doctor_programs(&d);
	doctor_models(&d);
	doctor_machine(&d);
	dotenv_free(d.keys);
	if (c->json) {
		cJSON *r = cJSON_CreateObject();

		cJSON_AddBoolToObject(r, "ok", d.missing == 0);
		cJSON_AddItemToObject(r, "findings", d.findings);
		ctl_print(r);
		cJSON_Delete(r);
	} else if (d.missing) {
		printf("\n%d thing%s missing for real work.\n", d.missing,
			d.missing == 1 ? " is" : "s are");
	} else {
		puts("\nReady for real work.");
	}
	return d.missing ? CTL_FAILED : CTL_OK;
}
