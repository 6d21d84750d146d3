/* doctor's findings: what is right, what could be better, what is missing, and how to
 * mend it. */
#ifndef CTL_DOCTOR_H
#define CTL_DOCTOR_H

#include "shared/dotenv.h"
#include "supervisor/ctl/ctl.h"

enum finding_level { FINDING_GOOD, FINDING_HINT, FINDING_MISSING };

struct doctor {
	struct ctl *ctl;
	struct dotenv *keys;
	cJSON *findings; /* for --json */
	int missing, hints;
	int port;
};

/* Prints (or collects) one finding. mend: what to do, "" when all is right. */
void doctor_find(struct doctor *d, enum finding_level level, const char *subject, const char *mend,
	const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* Runs a program found in PATH and gives the first line it prints (out, size bytes).
 * Its exit code; -1 if it could not be run. No shell. */
int doctor_run(const char *const *argv, const char *input, char *out, size_t size);

/* The checks, in their own files by subject. */
void doctor_programs(struct doctor *d); /* our programs, aider, git, the page */
void doctor_models(struct doctor *d);	/* keys of configured models, GitHub's token */
void doctor_machine(struct doctor *d);	/* disk, limits, cores, memory, port, kernel */

#endif
