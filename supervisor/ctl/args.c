/* A command line against a table of options. */
#include "supervisor/ctl/args.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct args_option args_common[] = {
	{"json", 0, NULL, "print JSON, for programs"},
	{"state-dir", 0, "DIR", "where the state lies (default $XDG_STATE_HOME/100x)"},
	{"run-dir", 0, "DIR", "where the sockets lie (default $XDG_RUNTIME_DIR/100x)"},
	{"help", 'h', NULL, "tell about this command"},
	{0},
};

static const struct args_option *find_long(
	const struct args_option *table, const char *name, size_t n)
{
	for (; table && table->name; table++)
		if (strlen(table->name) == n && memcmp(table->name, name, n) == 0)
			return table;
	return NULL;
}

static const struct args_option *find_letter(const struct args_option *table, char letter)
{
	for (; table && table->name; table++)
		if (table->letter == letter)
			return table;
	return NULL;
}

static int give(struct args *a, const struct args_option *option, const char *value, struct err *e)
{
	if (a->given_count == ARGS_MAX)
		return err_set(e, ERR_INVALID, "more than %d options", ARGS_MAX);
	a->given[a->given_count].option = option;
	a->given[a->given_count].value = value;
	a->given_count++;
	return 0;
}

static int parse_long(const struct args_option *options, int argc, char *const *argv, int *i,
	struct args *a, struct err *e)
{
	const char *text = argv[*i] + 2;
	const char *equals = strchr(text, '=');
	size_t n = equals ? (size_t)(equals - text) : strlen(text);
	const struct args_option *option = find_long(options, text, n);

	if (!option)
		option = find_long(args_common, text, n);
	if (!option)
		return err_set(e, ERR_INVALID, "unknown option --%.*s", (int)n, text);
	if (!option->value && equals)
		return err_set(e, ERR_INVALID, "--%s takes no value", option->name);
	if (!option->value)
		return give(a, option, NULL, e);
	if (equals)
		return give(a, option, equals + 1, e);
	if (*i + 1 >= argc)
		return err_set(
			e, ERR_INVALID, "--%s wants a value: %s", option->name, option->value);
	return give(a, option, argv[++*i], e);
}

/* "-f", "-n 3", "-n3"; switches may be joined: "-fn3". */
static int parse_letters(const struct args_option *options, int argc, char *const *argv, int *i,
	struct args *a, struct err *e)
{
	for (const char *p = argv[*i] + 1; *p; p++) {
		const struct args_option *option = find_letter(options, *p);

		if (!option)
			option = find_letter(args_common, *p);
		if (!option)
			return err_set(e, ERR_INVALID, "unknown option -%c", *p);
		if (!option->value) {
			if (give(a, option, NULL, e) < 0)
				return -1;
			continue;
		}
		if (p[1])
			return give(a, option, p + 1, e);
		if (*i + 1 >= argc)
			return err_set(e, ERR_INVALID, "-%c wants a value: %s", *p, option->value);
		return give(a, option, argv[++*i], e);
	}
	return 0;
}

int args_parse(const struct args_option *options, int argc, char *const *argv, struct args *a,
	struct err *e)
{
	bool ended = false;

	a->given_count = 0;
	a->word_count = 0;
	for (int i = 0; i < argc; i++) {
		if (!ended && strcmp(argv[i], "--") == 0) {
			ended = true;
			continue;
		}
		if (!ended && strncmp(argv[i], "--", 2) == 0) {
			if (parse_long(options, argc, argv, &i, a, e) < 0)
				return -1;
			continue;
		}
		if (!ended && argv[i][0] == '-' && argv[i][1]) {
			if (parse_letters(options, argc, argv, &i, a, e) < 0)
				return -1;
			continue;
		}
		if (a->word_count == ARGS_MAX)
			return err_set(e, ERR_INVALID, "more than %d words", ARGS_MAX);
		a->words[a->word_count++] = argv[i];
	}
	return 0;
}

bool args_has(const struct args *a, const char *name)
{
	for (size_t i = 0; i < a->given_count; i++)
		if (strcmp(a->given[i].option->name, name) == 0)
			return true;
	return false;
}

const char *args_get(const struct args *a, const char *name)
{
	for (size_t i = a->given_count; i > 0; i--)
		if (strcmp(a->given[i - 1].option->name, name) == 0)
			return a->given[i - 1].value;
	return NULL;
}

int args_parse_int(
	const char *text, const char *what, int64_t min, int64_t max, int64_t *out, struct err *e)
{
	char *end;
	long long v;

	errno = 0;
	v = strtoll(text, &end, 10);
	if (!*text || *end || errno || (*text < '0' && *text != '-') || *text > '9' || v < min ||
		v > max)
		return err_set(e, ERR_INVALID,
			"%s is \"%s\": it must be a whole number from "
			"%lld to %lld",
			what, text, (long long)min, (long long)max);
	*out = v;
	return 0;
}

int args_int(const struct args *a, const char *name, int64_t min, int64_t max, int64_t *out,
	struct err *e)
{
	const char *text = args_get(a, name);
	char what[64] = "--";

	if (!text)
		return 0;
	strncat(what, name, sizeof(what) - 3);
	return args_parse_int(text, what, min, max, out, e);
}

int args_number(
	const struct args *a, const char *name, double min, double max, double *out, struct err *e)
{
	const char *text = args_get(a, name);
	char *end;
	double v;

	if (!text)
		return 0;
	v = strtod(text, &end);
	if (!*text || *end || !isfinite(v) || v < min || v > max)
		return err_set(e, ERR_INVALID, "--%s is \"%s\": it must be a number from %g to %g",
			name, text, min, max);
	*out = v;
	return 0;
}
