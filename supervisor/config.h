/* The general configuration: keys, types, bounds, defaults. Values are JSON. */
#ifndef SUPERVISOR_CONFIG_H
#define SUPERVISOR_CONFIG_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "shared/err.h"
#include "shared/json.h"

/* Every key with its type and bounds; *n of them. docs/man/100x.1 tells the same. */
const struct json_field *config_fields(size_t *n);

/* Every key with its default, on a machine of this size. The caller owns it. */
cJSON *config_defaults(int cores, int64_t memory_bytes);

/* Checks an object of some or all keys. ERR_INVALID names the key and what it should be. */
int config_check(const cJSON *general, struct err *e);

/* Checks {"orchestrator", "agent", "aider"} (each optional): strings that model_parse takes. */
int config_check_models(const cJSON *models, struct err *e);

/* Cores this process may use, and bytes of memory that can be had without swapping. */
void config_machine(int *cores, int64_t *memory_bytes);

#endif
