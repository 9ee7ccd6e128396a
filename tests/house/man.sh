#!/usr/bin/env bash
# usage: man.sh TELLTALE MAN PAGE...
# Every command has its page, and groff has nothing to say about any of them.
set -euo pipefail
telltale=$1 man=$2
shift 2
work=$(mktemp -d /tmp/telltale-man-XXXXXX)
trap 'rm -rf "$work"' EXIT

"$telltale" man --into "$work"
for command in $("$telltale" --help | sed -n 's/^  \([a-z]*\) .*/\1/p'); do
  [ -s "$work/telltale-$command.1" ] || {
    echo "no page: $command" >&2
    exit 1
  }
done
for page in "$work"/*.1 "$@"; do
  said=$(MANWIDTH=80 "$man" --warnings -l "$page" 2>&1 >"$work/text")
  [ -z "$said" ] || {
    echo "$page: $said" >&2
    exit 1
  }
  grep -q '^SEE ALSO' "$work/text" || {
    echo "$page: no SEE ALSO" >&2
    exit 1
  }
done
