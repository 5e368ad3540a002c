#!/bin/sh
# Explores every run of the relay protocol's model; ends with the deciding line, or with an error.
set -eu
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
go test -c -o "$dir/cdc.test" ./cdc
{ "$dir/cdc.test" -test.run '^TestModel$' -test.timeout 60m -model.all || echo failed >"$dir/failed"; } | sed '/^PASS$/d'
test ! -e "$dir/failed"
