# Sourced by the commands in script/. Sets ROOT and goes there.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$ROOT"
mkdir -p build

# Lines for the person who runs the command; standard output is left to what
# the command itself has to say.
say() { printf '%s\n' "$*" >&2; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Configures a preset and builds it, or only the targets named after it.
build() {
  local preset=$1
  shift
  local log=build/$preset.log
  if ! cmake --preset "$preset" >"$log" 2>&1; then
    cat "$log" >&2
    return 1
  fi
  cmake --build --preset "$preset" ${@:+--target "$@"}
}
