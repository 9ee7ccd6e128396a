#!/usr/bin/env bash
# The layer check passes this tree, and fails each kind of wrong include.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
"$root/script/layers"

tree=$(mktemp -d /tmp/telltale-layers-XXXXXX)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree"/{include/telltale,lib/base,lib/emit/http,server/bus,server/relay,cli,web}

# refused FILE LINE...: this file makes the check fail and name file and line.
refused() {
  local file=$tree/$1 out
  shift
  printf '%s\n' "$@" >"$file"
  if out=$("$root/script/layers" "$tree"); then
    echo "not refused: $file: $*" >&2
    exit 1
  fi
  grep -q "^${file#"$tree"/}:$#: " <<<"$out" || {
    echo "no file and line in: $out" >&2
    exit 1
  }
  rm "$file"
}
refused lib/base/a.c '' '#include "lib/emit/emit.h"'
refused lib/emit/http/a.c '#include "server/bus/bus.h"'
refused server/bus/a.h '' '' '#include "server/relay/relay.h"'
refused server/relay/a.c '#include "cli/cli.h"'
refused server/bus/a.c '#include "server/bus.h.in/unknown.h"' '#include "bus.h"'
mkdir "$tree/server/odd"
refused server/odd/a.c '#include "lib/base/a.h"'
refused include/telltale/a.h '#include "telltale/b.h"'
refused include/telltale/a.h '#include <curl/curl.h>'

# And what is right passes.
printf '%s\n' '#include "lib/base/a.h"' '#include <curl/curl.h>' \
  >"$tree/lib/emit/http/a.c"
printf '%s\n' '#include "server/bus/bus.h"' '#include "web/web.h"' \
  >"$tree/server/relay/a.c"
"$root/script/layers" "$tree"
