/* Events as people read them. Pure. All foreign text is made harmless. */
#ifndef CTL_RENDER_H
#define CTL_RENDER_H

#include <cjson/cJSON.h>

#include "shared/buf.h"
#include "supervisor/ctl/term.h"

/* One line (without line end, with colours of term) that sums up an event; nothing for
 * a kind that is not known. */
void render_summary(struct buf *out, const struct term *term, const char *kind, const cJSON *body);

/* An agent's log: streamed text as it is, everything else on lines of its own. */
struct render {
	struct term term;
	struct term_filter filter; /* of the stream that is open */
	char stream[16];	   /* of the text that is open; "" */
	bool mid_line;
};
void render_log(struct render *r, struct buf *out, const char *kind, const cJSON *body);
/* Ends an open line. */
void render_end(struct render *r, struct buf *out);

#endif
