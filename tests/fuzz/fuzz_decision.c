// folder: worker
/* Answers of a model, as hostile as they come. Oracle: an accepted one has an action
 * that aider cannot take for another, a refused one says why. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "shared/json.h"
#include "worker/action.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_action(const struct action *a)
{
	assert(a->text && utf8_valid(a->text, strlen(a->text)));
	switch (a->kind) {
	case ACTION_INSTRUCT:
		assert(a->text[0] && a->text[0] != '/' && a->text[0] != '!');
		return;
	case ACTION_COMMAND:
		assert(a->text[0] == '/' && !strpbrk(a->text, "\r\n"));
		return;
	case ACTION_TELL:
		assert(a->text[0]);
		assert(!strcmp(a->target, "all") ||
			strspn(a->target, "0123456789") == strlen(a->target));
		return;
	case ACTION_FINISH:
		assert(!a->text[0]);
		return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct decision d;
	struct err e = {0};

	if (decision_parse((const char *)data, n, &d, &e) == 0)
		check_action(&d.action);
	else
		assert(e.kind == ERR_INVALID && e.text[0]);
	assert(d.progress && d.thought && d.future && d.line);
	assert(strlen(d.progress) <= ACTION_FIELD_MAX && strlen(d.line) <= ACTION_FIELD_MAX);
	decision_clear(&d);
	return 0;
}
