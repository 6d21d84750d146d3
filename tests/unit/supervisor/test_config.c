/* The general configuration: defaults pass the checks, bounds hold, and the manual page
 * tells every key with its bounds and default. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shared/cleanup.h"
#include "supervisor/config.h"

#define MANUAL "docs/man/100x.1"
#define MANUAL_MAX (256 * 1024)

static void defaults_pass(void **state)
{
	_cleanup_json_ cJSON *all = config_defaults(2, INT64_C(8) << 30);
	const struct json_field *fields;
	struct err e;
	size_t n;

	(void)state;
	fields = config_fields(&n);
	assert_int_equal(config_check(all, &e), 0);
	assert_int_equal(cJSON_GetArraySize(all), n);
	for (size_t i = 0; i < n; i++)
		assert_non_null(json_get(all, fields[i].name));
}

static void bounds_hold(void **state)
{
	const struct json_field *fields;
	struct err e;
	size_t n;

	(void)state;
	fields = config_fields(&n);
	for (size_t i = 0; i < n; i++) {
		if (fields[i].type != JSON_INT && fields[i].type != JSON_NUMBER)
			continue;
		const double values[] = {
			fields[i].min - 1, fields[i].min, fields[i].max, fields[i].max + 1};

		for (int v = 0; v < 4; v++) {
			_cleanup_json_ cJSON *one = cJSON_CreateObject();
			bool within = v == 1 || v == 2;

			cJSON_AddNumberToObject(one, fields[i].name, values[v]);
			assert_int_equal(config_check(one, &e), within ? 0 : -1);
			if (!within)
				assert_non_null(strstr(e.text, fields[i].name));
		}
	}
}

static char *manual_settings(void)
{
	static char text[MANUAL_MAX];
	FILE *f = fopen(MANUAL, "re");
	size_t n;
	char *from, *to;

	assert_non_null(f); /* unit tests run in the root of the source */
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	from = strstr(text, "\n.Sh SETTINGS\n");
	assert_non_null(from);
	to = strstr(from + 1, "\n.Sh ");
	assert_non_null(to);
	to[1] = '\0';
	return from;
}

/* Its line in the manual page. */
static void line_of(const struct json_field *f, const cJSON *normal, char *out, size_t size)
{
	switch (f->type) {
	case JSON_INT:
	case JSON_NUMBER:
		if (strcmp(f->name, "max_working") == 0)
			snprintf(out, size,
				"\n.It Cm %s Pq %.10g to %.10g, default by cores and memory\n",
				f->name, f->min, f->max);
		else
			snprintf(out, size, "\n.It Cm %s Pq %.10g to %.10g, default %.10g\n",
				f->name, f->min, f->max, normal->valuedouble);
		break;
	case JSON_BOOL:
		snprintf(out, size, "\n.It Cm %s Pq true or false, default %s\n", f->name,
			cJSON_IsTrue(normal) ? "true" : "false");
		break;
	case JSON_ARRAY:
		assert_int_equal(cJSON_GetArraySize(normal), 0);
		snprintf(out, size, "\n.It Cm %s Pq list, at most %.10g words, default empty\n",
			f->name, f->max);
		break;
	case JSON_STRING:
		if (strcmp(f->name, "permission") == 0)
			snprintf(out, size, "\n.It Cm %s Pq allow or ask, default %s\n", f->name,
				normal->valuestring);
		else if (strcmp(f->name, "pid_namespace") == 0)
			snprintf(out, size, "\n.It Cm %s Pq auto, user or off, default %s\n",
				f->name, normal->valuestring);
		else
			snprintf(out, size,
				"\n.It Cm %s Pq text, at most %.10g bytes, default %s\n", f->name,
				f->max, normal->valuestring[0] ? normal->valuestring : "none");
		break;
	default:
		fail_msg("%s: a type that the manual page has no words for", f->name);
	}
}

static void manual_tells_all(void **state)
{
	_cleanup_json_ cJSON *all = config_defaults(2, INT64_C(8) << 30);
	const struct json_field *fields;
	char *text = manual_settings(), line[200];
	size_t n, told = 0;

	(void)state;
	fields = config_fields(&n);
	for (size_t i = 0; i < n; i++) {
		line_of(&fields[i], json_get(all, fields[i].name), line, sizeof(line));
		if (!strstr(text, line))
			fail_msg("%s, SETTINGS, has no line:%s", MANUAL, line);
	}
	for (const char *at = text; (at = strstr(at, "\n.It Cm ")); at++)
		told += strncmp(at, "\n.It Cm models.", 15) != 0;
	assert_int_equal(told, n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_pass),
		cmocka_unit_test(bounds_hold),
		cmocka_unit_test(manual_tells_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
