# The steps of script/test, one function each. A step answers 1 when it failed
# and has then shown why. LONG is 1 in the long run.

step_bootstrap() {
  if [ "$LONG" = 1 ]; then
    script/bootstrap long
  else
    script/bootstrap test
  fi
}

step_format() { script/format; }
step_layers() { script/layers; }

step_build_dev() { build dev >build/dev.build.log || show build/dev.build.log; }
step_units() { run_ctest build/dev 'unit|contract'; }
step_house() { run_ctest build/dev house; }
step_scenario() { run_node build/dev "${SCENARIO[@]}"; }
step_e2e() { run_node build/dev "${E2E[@]}"; }
step_fault() { run_node build/dev "${FAULT[@]}"; }

step_build_asan() {
  build asan-ubsan >build/asan.build.log || show build/asan.build.log
}
step_asan_units() { run_ctest build/asan-ubsan 'unit|contract'; }
# TELLTALE_LONG makes it fail every request; else a share of them.
step_torture() { run_ctest build/asan-ubsan torture; }
step_asan_scenario() {
  run_node build/asan-ubsan "${SCENARIO[@]}" "${FAULT[@]}"
}

step_build_tsan() { build tsan >build/tsan.build.log || show build/tsan.build.log; }
step_tsan_units() { run_ctest build/tsan 'unit|contract'; }
step_tsan_scenario() { run_node build/tsan "${SCENARIO[@]}"; }

step_build_fuzz() {
  build fuzz "${FUZZERS[@]}" >build/fuzz.build.log || show build/fuzz.build.log
}

# Each from its kept corpus, into a folder of its own so that the tree stays
# clean. libFuzzer ends with an error, and an artifact, on a finding.
step_fuzz() {
  local name found
  for name in "${FUZZERS[@]}"; do
    found=build/fuzz/found/$name
    mkdir -p "$found" "build/fuzz/corpus/$name"
    run_one "build/fuzz/$name.log" "build/fuzz/tests/$name" \
      -max_total_time="$FUZZ_SECONDS" -timeout=10 -rss_limit_mb=2048 \
      -print_final_stats=1 -artifact_prefix="$found/" \
      "build/fuzz/corpus/$name" "tests/fuzz/corpus/$name" || return 1
  done
}

# Every bench still runs and prints JSON lines with figures in them; whether
# they are good is not judged here.
step_bench() {
  local name
  for name in "${BENCHES[@]}"; do
    run_one "build/dev/$name.log" bench_runs "$name" || return 1
  done
  run_one build/dev/bench-servers.log timeout 120 \
    node bench/run.mjs --build build/dev --smoke
}
bench_runs() {
  local out
  out=$(timeout 120 "build/dev/bench/$1" --seconds 1) || return 1
  printf '%s\n' "$out"
  grep -q '^{"bench":' <<<"$out" && ! grep -E '"value":0[,}]' <<<"$out"
}

step_tidy() {
  local files
  mapfile -t files < <(git ls-files 'lib/*.c' 'server/*.c' 'cli/*.c' \
    'examples/*.c' | grep -v '_test\.c$')
  printf '%s\n' "${files[@]}" | xargs -P "$(nproc)" -n 8 \
    clang-tidy-14 -p build/asan-ubsan --quiet --warnings-as-errors='*' \
    >build/tidy.log 2>&1 || show build/tidy.log
}

# Not the fork tests: their children end where they stand, and what they leave
# behind is no leak.
step_valgrind() {
  local test
  while read -r test; do
    run_one build/dev/valgrind.log timeout 600 valgrind -q --error-exitcode=9 \
      --leak-check=full --errors-for-leak-kinds=definite "$test" || return 1
  done < <(find build/dev/lib build/dev/server build/dev/cli -maxdepth 1 \
    -type f -executable -name '*_test' ! -name '*fork_test' | sort)
}

show() {
  tail -n 100 "$1" >&2
  return 1
}
