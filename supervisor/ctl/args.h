/* A command line read against a command's own table of options: one table makes
 * the parser, the help and the shell completions. */
#ifndef CTL_ARGS_H
#define CTL_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/err.h"

#define ARGS_MAX 1200 /* options and words of one command line */

struct args_option {
	const char *name;  /* long name without dashes; NULL ends a table */
	char letter;	   /* 0: none */
	const char *value; /* what to call its value in the help; NULL: a switch */
	const char *help;
};

struct args {
	struct {
		const struct args_option *option;
		const char *value; /* NULL for a switch */
	} given[ARGS_MAX];
	size_t given_count;
	const char *words[ARGS_MAX]; /* what is no option */
	size_t word_count;
};

/* Options every command takes: --json, --state-dir, --run-dir, --help. */
extern const struct args_option args_common[];

/* Reads argv[0..argc) (without program and command names), borrowing it. A lone
 * "--" ends the options. ERR_INVALID names the option. */
int args_parse(const struct args_option *options, int argc, char *const *argv, struct args *a,
	struct err *e);

bool args_has(const struct args *a, const char *name);
/* The last value given, or NULL. */
const char *args_get(const struct args *a, const char *name);
/* A whole number from min to max into *out, untouched if the option was not given. */
int args_int(const struct args *a, const char *name, int64_t min, int64_t max, int64_t *out,
	struct err *e);
/* The same for a number with a fraction. */
int args_number(
	const struct args *a, const char *name, double min, double max, double *out, struct err *e);
/* Exactly these decimal digits as a number from min to max; what: for the error. */
int args_parse_int(
	const char *text, const char *what, int64_t min, int64_t max, int64_t *out, struct err *e);

#endif
