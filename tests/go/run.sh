#!/usr/bin/env bash
# Lets Go's own packages (golang.org/x/mod/sumdb/note and tlog) check what a node writes.
#
#   tests/go/run.sh           makes a ledger, writes its log and proofs, and checks them
#   tests/go/run.sh DIR       checks what is in DIR already
#
# Needs Debian's golang-go and golang-golang-x-mod-dev, which it installs when it can; no module is downloaded.
# Exit codes: 0 checked, 1 refused, 3 not checked because there is no Go here.
set -euo pipefail
cd "$(dirname "$0")/../.."

export GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS= GOTOOLCHAIN=local
has_go() {
    command -v go >/dev/null && [ -d "$GOPATH/src/golang.org/x/mod/sumdb/tlog" ]
}

if ! has_go && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    log="$(mktemp)"
    { apt-get update -qq && apt-get install -y -qq golang-go golang-golang-x-mod-dev; } >"$log" 2>&1 ||
        { echo "golang-go and golang-golang-x-mod-dev cannot be installed:" && tail -n 5 "$log"; }
    rm -f "$log"
fi
if ! has_go; then
    echo "NOT CHECKED: this needs the Debian packages golang-go and golang-golang-x-mod-dev"
    exit 3
fi

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
material="${1:-$work/material}"
if [ $# = 0 ]; then
    mkdir "$material"
    REPRISE_INTEROP_DIR="$material" cargo test -q --locked -p reprise-tests --test transparency -- --exact material_for_other_tools
fi
GOCACHE="${GOCACHE:-$work/cache}" go build -o "$work/interop" tests/go/main.go
"$work/interop" "$material"
