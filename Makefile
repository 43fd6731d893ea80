# sidecart -- one static binary. `make help` lists what you can do.

# Left to right: a file may include only headers of modules to its left (`make tidy`).
MODULES := bytes sha date inflate file memory log life metrics address proxy throttle config json \
           print http sid signing django jwt seal password secret tls money record \
           kv clock client customer product basket \
           token trust session identity view call idempotency \
           oscar oscar_form oscar_login oscar_user oscar_product oscar_basket oscar_line \
           ocapi ocapi_customer ocapi_session ocapi_document ocapi_item ocapi_basket \
           oauth openapi resolve \
           admin admin_customer admin_key admin_session admin_product \
           route \
           link seccomp writer hasher server systemd listener supervisor \
           feed sorter probe backup command command_key command_customer command_product \
           dump gather transfer command_import command_export \
           command_session command_token command_backup command_watch command_store \
           command_ping lean main

VERSION  := $(shell cat VERSION)
COMMIT   := $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
BEARSSL  := $(shell dpkg-query -W -f '$${Version}\n' libbearssl-dev 2>/dev/null | sed 1q | grep . || echo unknown)
SIZE_MAX  = 1500000
FUZZ_S    = 10
TIME      = 600
# Files of tests that hold where all is many times slower.
VALGRIND  = short ping oscarapi metrics ocapi ocapi_baskets ocapi_bridge resolve trust django
# LONG=1: these too, of a minute or more each, for make torture.
VALGRIND_LONG = audit clock watch services
DEPS      = on

PREFIX    = /usr/local
DESTDIR   =
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)

# For another processor, with Debian's compiler for it: make CROSS=aarch64-linux-gnu
CROSS     =
CC        = $(CROSS:%=%-)gcc
STRIP     = $(CROSS:%=%-)strip
# The emulator knows no seccomp, and does not free the lock of a process that was killed.
# On 32 bits the C library has other names for calls that a test stands in for.
NO_CROSS  = tests/test_seccomp.c tests/test_whole.c tests/test_power.c tests/test_faults.c \
            tests/test_lives.c tests/test_simulate.c
SYSROOT   = $(CROSS:%=build/sysroot/%)
RUN       = $(if $(CROSS),env EMULATED=1 qemu-$(QEMU_$(CROSS))-static -L $(SYSROOT))
QEMU_aarch64-linux-gnu   = aarch64
QEMU_arm-linux-gnueabihf = arm
# No path of this machine in what is built: the same commit gives the same bytes anywhere.
# What nothing calls is left out, and so are tables for exceptions, which C has none of.
OPT       = -O2 -g -ffile-prefix-map=$(CURDIR)=. -ffunction-sections -fdata-sections \
            -fno-asynchronous-unwind-tables $(HARDEN)
WARN      = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wcast-qual \
            -Wstrict-prototypes -Wmissing-prototypes -Wvla
HARDEN    = -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
SAN       = -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
            -fno-sanitize-recover=all
# On 32-bit processors, too, times and places in files have 64 bits.
CPPFLAGS  = -D_GNU_SOURCE $(if $(filter arm-%,$(CROSS)),-D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64) -I.
CFLAGS    = -std=c11 $(OPT) $(WARN) -MMD -MP
# Not -static-pie: that one ldd takes for a program it could run.
LDFLAGS   = -static -Wl,-z,relro,-z,now,--gc-sections,--fatal-warnings,-T,order.ld
# LMDB from the archive, so that a test can stand in for the calls that it makes.
LDLIBS    = $(CROSS:%=-L$(SYSROOT)/usr/lib/%) -lbearssl -l:liblmdb.a -ljansson -lz

# Copies of the libraries without their tables for exceptions, which nothing here throws: 75 KB
# of the static binary.
LEAN      = $(if $(CROSS),,$(if $(LDFLAGS),$(patsubst %,$(O)/lib/lib%.a,bearssl lmdb jansson z c)))

# One set of rules, one object directory per flavour: O and OPT pick it.
O         = build/$(or $(CROSS),release)
BIN       = build/$(CROSS:%=%/)sidecart
SRC      := $(wildcard $(MODULES:%=%.c))
# lean.c is for the static binary; tests and sanitized binaries have the C library's own.
OBJ       = $(filter-out $(if $(LDFLAGS),,$(O)/lean.o),$(SRC:%.c=$(O)/%.o)) $(O)/openapi.o
LIB       = $(filter-out $(O)/lean.o $(O)/main.o,$(OBJ))
UNITS     = $(patsubst %.c,$(O)/%,$(filter-out $(if $(CROSS),$(NO_CROSS)),$(wildcard tests/test_*.c)))
FUZZERS   = $(patsubst %.c,$(O)/%,$(wildcard tests/fuzz_*.c))
C_FILES  := $(SRC) $(wildcard tests/*.c bench/*.c)
H_FILES  := $(wildcard *.h tests/*.h bench/*.h)
MANUALS  := $(wildcard docs/*.[1-8])

BENCHES   = run peers writes workers hashers growth memory

INSTALLED = bin/sidecart lib/systemd/system/sidecart.service lib/systemd/system/sidecart.socket \
            lib/sysusers.d/sidecart.conf lib/tmpfiles.d/sidecart.conf \
            share/man/man1/sidecart.1 share/doc/sidecart/sidecart.conf \
            share/doc/sidecart/copyright
ARCHITECTURE = $(if $(CROSS),$(or $(DEBIAN_$(CROSS)),$(CROSS)),$(shell dpkg --print-architecture))
DEBIAN_aarch64-linux-gnu   = arm64
DEBIAN_arm-linux-gnueabihf = armhf
DEB       = sidecart_$(VERSION)_$(ARCHITECTURE).deb
IMAGE     = sidecart_$(VERSION)_$(ARCHITECTURE).oci.tar

MAKEFLAGS += --no-print-directory
ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j2
endif
# What runs once, by hand or seldom is made small instead of fast.
COLD      = $(filter config file supervisor listener systemd log print view admin% feed sorter \
              dump gather transfer command% backup probe metrics tls,$(MODULES))
# One short line a file; V=1 shows the whole command.
say       = $(if $(V),,@echo '  $(1)';)
comma     = ,
sub       = $(MAKE) O=build/$(1) OPT='$(2)' LDFLAGS=

all: $(BIN)                      ## build the static binary build/sidecart (the default)

run: deps-build+run              ## build it, then serve a demo on 127.0.0.1:8080
	@$(MAKE) build/sidecart
	@./demo.sh

test: deps-build+test            ## unit tests under ASan and UBSan, end-to-end tests
	@+MAKE='$(MAKE)' tests/run.sh test units simulation build/sidecart end-to-end

# TESTED=1: after make test, which has run the unit tests.
check: deps-build+test+check     ## what must pass before a commit
	@+MAKE='$(MAKE)' tests/run.sh check tidy warn-gcc warn-clang clang-tidy cppcheck \
	  manual service reproducible layout taint $(if $(TESTED),,units) size instructions \
	  end-to-end-san valgrind guarantees

bench: deps-build+bench          ## how fast, beside peers and targets; BENCH=--quick is for trying
	@$(MAKE) build/sidecart $(addprefix build/bench/,null fill batches hashes mixed \
	  sidecart-slow node_modules)
	@build/bench/hashes
	@bad=0; for b in $(BENCHES); do echo "== bench/$$b"; bench/$$b --history $(BENCH) || bad=1; \
	  done; bench/plot $(BENCH) || bad=1; exit $$bad

instructions: build/sidecart build/bench/fill ## user-space instructions per request, and their budget
	@bench/instructions

alike: deps-build+bench          ## does the time of an answer tell dead ids from unknown ones?
	@$(MAKE) build/sidecart
	@bench/alike

units:                           ## unit tests under ASan and UBSan
	@+$(call sub,san,$(SAN)) run-units
simulation: build/release/tests/test_simulate ## a million operations against a plain model
	@OPERATIONS=1000000 timeout 900 $<
end-to-end: build/sidecart build/next build/hurried build/attack ## tests/test_*.py on build/sidecart
	@tests/end-to-end.sh $<
# Leaks are looked for in the unit tests; here that takes half of the time.
end-to-end-san: build/attack     ## the same on a binary with ASan and UBSan
	@+$(call sub,san,$(SAN)) build/san/sidecart build/san/hurried
	@ASAN_OPTIONS=detect_leaks=0 tests/end-to-end.sh build/san/sidecart

valgrind: build/attack           ## the tests of VALGRIND on a binary under valgrind
	@+$(call sub,valgrind,-O2 -g) build/valgrind/sidecart build/valgrind/hurried
	@mkdir -p build/checked && for name in sidecart hurried; do \
	  printf '#!/bin/sh\nexec valgrind %s "$$@"\n' '-q --error-exitcode=9 --trace-children=yes \
	  --leak-check=no $(CURDIR)/build/valgrind/'$$name >build/checked/$$name; done
	@chmod +x build/checked/* && tests/end-to-end.sh build/checked/sidecart $(VALGRIND) \
	  $(if $(LONG),$(VALGRIND_LONG))

tidy:                            ## include order, lengths, banned calls; scripts parse
	@awk -v modules="$(MODULES)" -f tests/tidy.awk $(C_FILES) $(H_FILES)
	@for n in $$(grep -o 'text\.[a-z0-9_]*' order.ld | cut -d. -f2 | grep -v 'evex\|avx'); do \
	  grep -q "\<$$n[a-z0-9_]*(" $(SRC) || { echo "order.ld: no function $$n"; exit 1; }; done
	@for f in .ci/run demo.sh deps.sh $(wildcard tests/*.sh deploy/*.sh deploy/debian/*); do \
	  case $$(head -n 1 $$f) in '#!'*sh*) bash -n $$f || exit 1 ;; esac; done
warn-gcc:                        ## no warning from gcc
	@+$(call sub,$@,-O2 -Werror $(HARDEN)) CC=gcc objects
warn-clang:                      ## no warning from clang
	@+$(call sub,$@,-O2 -Werror $(HARDEN)) CC=clang objects
clang-tidy:                      ## the checks of .clang-tidy
	@printf '%s\n' $(SRC) | xargs -P 2 -n 3 sh -c \
	  'clang-tidy --quiet "$$@" -- $(CPPFLAGS) -std=c11 2>/dev/null' clang-tidy
cppcheck:                        ## static analysis
	@cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,portability \
	  $(addprefix --suppress=,missingIncludeSystem legacyUninitvar ctuuninitvar \
	  internalAstError) $(CPPFLAGS) $(SRC)
taint:                           ## no branch depends on a secret, by valgrind
	@+$(call sub,taint,-O2 -g -include tests/taint.h) run-taint
manual:                          ## lint of the man page
	@for m in $(MANUALS); do mandoc -T lint -W warning $$m || exit 1; done
service: build/sidecart          ## the systemd units: no finding, exposure of 1.5 at most
	@mkdir -p build/units && for unit in sidecart.service sidecart.socket; do \
	  sed 's,/usr/bin/sidecart,$(CURDIR)/build/sidecart,' deploy/$$unit >build/units/$$unit; done
	@systemd-analyze verify --man=no build/units/sidecart.service build/units/sidecart.socket
	@systemd-analyze security --offline=true --threshold=15 --no-pager deploy/sidecart.service \
	  >build/units/exposure || { cat build/units/exposure; exit 1; }
	@tail -1 build/units/exposure
guarantees:                      ## every test that docs/GUARANTEES.md names is there and ran
	@/usr/bin/python3 tests/guarantees.py
layout:                          ## what clang-format would change: advice, never a failure
	@{ for f in $(C_FILES) $(H_FILES); do clang-format --dry-run $$f 2>&1; done; } 2>/dev/null \
	  | grep -c warning: | sed 's/$$/ places that clang-format would lay out otherwise/'
size: build/sidecart             ## the stripped binary stays below 1.5 MB
	@strip -o build/sidecart.stripped $< && bytes=$$(wc -c <build/sidecart.stripped) && \
	  echo "$$bytes bytes stripped, $$(cat $(SRC) *.h | wc -l) lines of C" && \
	  [ "$$bytes" -lt $(SIZE_MAX) ]

install: $(BIN)                  ## copy it under PREFIX, in front of that DESTDIR
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,$(sort $(dir $(INSTALLED))))
	$(STRIP) -o $(DESTDIR)$(PREFIX)/bin/sidecart $(BIN)
	sed 's,/usr/bin/sidecart,$(PREFIX)/bin/sidecart,' deploy/sidecart.service \
	  >$(DESTDIR)$(PREFIX)/lib/systemd/system/sidecart.service
	install -m 644 deploy/sidecart.socket $(DESTDIR)$(PREFIX)/lib/systemd/system/sidecart.socket
	install -m 644 deploy/sidecart.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/sidecart.conf
	install -m 644 deploy/sidecart.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/sidecart.conf
	install -m 644 docs/sidecart.1 $(DESTDIR)$(PREFIX)/share/man/man1/sidecart.1
	install -m 644 deploy/sidecart.conf $(DESTDIR)$(PREFIX)/share/doc/sidecart/sidecart.conf
	install -m 644 LICENSE $(DESTDIR)$(PREFIX)/share/doc/sidecart/copyright
	chmod 755 $(DESTDIR)$(PREFIX)/bin/sidecart
	chmod 644 $(DESTDIR)$(PREFIX)/lib/systemd/system/sidecart.service
uninstall:                       ## remove what install copied; settings and store stay
	rm -f $(INSTALLED:%=$(DESTDIR)$(PREFIX)/%)
	-rmdir $(DESTDIR)$(PREFIX)/share/doc/sidecart
cross: deps-build+test+cross     ## for arm64 and armhf: built, and tested in an emulator
	@+MAKE='$(MAKE)' tests/run.sh cross cross-aarch64-linux-gnu cross-arm-linux-gnueabihf
cross-%:
	@+$(MAKE) CROSS=$* all run-units
	@printf '#!/bin/sh\nexec qemu-%s-static %s "$$@"\n' $(QEMU_$*) \
	  $(CURDIR)/build/$*/sidecart >build/$*/emulated && chmod +x build/$*/emulated
	@EMULATED=$* SIDECART_BIN=build/$*/emulated \
	  /usr/bin/python3 -m pytest -q tests/test_short.py tests/test_image.py
deb: $(BIN)                      ## a Debian package in build/
	@rm -rf build/deb && $(MAKE) -s install DESTDIR=build/deb PREFIX=/usr
	@deploy/debian/build.sh build/deb $(VERSION) $(ARCHITECTURE) build/$(DEB) && echo build/$(DEB)
image: $(BIN)                    ## an image for containers in build/, from scratch
	@$(STRIP) -o $(O)/sidecart.stripped $(BIN)
	@deploy/image.sh $(O)/sidecart.stripped $(VERSION) $(ARCHITECTURE) $(COMMIT) build/$(IMAGE) \
	  && echo build/$(IMAGE)
dist: deb image $(if $(CROSS),,sbom) ## versioned archives and their checksums in build/dist/
	@+MAKE='$(MAKE)' CROSS='$(CROSS)' deploy/dist.sh $(VERSION) $(ARCHITECTURE) \
	  build/$(DEB) build/$(IMAGE)

cover:                           ## line and branch coverage of the unit tests, a line a file
	@+$(call sub,cover,-O0 -g --coverage) run-units
	@gcov -bn build/cover/*.gcda 2>/dev/null | awk -f tests/cover.awk
fuzz: deps-build+fuzz            ## libFuzzer, FUZZ_S seconds each of tests/fuzz_*.c
	@+MAKE='$(MAKE)' tests/run.sh fuzz fuzzers
fuzzers:
	@+$(call sub,fuzz,$(SAN) -fsanitize=fuzzer-no-link) CC=clang run-fuzzers
torture: deps-build+test+torture ## long forms of the tests that draw: TIME seconds, from SEED on
	@+$(call sub,san,$(SAN)) $(addprefix build/san/tests/test_,power faults lives)
	@+$(call sub,afl,-O2 -g) CC=afl-clang-fast AFL_QUIET=1 build/afl/tests/fuzz_front
	@$(MAKE) build/sidecart build/hurried build/attack build/release/tests/test_simulate
	@TIME=$(TIME) SEED=$(SEED) tests/torture.sh build/san/tests build/sidecart build/afl/tests
compile_commands.json: Makefile  ## for editors and clangd
	@for f in $(C_FILES); do printf '{"directory":"%s","file":"%s","command":"%s"},\n' \
	  "$(CURDIR)" $$f "cc $(CPPFLAGS) -std=c11 $(WARN) -c $$f"; done \
	  | sed '1s/^/[/; $$s/,$$/]/' >$@
clean:                           ## remove build/
	rm -rf build
help:                            ## this list
	@awk -F ':.*## ' '/^[a-z_.-]+:.*## / { printf "  %-22s %s\n", $$1, $$2 }' Makefile

deps-%:
	@[ $(DEPS) = off ] || ./deps.sh $(subst +, ,$*)

build/sidecart: build/release/sidecart
	@ln -f $< $@
build/sysroot/%/done: tests/sysroot.sh
	@tests/sysroot.sh $(DEBIAN_$*) build/sysroot/$*
reproducible:                    ## two builds of one commit, in two places, are equal
	@+MAKE='$(MAKE)' tests/reproducible.sh $(COMMIT)
$(O)/sidecart: $(OBJ) | order.ld $(LEAN)
	$(call say,LD $@)$(CC) $(OPT) $(LDFLAGS) $(if $(LEAN),-L$(O)/lib) -o $@ $^ $(LDLIBS)
# The same binary once more, with the linker's map of it.
sbom: $(BIN)                     ## what the static binary holds, in build/sidecart.spdx.json
	@mkdir -p build/sbom && $(CC) $(OPT) $(LDFLAGS) -Wl,-Map=build/sbom/map -L$(O)/lib \
	  -o build/sbom/sidecart $(OBJ) $(LDLIBS) && cmp build/sbom/sidecart $(BIN)
	@$(STRIP) build/sbom/sidecart
	@deploy/sbom.sh build/sbom/map build/sbom/sidecart $(VERSION) $(COMMIT) $(ARCHITECTURE) \
	  >build/sbom/json && mv build/sbom/json build/sidecart.spdx.json
	@echo build/sidecart.spdx.json
$(O)/lib/%.a:
	@mkdir -p $(@D) && objcopy -D --remove-section=.eh_frame \
	  "$$($(CC) -print-file-name=$(@F))" $@
# What this version's successor would be, with another field in each record.
NEXT_WRAPS = session customer client product basket
build/next: $(OBJ) $(O)/tests/record_next.o
	$(call say,LD $@)$(CC) $(OPT) $(LDFLAGS) -o $@ $^ $(LDLIBS) \
	  $(NEXT_WRAPS:%=-Wl$(comma)--wrap=record_%_write)
# Beside each binary that is tested, the same with a clock that stands until a test moves it on.
HURRIED_WRAPS = clock_gettime time poll __poll_chk epoll_wait close clock_move command_stat \
                session_sweep
build/hurried: build/release/hurried
	@ln -f $< $@
$(O)/hurried: $(OBJ) $(O)/tests/hurried.o
	$(call say,LD $@)$(CC) $(OPT) $(LDFLAGS) -o $@ $^ $(LDLIBS) \
	  $(HURRIED_WRAPS:%=-Wl$(comma)--wrap=%)
# Hostile clients, for tests/test_hostile.py.
build/attack: $(O)/tests/attack.o
	$(call say,LD $@)$(CC) $(OPT) -o $@ $^ -l:liblmdb.a
build/bench/node_modules: bench/peers.d/package.json
	@mkdir -p $(@D) && cp $< $(@D) && npm install --prefix $(@D) --ignore-scripts --no-audit \
	  --no-fund --no-package-lock --loglevel=error && touch $@
build/bench/%: build/release/bench/%
	@mkdir -p $(@D) && ln -f $< $@
# Whose disk is slow: fdatasync() takes 20 ms more.
build/bench/sidecart-slow: $(OBJ) $(O)/bench/slow_disk.o | $(LEAN)
	@mkdir -p $(@D)
	$(call say,LD $@)$(CC) $(OPT) $(LDFLAGS) $(if $(LEAN),-L$(O)/lib) -o $@ $^ $(LDLIBS) \
	  -Wl,--wrap=fdatasync
$(O)/bench/null: $(O)/bench/null.o
	$(call say,LD $@)$(CC) $(OPT) $(LDFLAGS) -o $@ $^
$(O)/bench/fill $(O)/bench/batches $(O)/bench/hashes $(O)/bench/mixed: %: %.o $(LIB)
	$(call say,LD $@)$(CC) $(OPT) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lm
# A test that defines __wrap_NAME() stands in for NAME() of every module; one that includes NAME.c
# has that module's own. Headers of tests/ that it includes, and theirs, count as its own text.
heads = $(wildcard $(shell sed -n 's/^#include "\(.*\.h\)".*/tests\/\1/p' $(1) /dev/null))
text = $(1) $(call heads,$(1)) $(call heads,$(call heads,$(1)))
instead = $(filter-out $(patsubst %,$(O)/%.o,$(shell \
	  sed -n 's/^#include "\(.*\)\.c"/\1/p' $(call text,$(1)))),$^)
wraps = $(patsubst __wrap_%,-Wl$(comma)--wrap=%,$(shell \
	  grep -oh '__wrap_[a-z0-9][a-z0-9_]*' $(call text,$(1)) | sort -u))
$(O)/tests/test_%: $(O)/tests/test_%.o $(LIB)
	$(call say,LD $@)$(CC) $(OPT) -o $@ $(call instead,tests/test_$*.c) -lcmocka $(LDLIBS) \
	  $(call wraps,tests/test_$*.c)
$(O)/tests/taint: $(O)/tests/taint.o $(LIB)
	$(call say,LD $@)$(CC) $(OPT) -o $@ $^ $(LDLIBS) \
	  $(call wraps,tests/taint.c)
$(O)/tests/fuzz_%: $(O)/tests/fuzz_%.o $(LIB)
	$(call say,LD $@)$(CC) $(OPT) -fsanitize=fuzzer -o $@ $(call instead,tests/fuzz_$*.c) $(LDLIBS) \
	  $(call wraps,tests/fuzz_$*.c)
$(O)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC $@)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<
$(O)/openapi.o: openapi.S $(O)/openapi.gz Makefile
	$(call say,AS $@)$(CC) -c -Wa,-I$(O) -o $@ $<
# The indentation is for who reads the file.
$(O)/openapi.gz: docs/openapi.json
	@mkdir -p $(@D) && sed 's/^ *//' $< | tr -d '\n' | gzip -9n >$@

$(COLD:%=$(O)/%.o): OPT += -Os

# --version names the commit: only this object is made anew when it changes.
$(O)/command.o: CPPFLAGS += -DSIDECART_VERSION='"$(VERSION)"' -DSIDECART_COMMIT='"$(COMMIT)"' \
                            -DSIDECART_BEARSSL='"$(BEARSSL)"'
$(O)/command.o: VERSION build/commit/$(COMMIT)
build/commit/%:
	@rm -rf $(@D) && mkdir -p $(@D) && touch $@

objects: $(OBJ) $(patsubst %.c,$(O)/%.o,$(filter tests/test_%,$(C_FILES)))
run-units: $(UNITS)
	@bad=0; for t in $^; do \
	  if CMOCKA_MESSAGE_OUTPUT=stdout timeout 300 $(RUN) $$t >$$t.log 2>&1; \
	  then awk -v t=$${t##*/} '/^\[  [PFS].* test\(s\)/ { print $$0, t }' $$t.log; \
	  else bad=1; cat $$t.log; echo "$$t failed"; fi; done; exit $$bad
run-taint: $(O)/tests/taint
	@valgrind -q --error-exitcode=1 $< >/dev/null
	@for fault in compare store; do \
	  valgrind -q --error-exitcode=9 $< $$fault >/dev/null 2>&1; [ $$? = 9 ] || exit 1; done
run-fuzzers: $(FUZZERS)
	@tests/fuzz.sh $(FUZZ_S) $^

.PHONY: all run test simulation check bench alike instructions install uninstall deb image dist sbom \
        reproducible cross units end-to-end end-to-end-san tidy warn-gcc warn-clang \
        clang-tidy cppcheck taint manual service guarantees layout size cover fuzz fuzzers torture \
        valgrind clean help objects run-units run-taint run-fuzzers
.SECONDARY:
$(if $(CROSS),$(OBJ): | $(SYSROOT)/done)
-include $(wildcard $(O)/*.d $(O)/tests/*.d)
