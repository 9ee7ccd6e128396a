#!/usr/bin/env bash
# usage: symbols.sh [--write] LIBRARY.so LIST
# What the library exports is what the list promises: a name that is gone breaks
# programs, a name that is new is a promise that somebody must mean to make.
# --write: make the list what the library exports.
set -euo pipefail
write=
if [ "${1:-}" = --write ]; then
  write=1
  shift
fi
library=$1 list=$2
exported=$(nm -D --defined-only "$library" | awk '$2 != "A" {print $3}' |
  sed 's/@@/ /' | LC_ALL=C sort)
if [ -n "$write" ]; then
  printf '%s\n' "$exported" >"$list"
elif ! diff -u --label "$list" --label "$library" "$list" - <<<"$exported"; then
  echo "the exported symbols changed: if that is meant, run" \
    "tests/house/symbols.sh --write $library $list" \
    "and tell users in CHANGELOG.md" >&2
  exit 1
fi
