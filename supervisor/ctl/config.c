/* config: get, set, models. */
#include <stdlib.h>
#include <string.h>

#include "shared/json.h"
#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/text.h"

static void print_value(const cJSON *value)
{
	char *text;
	struct buf clean;
	struct term_filter filter = {0};

	if (cJSON_IsString(value)) {
		buf_init(&clean, 0);
		term_filter_add(&filter, &clean, value->valuestring, strlen(value->valuestring));
		printf("%s\n", clean.len ? clean.data : "");
		buf_clear(&clean);
		return;
	}
	text = json_print(value);
	puts(text);
	free(text);
}

static void print_group(const struct ctl *c, const char *prefix, const cJSON *group)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, group) {
		char name[96];

		snprintf(name, sizeof(name), "%s%s", prefix, item->string);
		printf("%s%-22s%s ", term_on(&c->out, TERM_BOLD), name,
			term_off(&c->out, TERM_BOLD));
		print_value(item);
	}
}

static int get(struct ctl *c, const char *key, bool models_only)
{
	_cleanup_json_ cJSON *r = NULL;
	const cJSON *value;
	struct err e;

	if (ctl_ask(c, "config.get", NULL, CTL_ASK_MS, &r, &e) < 0)
		return ctl_fail(c, &e);
	if (key) {
		value = strncmp(key, "models.", 7) == 0 ? json_get(json_get(r, "models"), key + 7)
							: json_get(json_get(r, "general"), key);
		if (!value) {
			err_set(&e, ERR_NOT_FOUND,
				"there is no configuration key %s: `100x "
				"config` lists them",
				key);
			return ctl_fail(c, &e);
		}
		if (c->json)
			return ctl_print(value);
		print_value(value);
		return CTL_OK;
	}
	if (c->json)
		return ctl_print(models_only ? json_get(r, "models") : r);
	print_group(c, "models.", json_get(r, "models"));
	if (!models_only)
		print_group(c, "", json_get(r, "general"));
	return CTL_OK;
}

/* The text of a value in the type that the key has now: a string stays one, anything
 * else is read as JSON. */
static cJSON *typed(const cJSON *now, const char *text, struct err *e)
{
	cJSON *value;

	if (cJSON_IsString(now))
		return cJSON_CreateString(text);
	if (cJSON_IsBool(now) && (strcmp(text, "on") == 0 || strcmp(text, "off") == 0))
		return cJSON_CreateBool(strcmp(text, "on") == 0);
	value = json_parse(text, strlen(text), TEXT_MAX, e);
	if (!value)
		err_set(e, ERR_INVALID, "\"%s\" must be %s", text,
			cJSON_IsBool(now)    ? "true or false"
			: cJSON_IsArray(now) ? "a list such as [\"program\", \"argument\"]"
					     : "a number");
	return value;
}

static int set_one(cJSON *params, const cJSON *config, const char *word, struct err *e)
{
	const char *equals = strchr(word, '=');
	char key[64];
	bool model;
	const char *group, *name;
	const cJSON *now;
	struct buf text;
	cJSON *value;

	if (!equals || equals == word || (size_t)(equals - word) >= sizeof(key))
		return err_set(e, ERR_INVALID, "\"%s\" is not KEY=VALUE", word);
	snprintf(key, sizeof(key), "%.*s", (int)(equals - word), word);
	model = strncmp(key, "models.", 7) == 0;
	group = model ? "models" : "general";
	name = model ? key + 7 : key;
	now = json_get(json_get(config, group), name);
	if (!now)
		return err_set(e, ERR_INVALID,
			"there is no configuration key %s: `100x config` lists them", key);
	buf_init(&text, TEXT_MAX);
	if (strcmp(equals + 1, "-") == 0) {
		if (text_read("-", &text, e) < 0)
			return -1;
	} else {
		buf_adds(&text, equals + 1);
	}
	value = typed(now, text.data ? text.data : "", e);
	buf_clear(&text);
	if (!value)
		return err_wrap(e, "%s", key);
	if (!cJSON_HasObjectItem(params, group))
		cJSON_AddObjectToObject(params, group);
	cJSON_DeleteItemFromObjectCaseSensitive(
		cJSON_GetObjectItemCaseSensitive(params, group), name);
	cJSON_AddItemToObject(cJSON_GetObjectItemCaseSensitive(params, group), name, value);
	return 0;
}

static int set(struct ctl *c, const struct args *a)
{
	_cleanup_json_ cJSON *config = NULL;
	_cleanup_json_ cJSON *r = NULL;
	cJSON *params;
	struct err e;

	if (a->word_count < 2)
		return ctl_usage("config", "config set wants KEY=VALUE");
	if (ctl_ask(c, "config.get", NULL, CTL_ASK_MS, &config, &e) < 0)
		return ctl_fail(c, &e);
	params = cJSON_CreateObject();
	for (size_t i = 1; i < a->word_count; i++) {
		if (set_one(params, config, a->words[i], &e) < 0) {
			cJSON_Delete(params);
			return ctl_fail(c, &e);
		}
	}
	if (ctl_ask(c, "config.set", params, CTL_ASK_MS, &r, &e) < 0)
		return ctl_fail(c, &e);
	if (c->json)
		return ctl_print(r);
	puts("Set.");
	return CTL_OK;
}

int ctl_config(struct ctl *c, const struct args *a)
{
	const char *verb = a->word_count ? a->words[0] : "get";

	if (strcmp(verb, "get") == 0 && a->word_count <= 2)
		return get(c, a->word_count == 2 ? a->words[1] : NULL, false);
	if (strcmp(verb, "models") == 0 && a->word_count == 1)
		return get(c, NULL, true);
	if (strcmp(verb, "set") == 0)
		return set(c, a);
	return ctl_usage("config", "config wants get, set or models");
}
