#!/bin/bash
# tools/deps.sh build|test|lint|live|all: the Debian packages that building, testing or linting Weir needs, named here
# and nowhere else, and installed when they are missing. `live` is what is optional: the libraries of the back ends
# afxdp and dpdk, and the programs whose traffic the namespace tests and `make bench-live` pass through Weir; `all` is
# `test` and `live`.
#
# => prints nothing and does nothing when all are there; asks the network only when one is missing.
# => `--list` before the group prints the names instead.
# => WEIR_NO_DEPS=1: trust the caller (another distribution, packages from elsewhere).
# => exit status: 0 all there, 1 could not be installed, 2 wrong use.
set -euo pipefail

# One entry is one need; a|b: either will do, the first that the distribution knows is installed.
build=(gcc libc6-dev meson ninja-build 'pkg-config|pkgconf' libpcap-dev libxxhash-dev)
lint=(clang-format-14\|clang-format clang-tidy-14\|clang-tidy cppcheck shellcheck mandoc g++ python3)
test=("${build[@]}" "${lint[@]}" libcmocka-dev clang 'libclang-rt-14-dev|libclang-rt-dev|libclang-common-14-dev'
    gcovr valgrind tshark python3-pytest python3-scapy iproute2 ethtool)
live=(libxdp-dev libbpf-dev libdpdk-dev dpdk-dev nginx-light curl iperf3 wrk openssh-client openssh-server netcat-openbsd
    iputils-ping)

die() {
    echo "tools/deps.sh: $1" >&2
    exit "${2:-1}"
}

# Debian packages are installed when dpkg says so; "config-files" is what remains of a removed one.
is_installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}\n' "$1" 2>/dev/null | head -n 1)" = installed ]
}

need_is_met() {
    local package
    for package in ${1//|/ }; do
        is_installed "$package" && return 0
    done
    return 1
}

missing_needs() {
    local need
    for need in "$@"; do
        need_is_met "$need" || echo "$need"
    done
}

# The first alternative that the package lists know; the first of all when none does, so that apt names it.
pick() {
    local package
    for package in ${1//|/ }; do
        if [ -n "$(apt-cache show "$package" 2>/dev/null | head -n 1)" ]; then
            echo "$package"
            return
        fi
    done
    echo "${1%%|*}"
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

apt_get() {
    # tshark asks a debconf question and services may want a restart: nobody is here to answer.
    as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l \
        apt-get -q -o DPkg::Lock::Timeout=300 -o APT::Install-Suggests=0 "$@"
}

list_only=no
if [ "${1:-}" = --list ]; then
    list_only=yes
    shift
fi
case "${1:-}" in
build) needs=("${build[@]}") ;;
test) needs=("${test[@]}") ;;
lint) needs=("${lint[@]}") ;;
live) needs=("${live[@]}") ;;
all) needs=("${test[@]}" "${live[@]}") ;;
*) die 'usage: tools/deps.sh [--list] build|test|lint|live|all' 2 ;;
esac
if [ "$list_only" = yes ]; then
    printf '%s\n' "${needs[@]%%|*}"
    exit 0
fi
[ "${WEIR_NO_DEPS:-0}" = 0 ] || exit 0

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    die "this machine has no apt. Install what these Debian packages hold, then run again with WEIR_NO_DEPS=1:
  ${needs[*]%%|*}"
fi
mapfile -t missing < <(missing_needs "${needs[@]}")
[ "${#missing[@]}" -gt 0 ] || exit 0

if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
    die "not root and no sudo; as root run:  apt-get install ${missing[*]%%|*}"
fi
echo "Weir needs these packages, installing them: ${missing[*]%%|*}"
# One broken foreign repository fails the update; whether that matters is for the installation to find out.
apt_get update || echo 'tools/deps.sh: apt-get update had errors (above), trying with the lists there are' >&2
packages=()
for need in "${missing[@]}"; do
    packages+=("$(pick "$need")")
done
apt_get install -y --no-install-recommends "${packages[@]}" ||
    die "could not install: ${packages[*]} (apt says why, above)"
mapfile -t missing < <(missing_needs "${needs[@]}")
[ "${#missing[@]}" = 0 ] || die "still missing after installing: ${missing[*]}"
