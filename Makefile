# 100x-orchestrator. `make` builds the programs, `make MODE=asan` the same under
# ASan and UBSan; every folder's objects but main.o form an archive that the
# tests link.
MODE ?= release
PREFIX ?= /usr/local
DESTDIR ?=
B := build/$(MODE)

CC ?= gcc
CLANG ?= clang
VERSION := $(shell cat VERSION)

PKGS := sqlite3 libgit2 libcurl libcjson libuv libzstd
WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 \
	-Wconversion -Wno-sign-conversion -Wpointer-arith -Wvla
CPPFLAGS += -I. -D_GNU_SOURCE -DVERSION_STRING='"$(VERSION)"' $(shell pkg-config --cflags $(PKGS))
HARDEN := -fPIE -fstack-protector-strong -fcf-protection
ifeq ($(MODE),asan)
OPT := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
LINK := -fsanitize=address,undefined -pie
else ifeq ($(MODE),coverage)
OPT := -O0 -g --coverage
LINK := --coverage -pie -Wl,--wrap=_exit
else ifeq ($(MODE),chaos)
OPT := -O1 -g -DCRASH_POINTS
LINK := -pie
else
OPT := -O2 -g -D_FORTIFY_SOURCE=2
LINK := -pie -Wl,-z,relro,-z,now
endif
CFLAGS := -std=gnu17 $(OPT) $(WARN) $(HARDEN) -MMD -MP
LIBS := $(shell pkg-config --libs $(PKGS)) -lnng -lcivetweb -lpthread -lm

objects = $(patsubst %.c,$(B)/%.o,$(wildcard $(1)/*.c))
library = $(filter-out $(B)/$(1)/main.o,$(call objects,$(1)))

PROGRAMS := $(B)/100x $(B)/100x-supervisor $(B)/100x-worker $(B)/100x-webui $(B)/100x-guard
SUPPORT := $(patsubst tests/support/%.c,$(B)/tests/%,$(wildcard tests/support/*.c))
BENCHES := $(patsubst tests/bench/%.c,$(B)/bench/%,$(wildcard tests/bench/*.c))
UNITS := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/*/test_*.c))
PROBES := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/*/*_probe.c))
FUZZERS := $(patsubst tests/fuzz/fuzz_%.c,build/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))

all: programs support
programs: $(PROGRAMS)
support: $(SUPPORT)
benches: $(BENCHES)
units: $(UNITS) $(PROBES) $(B)/100x-guard
fuzzers: $(FUZZERS)
faults: $(B)/fault/libfault.so $(B)/fault/paths

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# Embedded by the assembler, which tells no dependencies.
$(B)/webui/openapi.o: webui/openapi.json

# An archive is rebuilt from nothing, so a deleted source leaves no object behind.
define archive
$(B)/lib$(2).a: $(call library,$(1))
	@rm -f $$@
	ar rcs $$@ $$^
endef
ifeq ($(MODE),coverage)
$(B)/libshared.a: $(B)/tests/coverage/exit.o
endif
$(eval $(call archive,shared,shared))
$(eval $(call archive,supervisor,supervisor))
$(eval $(call archive,supervisor/ctl,ctl))
$(eval $(call archive,worker,worker))
$(eval $(call archive,webui,webui))

$(B)/100x: $(B)/supervisor/ctl/main.o $(B)/libctl.a $(B)/libshared.a
	$(CC) $(LINK) -o $@ $^ $(LIBS)
$(B)/100x-supervisor: $(B)/supervisor/main.o $(B)/libsupervisor.a $(B)/libshared.a
	$(CC) $(LINK) -o $@ $^ $(LIBS)
$(B)/100x-worker: $(B)/worker/main.o $(B)/libworker.a $(B)/libshared.a
	$(CC) $(LINK) -o $@ $^ $(LIBS)
$(B)/100x-webui: $(B)/webui/main.o $(B)/libwebui.a $(B)/libshared.a
	$(CC) $(LINK) -o $@ $^ $(LIBS)
# With the C library alone: it starts in a tenth of the worker's time.
$(B)/100x-guard: $(patsubst %.c,$(B)/%.o,$(wildcard worker/guard/*.c)) $(B)/libshared.a
	$(CC) $(LINK) -o $@ $^
$(B)/tests/%: $(B)/tests/support/%.o $(B)/libshared.a
	@mkdir -p $(@D)
	$(CC) $(LINK) -o $@ $^ $(LIBS)
$(B)/bench/%: $(B)/tests/bench/%.o $(B)/libshared.a
	@mkdir -p $(@D)
	$(CC) $(LINK) -o $@ $^ $(LIBS)

# The n-th call fails (tests/fault).
$(B)/fault/libfault.so: tests/fault/fault.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -fPIC -shared -o $@ $< -ldl
$(B)/fault/paths: $(B)/tests/fault/paths.o $(B)/libworker.a $(B)/libsupervisor.a $(B)/libshared.a
	@mkdir -p $(@D)
	$(CC) $(LINK) -o $@ $^ $(LIBS)

# tests/unit/<folder>/test_x.c is linked with that folder's archive and shared's; so is
# x_probe.c, which a node test runs.
define unit
$(B)/unit/$(1)/%: $(B)/tests/unit/$(1)/%.o $(B)/lib$(1).a $(B)/libshared.a
	@mkdir -p $$(@D)
	$$(CC) $$(LINK) -o $$@ $$^ $$(LIBS) -lcmocka
endef
$(foreach f,supervisor ctl worker webui,$(eval $(call unit,$(f))))
$(B)/unit/shared/%: $(B)/tests/unit/shared/%.o $(B)/libshared.a
	@mkdir -p $(@D)
	$(CC) $(LINK) -o $@ $^ $(LIBS) -lcmocka
# The supervisor finds its workers beside itself.
$(filter $(B)/unit/supervisor/%,$(UNITS)): | $(B)/unit/supervisor/100x-worker
$(B)/unit/supervisor/100x-worker: tests/unit/supervisor/worker.sh
	@mkdir -p $(@D)
	install -m 755 $< $@

# tests/fuzz/fuzz_x.c is linked with shared's archive and that of the folder it names in a
# line "// folder: x". What it defines itself goes before theirs.
F := build/fuzz/objects
FUZZ_FLAGS := -std=gnu17 -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all
$(F)/%.o: %.c
	@mkdir -p $(@D)
	$(CLANG) $(CPPFLAGS) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<
$(F)/webui/openapi.o: webui/openapi.json
define fuzz_archive
$(F)/$(1).a: $(patsubst %.c,$(F)/%.o,$(filter-out $(1)/main.c,$(wildcard $(1)/*.c)))
	@rm -f $$@
	ar rcs $$@ $$^
endef
$(foreach f,shared supervisor supervisor/ctl worker webui,$(eval $(call fuzz_archive,$(f))))
define fuzz
build/fuzz/$(1): $(F)/tests/fuzz/fuzz_$(1).o $(F)/shared.a \
		$(addprefix $(F)/,$(addsuffix .a,$(shell sed -n 's,^// folder: ,,p' tests/fuzz/fuzz_$(1).c)))
	$(CLANG) $(FUZZ_FLAGS) -fsanitize=fuzzer -Wl,--allow-multiple-definition -o $$@ $$< \
		$$(filter-out $(F)/shared.a,$$(filter %.a,$$^)) $(F)/shared.a $(LIBS)
endef
$(foreach f,$(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c)),$(eval $(call fuzz,$(f))))

check: units
	@set -e; for t in $(UNITS); do $$t; done

lint:
	scripts/lint

web:
	cd webui/app && npm ci --no-audit --no-fund && npm run build

bench: programs support benches
	scripts/bench

# Random kills for as long as one likes: make soak SEED=7 MINUTES=60. CALM=1: nobody is
# killed, and what leaks shows. LINES=20000: nobody is killed, and agents say so many lines a
# second.
soak: programs support
ifdef LINES
	node tests/chaos/flow.mjs --rate $(LINES) --minutes $(or $(MINUTES),10)
else
	node tests/chaos/chaos.mjs --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED)) $(if $(CALM),--calm)
endif

# Lines that tests ran, by area; fails below 90 %.
coverage:
	scripts/coverage

clean:
	rm -rf build

-include $(shell find $(B) $(F) -name '*.d' 2>/dev/null)
-include scripts/install.mk

.PHONY: all programs support benches units fuzzers faults check lint web bench soak coverage clean install
.SECONDARY:
.DELETE_ON_ERROR:
