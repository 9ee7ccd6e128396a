#!/usr/bin/env bash
# usage: install.sh BUILD CMAKE
# Installs BUILD below a fresh prefix, moves that elsewhere, and builds and runs
# a C11 and a C++17 program with what is there: by pkg-config and by CMake, with
# the shared and with the static libraries.
set -euo pipefail
build=$1 cmake=$2
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d /tmp/telltale-install-XXXXXX)
trap 'rm -rf "$work"' EXIT

"$cmake" --install "$build" --prefix "$work/first" >"$work/log"
# The tree must not care where it lies.
mv "$work/first" "$work/prefix"
prefix=$work/prefix

fail() {
  echo "$*" >&2
  exit 1
}
for file in bin/telltale share/man/man1/telltale.1 \
  share/man/man1/telltale-serve.1 \
  share/man/man3/libtelltale.3 share/bash-completion/completions/telltale \
  share/zsh/site-functions/_telltale include/telltale/emitter.h; do
  [ -f "$prefix/$file" ] || fail "not installed: $file"
done
"$prefix/bin/telltale" version >/dev/null || fail "the installed telltale does not run"
! find "$prefix" -not -name telltale-bench.1 | grep -E 'test|bench|example|fuzz' ||
  fail "installed what is only for tests"
! grep -rlI -e "$build" -e "$work/first" "$prefix/lib" || fail "a path of the build was installed"

PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name telltale.pc)")
export PKG_CONFIG_PATH
libdir=$(pkg-config --variable=libdir telltale)
export LD_LIBRARY_PATH=$libdir

# check NAME COMPILER... : builds it, runs it, clean under strict warnings.
check() {
  local name=$1
  shift
  "$@" -o "$work/$name" || fail "does not build: $name"
  "$work/$name" >/dev/null || fail "does not run: $name"
}
strict="-Wall -Wextra -Wpedantic -Werror"
c="gcc -std=c11 $strict $here/consumer/consumer.c"
cxx="g++ -std=c++17 $strict $here/consumer/consumer.cc"
core=$(pkg-config --cflags --libs telltale)
http="-DCONSUMER_HTTP $(pkg-config --cflags --libs telltale-http)"
sqlite="-DCONSUMER_SQLITE $(pkg-config --cflags --libs telltale-sqlite sqlite3)"
static=(-Wl,-Bstatic -ltelltale -Wl,-Bdynamic -pthread -lm)
static_http=(-DCONSUMER_HTTP -Wl,-Bstatic -ltelltale-http -ltelltale
  -Wl,-Bdynamic $(pkg-config --libs libcurl zlib libcrypto) -pthread -lm)
static_sqlite=(-DCONSUMER_SQLITE -Wl,-Bstatic -ltelltale-sqlite -ltelltale
  -Wl,-Bdynamic $(pkg-config --libs sqlite3 libcrypto) -pthread -lm)
include=$(pkg-config --cflags telltale)
# shellcheck disable=SC2086 # these are lists of words
{
  check c-core $c $core
  check cxx-core $cxx $core
  check c-http $c $http
  check cxx-http $cxx $http
  check c-sqlite $c $sqlite
  check cxx-sqlite $cxx $sqlite
  check c-static-sqlite $c $include -L"$libdir" "${static_sqlite[@]}"
  check c-static $c $include -L"$libdir" "${static[@]}"
  check cxx-static-http $cxx $include -L"$libdir" "${static_http[@]}"
}
# Not by a pipe: grep -q leaves at the first match, and ldd would die of it.
shared_needs=$(ldd "$work/c-core") static_needs=$(ldd "$work/c-static")
[[ $shared_needs = *"$libdir/libtelltale.so.0"* ]] ||
  fail "the program does not use the installed libtelltale.so.0"
[[ $shared_needs != *curl* && $shared_needs != *sqlite* ]] ||
  fail "libtelltale needs libcurl or libsqlite3"
[[ $static_needs != *telltale* ]] || fail "not linked statically"

"$cmake" -S "$here/consumer" -B "$work/cmake" -G Ninja \
  -DCMAKE_PREFIX_PATH="$prefix" >"$work/log" 2>&1 &&
  "$cmake" --build "$work/cmake" >>"$work/log" 2>&1 || {
  cat "$work/log" >&2
  fail "find_package(telltale) does not work"
}
for program in "$work"/cmake/*_c "$work"/cmake/*_cc; do
  "$program" >/dev/null || fail "does not run: $program"
done
