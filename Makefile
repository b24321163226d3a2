# The front door. Everything behind it is Meson and Ninja; `make help` lists the targets.
#
# Each target first sees that the Debian packages it needs are there (tools/deps.sh: silent when they are;
# WEIR_NO_DEPS=1 skips that). Directories: build (release, what you install), build-test (ASan + UBSan, frames
# poisoned), build-clang (clang, release), build-tsan (ThreadSanitizer), build-net (release, with the tests' programs),
# build-fuzz (clang, libFuzzer), build-coverage (gcov).
#
#   PREFIX=/usr/local  DESTDIR=  where `make install` puts things
#   WERROR=1                     compiler warnings are errors
#   NINJAFLAGS=-j1               passed on to ninja
#   RUNS=25  SEED=               of `make net`: 40 connections each, the first run has this seed; SEED= also of `make lossy`
#   SECONDS=60  SEED=            how long `make kernel-judge` plays connections, and which
#   MINUTES=1  TARGET=           how long `make fuzz` takes over each target; which one, all if empty

PREFIX ?= /usr/local
DESTDIR ?=
WERROR ?= 0
NINJAFLAGS ?=
RUNS ?= 25
SEED ?=
SECONDS ?= 60
MINUTES ?= 1
TARGET ?=
CAPTURE ?= tests/traces/z-http-49-flows.pcap

# The distribution's tools, whatever a python manager puts in front of them.
MESON := $(firstword $(wildcard /usr/bin/meson) meson)
NINJA := $(firstword $(wildcard /usr/bin/ninja) ninja) $(NINJAFLAGS)

ifneq ($(filter 1 yes true,$(WERROR)),)
  STRICT := -Dwerror=true
else
  STRICT := -Dwerror=false
endif

CONFIGURE := MESON="$(MESON)" tools/configure
RELEASE := --prefix="$(abspath $(PREFIX))" -Dbuildtype=release -Dtests=disabled $(STRICT)
CHECKED := -Dbuildtype=debug -Doptimization=1 -Db_sanitize=address,undefined -Db_lundef=false \
	-Dpoison=true -Dapps=true -Dtests=enabled $(STRICT)
NET := -Dbuildtype=release -Db_lundef=false -Dapps=true -Dtests=enabled $(STRICT)
CLANG := -Dbuildtype=release -Db_lundef=false -Dapps=true -Dtests=enabled -Dwerror=true
TSAN := -Dbuildtype=debug -Doptimization=1 -Db_sanitize=thread -Db_lundef=false \
	-Dapps=true -Dtests=enabled $(STRICT)
FUZZ := -Dbuildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false \
	-Dpoison=true -Dfuzz=true -Dapps=false -Dtests=enabled $(STRICT)
COVERED := -Dbuildtype=debug -Doptimization=0 -Db_coverage=true -Db_lundef=false -Dpoison=true \
	-Dapps=true -Dtests=enabled $(STRICT)

.DEFAULT_GOAL := all
.PHONY: all build help demo test check lint format tidy bench bench-live guard guard-update net kernel-judge lossy install uninstall clean check-clang tsan coverage \
	fuzz fuzz-build fuzz-merge \
	deps deps-build deps-test deps-lint deps-live deps-all

all: build

help:
	@echo 'make              build the optimised command: build/weir'
	@echo 'make demo         build it and show the connections of a real capture (CAPTURE=FILE for yours)'
	@echo 'make test         all tests under ASan and UBSan, then the lint checks; ends with "N passed, N failed"'
	@echo 'make lint         format, layers, exports, manual pages, README, cppcheck, shellcheck'
	@echo 'make format       rewrite the sources as clang-format 14 has them'
	@echo 'make tidy         clang-tidy over every source file'
	@echo 'make check-clang  release build with clang, warnings are errors, and its tests'
	@echo 'make tsan         the tests under ThreadSanitizer'
	@echo 'make coverage     the tests with gcov: lines run in each folder; fails below 95 % where it matters'
	@echo 'make net          whole transfers between real sockets over a bad line: RUNS=25 SEED= (root)'
	@echo 'make kernel-judge random connections to a real socket, for SECONDS=N (60): the same bytes? SEED= (root)'
	@echo 'make fuzz         every fuzz target for MINUTES=N (1), or TARGET=NAME alone; then a table'
	@echo 'make fuzz-merge   what was found to reach more code goes into tests/fuzz/corpus'
	@echo 'make lossy        1,000 lossy, reordered streams of 1 MB, each byte compared: SEED='
	@echo 'make bench        the benchmarks, JSON lines'
	@echo 'make bench-live   in line between namespaces, beside the kernel and DPDK: ROUNDS= ONLY= LIVE_SECONDS= (root)'
	@echo 'make deps-all     every package: for the back ends afxdp and dpdk and the tests with real programs'
	@echo 'make guard        instructions a packet, by callgrind: not more than bench/guard.json says?'
	@echo 'make guard-update write there what they are now'
	@echo 'make install      into PREFIX ($(PREFIX)) below DESTDIR'
	@echo 'make uninstall    take it away again'
	@echo 'make clean        remove every build directory'

deps: deps-test

deps-build deps-test deps-lint deps-live deps-all: deps-%:
	@tools/deps.sh $*

build: deps-build
	@$(CONFIGURE) build $(RELEASE)
	@$(NINJA) -C build

demo: build
	@tools/demo build/weir $(CAPTURE)

test check: deps-test
	@$(CONFIGURE) build-test $(CHECKED)
	@$(NINJA) -C build-test
	@MESON="$(MESON)" tools/run-tests --lint build-test

lint: deps-lint deps-build
	@$(CONFIGURE) build $(RELEASE)
	@$(NINJA) -C build
	@MESON="$(MESON)" tools/lint build

format: deps-lint
	@find src include apps examples tests bench -name '*.[ch]' | xargs -r clang-format-14 -i

tidy: deps-lint deps-test
	@$(CONFIGURE) build-test $(CHECKED)
	@$(NINJA) -C build-test build.ninja
	@tools/tidy build-test

check-clang: deps-test
	@CC=clang $(CONFIGURE) build-clang $(CLANG)
	@$(NINJA) -C build-clang
	@MESON="$(MESON)" tools/run-tests build-clang

tsan: deps-test
	@$(CONFIGURE) build-tsan $(TSAN)
	@$(NINJA) -C build-tsan
	@MESON="$(MESON)" tools/run-tests --patience 5 build-tsan

coverage: deps-test
	@$(CONFIGURE) build-coverage $(COVERED)
	@$(NINJA) -C build-coverage
	@find build-coverage -name '*.gcda' -delete
	@MESON="$(MESON)" tools/run-tests build-coverage
	@tools/coverage build-coverage

fuzz-build: deps-test
	@CC=clang $(CONFIGURE) build-fuzz $(FUZZ)
	@$(NINJA) -C build-fuzz fuzz

fuzz: fuzz-build
	@tools/fuzz run build-fuzz --minutes $(MINUTES) $(TARGET)

fuzz-merge: fuzz-build
	@tools/fuzz merge build-fuzz $(TARGET)

bench: build
	@$(MESON) test -C build --benchmark --verbose --num-processes 1

bench-live: build deps-live
	@bench/livebench.py --build build $(if $(LIVE_SECONDS),--seconds $(LIVE_SECONDS)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(ONLY),--only $(ONLY))

guard guard-update: deps-test
	@$(CONFIGURE) build $(RELEASE)
	@$(NINJA) -C build bench/guarded
	@tools/guard $(if $(findstring update,$@),--update) build

# A directory of its own: release, but with the tests' programs.
net: deps-test
	@$(CONFIGURE) build-net $(NET)
	@$(NINJA) -C build-net tests/net/faultbridge tests/net/xfer
	@tests/net/transfers --build build-net --runs $(RUNS) $(if $(SEED),--seed $(SEED))

kernel-judge: deps-test
	@$(CONFIGURE) build-net $(NET)
	@$(NINJA) -C build-net weir
	@tests/net/kernel-judge --build build-net --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

lossy: build
	@build/bench/lossy $(if $(SEED),--seed $(SEED))

install: build
	@DESTDIR="$(DESTDIR)" $(MESON) install -C build --no-rebuild
	@if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ]; then ldconfig; fi

uninstall:
	@$(NINJA) -C build uninstall

clean:
	rm -rf build build-test build-clang build-tsan build-net build-fuzz build-coverage
