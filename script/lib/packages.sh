# What Telltale needs from the system. One row a thing: which target needs it
# (build: script/server and any build; test and long: script/test; bench:
# script/bench), and the package, or packages of which the first that exists will
# do.
PACKAGES='
build  gcc
build  g++
build  libc6-dev
build  cmake
build  make
build  ninja-build
build  ccache
build  pkg-config|pkgconf
build  libuv1-dev
build  libllhttp-dev|node-llhttp
build  libcurl4-openssl-dev
build  libssl-dev
build  libsqlite3-dev
build  libjansson-dev
build  libyaml-dev
build  zlib1g-dev
build  libzstd-dev
build  libprotobuf-c-dev
build  protobuf-c-compiler
build  libcmocka-dev
build  ca-certificates
test   clang-14
test   libclang-rt-14-dev
test   clang-format-14
test   man-db
test   valgrind
test   curl
test   openssl
test   prometheus
test   python3
test   sqlite3
test   zstd
test   iproute2
test   util-linux
test   chromium
long   clang-tidy-14
bench  nginx
bench  libnginx-mod-nchan
bench  openssl
bench  procps
bench  wrk
'

# as_root COMMAND...: runs it as root, by sudo where we are not.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "installing packages needs root: run this as root, or install sudo"
  fi
}

# installed PACKAGE: whether dpkg has it, unpacked and configured.
installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# available PACKAGE: whether apt could install it.
available() {
  apt-cache show --no-all-versions "$1" >/dev/null 2>&1
}

# missing TARGET...: the rows of these targets of which nothing is installed.
missing() {
  local target choices choice have
  while read -r target choices; do
    [[ " $* " = *" $target "* ]] || continue
    have=
    for choice in ${choices//|/ }; do
      if installed "$choice"; then
        have=1
        break
      fi
    done
    [ -n "$have" ] || printf '%s\n' "$choices"
  done <<<"$(sed '/^$/d' <<<"$PACKAGES")"
}

# Debian starts the service of a package it installs, unless this file says no.
# An installation of ours never does; what was there before comes back.
POLICY=/usr/sbin/policy-rc.d
hold_services() {
  POLICY_KEPT=
  if [ -e "$POLICY" ] || [ -L "$POLICY" ]; then
    POLICY_KEPT=$POLICY.before-telltale
    as_root mv "$POLICY" "$POLICY_KEPT"
  fi
  trap release_services EXIT
  trap 'exit 130' INT TERM HUP
  printf '#!/bin/sh\nexit 101\n' | as_root tee "$POLICY" >/dev/null
  as_root chmod 755 "$POLICY"
}
release_services() {
  as_root rm -f "$POLICY"
  [ -z "$POLICY_KEPT" ] || as_root mv "$POLICY_KEPT" "$POLICY"
  trap - EXIT INT TERM HUP
}

apt_get() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq \
    -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@"
}

# install_packages TARGET...: nothing at all when nothing is missing.
install_packages() {
  local rows row choice chosen=()
  rows=$(missing "$@")
  [ -n "$rows" ] || return 0
  command -v apt-get >/dev/null ||
    die "no apt-get here: install these by hand: ${rows//$'\n'/, }"
  apt_get update || die "apt-get update failed: see above"
  for row in $rows; do
    for choice in ${row//|/ }; do
      if available "$choice"; then
        chosen+=("$choice")
        continue 2
      fi
    done
    die "no package of this system gives ${row//|/ or }"
  done
  say "installing: ${chosen[*]}"
  hold_services
  apt_get install -y --no-install-recommends "${chosen[@]}" >&2 ||
    die "apt-get could not install the packages: see above"
  release_services
}
