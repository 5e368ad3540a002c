#!/bin/sh
# Compares every type's values from the stream, from our SELECT and from the server's own, and prints the number of comparisons last.
set -eu
cd "$(dirname "$0")/../internal/integration"
out=$(mktemp)
trap 'rm -f "$out"' EXIT
failed=0
VALUES=${VALUES:-25} go test -count=1 -timeout=20m -v -run 'TestVerifyTypes$|TestEncryptedBinlog$|TestTypesPage$' ./binlog >"$out" 2>&1 || failed=1
grep -vE '^(=== |    find\.go)' "$out" || true
line=$(grep -E '^cases [0-9]+ mismatched [0-9]+$' "$out" || echo 'cases 0 mismatched 0')
[ "$(echo "$line" | cut -d' ' -f2)" -ge 5000 ] && [ "$(echo "$line" | cut -d' ' -f4)" = 0 ] || failed=1
echo "$line"
exit $failed
