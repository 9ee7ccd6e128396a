# Runs tests and keeps the tally of script/test in PASSED and FAILED.
PASSED=0
FAILED=0

# run_ctest BUILD LABELS: the tests of these labels. A test that was skipped or
# could not run has failed.
run_ctest() {
  local dir=$1 labels=$2 log=$1/ctest.log total bad=0
  ctest --test-dir "$dir" -L "$labels" -j"$(nproc)" --timeout 300 \
    --output-on-failure --no-tests=error >"$log" 2>&1 || bad=1
  total=$(sed -nE 's/.* tests failed out of ([0-9]+)$/\1/p' "$log")
  tally "$log" "${total:-0}" \
    "$(grep -cE '^ *[0-9]+/[0-9]+ Test .*\*\*\*' "$log" || true)" "$bad"
}

# run_node BUILD FILE...: these files under Node's test runner, against the
# binaries of this build. A test that was skipped or left to do has failed.
run_node() {
  local dir=$1 log=$1/node.log tap=$1/node.tap bad=0
  shift
  TELLTALE_BUILD=$ROOT/$dir node --test --test-concurrency=1 \
    --test-reporter=spec --test-reporter-destination=stdout \
    --test-reporter=tap --test-reporter-destination="$tap" \
    "$@" >"$log" 2>&1 || bad=1
  tally "$log" "$(tap_count "$tap" tests)" \
    $(($(tap_count "$tap" tests) - $(tap_count "$tap" pass))) "$bad"
}
tap_count() {
  local n
  n=$(sed -nE "s/^# $2 ([0-9]+)$/\1/p" "$1" 2>/dev/null | tail -n 1)
  echo "${n:-0}"
}

# run_one LOG COMMAND...: one program that is one test, such as a fuzzer.
run_one() {
  local log=$1 bad=0
  shift
  "$@" >"$log" 2>&1 || bad=1
  tally "$log" 1 "$bad" "$bad"
}

# tally LOG TOTAL FAILED BAD: counts, and shows the log of what went wrong.
tally() {
  local log=$1 total=$2 failed=$3 bad=$4
  if [ "$total" -eq 0 ]; then
    bad=1
  fi
  if [ "$bad" != 0 ] && [ "$failed" -eq 0 ]; then
    failed=1
  elif [ "$failed" -gt 0 ]; then
    bad=1
  fi
  PASSED=$((PASSED + (total > failed ? total - failed : 0)))
  FAILED=$((FAILED + failed))
  [ "$bad" = 0 ] && return
  tail -n 200 "$log" >&2
  say "(the whole of it: $log)"
  return 1
}
