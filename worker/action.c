#include "worker/action.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "shared/cleanup.h"
#include "shared/json.h"

enum argument { NONE, OPTIONAL, NEEDED };

struct row {
	const char *word;
	enum action_kind kind;
	enum argument argument;
};

static const struct row TABLE[] = {
	{"/instruct", ACTION_INSTRUCT, NEEDED},
	{"/add", ACTION_COMMAND, NEEDED},
	{"/drop", ACTION_COMMAND, OPTIONAL},
	{"/ls", ACTION_COMMAND, NONE},
	{"/map", ACTION_COMMAND, NONE},
	{"/run", ACTION_COMMAND, NEEDED},
	{"/test", ACTION_COMMAND, NEEDED},
	{"/git", ACTION_COMMAND, NEEDED},
	{"/tell", ACTION_TELL, NEEDED},
	{"/finish", ACTION_FINISH, NONE},
};

const char *action_table(void)
{
	return "/instruct <message>: tell the coding agent what to do next, in words\n"
	       "/add <file>: put a file into the coding agent's view\n"
	       "/drop <file>: take a file out of its view\n"
	       "/ls: list the files it sees\n"
	       "/map: show the map of the repository\n"
	       "/run <command>: run a shell command in the repository and show its output\n"
	       "/test <command>: run a test command; its failure is shown to the coding agent\n"
	       "/git <command>: run a git command (without the word git)\n"
	       "/tell <agent number or all> <message>: send a message to other agents\n"
	       "/finish: the task is complete; its result is handed in\n";
}

static char *copy(const char *text, size_t n)
{
	char *c = malloc(n + 1);

	if (!c)
		err_out_of_memory();
	if (n)
		memcpy(c, text, n);
	c[n] = '\0';
	return c;
}

static const char *skip_space(const char *s)
{
	while (*s && isspace((unsigned char)*s))
		s++;
	return s;
}

static size_t trimmed(const char *s)
{
	size_t n = strlen(s);

	while (n && isspace((unsigned char)s[n - 1]))
		n--;
	return n;
}

static const struct row *find_row(const char *word, size_t n)
{
	for (size_t i = 0; i < sizeof TABLE / sizeof *TABLE; i++) {
		if (strlen(TABLE[i].word) == n && !memcmp(TABLE[i].word, word, n))
			return &TABLE[i];
	}
	return NULL;
}

static int parse_tell(const char *rest, struct action *a, struct err *e)
{
	size_t n = strcspn(rest, " \t\r\n");
	const char *message = skip_space(rest + n);
	bool all = n == 3 && !memcmp(rest, "all", 3);

	if (n > 6 && !memcmp(rest, "agent-", 6)) {
		rest += 6;
		n -= 6;
	}
	if (!all && (n == 0 || n > 15 || strspn(rest, "0123456789") < n || *rest == '0'))
		return err_set(e, ERR_INVALID,
			"/tell needs the number of an agent or \"all\", then the message");
	if (!*message)
		return err_set(e, ERR_INVALID, "/tell needs a message behind the agent");
	memcpy(a->target, rest, n);
	a->target[n] = '\0';
	a->text = copy(message, trimmed(message));
	return 0;
}

/* aider reads one command a line: what follows a line break would be lost or, worse,
 * taken for something else. */
static int one_line(const char *rest, const char *word, struct err *e)
{
	if (strpbrk(rest, "\r\n"))
		return err_set(e, ERR_INVALID, "%s takes one line only", word);
	return 0;
}

/* whole: without blanks around it. */
static int parse_line(const char *whole, struct action *a, struct err *e)
{
	const char *rest;
	size_t n = strcspn(whole, " \t\r\n");
	const struct row *row = find_row(whole, n);

	if (!*whole)
		return err_set(e, ERR_INVALID, "\"action\" is empty");
	if (strlen(whole) > ACTION_TEXT_MAX)
		return err_set(
			e, ERR_INVALID, "\"action\" is longer than %d bytes", ACTION_TEXT_MAX);
	if (!row)
		return err_set(e, ERR_INVALID,
			"\"%.*s\" is no known action; an action starts with one of "
			"/instruct, /add, /drop, /ls, /map, /run, /test, /git, /tell, /finish",
			(int)(n < 60 ? n : 60), whole);
	rest = skip_space(whole + n);
	if (row->argument == NEEDED && !*rest)
		return err_set(e, ERR_INVALID, "%s needs an argument", row->word);
	a->kind = row->kind;
	switch (row->kind) {
	case ACTION_INSTRUCT:
		a->text = action_plain(rest);
		return 0;
	case ACTION_COMMAND:
		if (one_line(rest, row->word, e) < 0)
			return -1;
		a->text = copy(whole, row->argument == NONE ? n : strlen(whole));
		return 0;
	case ACTION_TELL:
		return parse_tell(rest, a, e);
	case ACTION_FINISH:
		a->text = copy("", 0);
		return 0;
	}
	return err_set(e, ERR_INTERNAL, "an action of no kind");
}

int action_parse(const char *line, struct action *a, struct err *e)
{
	const char *s = skip_space(line);
	char *whole = copy(s, trimmed(s));
	int r;

	memset(a, 0, sizeof *a);
	r = parse_line(whole, a, e);
	free(whole);
	return r;
}

void action_clear(struct action *a)
{
	free(a->text);
	memset(a, 0, sizeof *a);
}

char *action_plain(const char *text)
{
	size_t n = strlen(text);
	bool guarded = *text == '/' || *text == '!';
	char *c = copy(text, n + 1);

	if (guarded) {
		c[0] = ' ';
		memcpy(c + 1, text, n);
		c[n + 1] = '\0';
	}
	return c;
}

/* The outermost {...} that starts at start: strings are skipped, braces counted.
 * Returns its length, or 0. */
static size_t object_length(const char *text, size_t n)
{
	bool in_string = false;
	int depth = 0;

	for (size_t i = 0; i < n; i++) {
		if (in_string && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			in_string = !in_string;
		else if (!in_string && text[i] == '{')
			depth++;
		else if (!in_string && text[i] == '}' && --depth == 0)
			return i + 1;
	}
	return 0;
}

cJSON *answer_object(const char *text, size_t n, struct err *e)
{
	const char *open = memchr(text, '{', n);
	size_t left, len;

	if (!open) {
		err_set(e, ERR_INVALID, "there is no JSON object in the answer");
		return NULL;
	}
	left = n - (size_t)(open - text);
	len = object_length(open, left);
	return json_parse(open, len ? len : left, ACTION_ANSWER_MAX, e);
}

static char *field(const cJSON *j, const char *name)
{
	const char *v = json_str(j, name, "");

	return copy(v, utf8_cut(v, strlen(v), ACTION_FIELD_MAX));
}

int decision_parse(const char *text, size_t n, struct decision *d, struct err *e)
{
	static const char *const needed[] = {"progress", "thought", "action", "future"};
	_cleanup_json_ cJSON *j = NULL;
	struct err why;

	memset(d, 0, sizeof *d);
	while (n && isspace((unsigned char)text[n - 1]))
		n--;
	if (n > ACTION_ANSWER_MAX)
		err_set(&why, ERR_INVALID, "the answer is longer than %d bytes", ACTION_ANSWER_MAX);
	else if (!n)
		err_set(&why, ERR_INVALID, "the answer is empty");
	else
		j = answer_object(text, n, &why);
	d->progress = field(j, "progress");
	d->thought = field(j, "thought");
	d->future = field(j, "future");
	d->line = field(j, "action");
	if (!j)
		return err_set(e, ERR_INVALID, "%s", why.text);
	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
		const cJSON *v = json_get(j, needed[i]);

		if (!v)
			return err_set(e, ERR_INVALID, "the field \"%s\" is missing", needed[i]);
		if (!cJSON_IsString(v))
			return err_set(
				e, ERR_INVALID, "the field \"%s\" is not a string", needed[i]);
	}
	return action_parse(json_str(j, "action", ""), &d->action, e);
}

void decision_clear(struct decision *d)
{
	free(d->progress);
	free(d->thought);
	free(d->future);
	free(d->line);
	action_clear(&d->action);
	memset(d, 0, sizeof *d);
}
