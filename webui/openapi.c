#include "webui/api.h"

/* The file as it is, readable beside this one. */
__asm__(".section .rodata\n"
	".global openapi_json\n"
	"openapi_json: .incbin \"webui/openapi.json\"\n"
	".byte 0\n"
	".previous\n");
