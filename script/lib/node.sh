# Node.js and the packages of tests/. Any Node from 18.19 that has npm is used
# as it is; only where there is none, the system's own is installed.
node_is_usable() {
  command -v node >/dev/null && command -v npm >/dev/null &&
    node -e 'const [a, b] = process.versions.node.split(".").map(Number);
             process.exit(a > 18 || (a === 18 && b >= 19) ? 0 : 1)'
}

install_node() {
  node_is_usable && return
  if command -v node >/dev/null && ! installed nodejs; then
    die "$(command -v node) is older than 18.19 or has no npm: give it one," \
      "or take it out of PATH"
  fi
  PACKAGES+='
node   nodejs
node   npm
'
  install_packages node
  hash -r
  node_is_usable || die "the system's Node.js is older than 18.19"
}

# npm ci, when the lock file or Node changed since the last one.
install_node_modules() {
  local stamp=tests/node_modules/.telltale want
  want=$(cat tests/package.json tests/package-lock.json tests/.npmrc &&
    node --version)
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ]; then
    return
  fi
  (cd tests && npm ci) >&2 ||
    die "npm could not install the packages of tests/package-lock.json"
  printf '%s\n' "$want" >"$stamp"
}
