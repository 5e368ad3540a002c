#!/bin/sh
# Runs each fuzz test of each module for FUZZTIME. Inputs that reach new code are made small for a second each: by default Go spends a minute on
# one, in which it tries no other. Before Go 1.27 it may end with "context deadline exceeded" when the time is over (golang/go#75804): no finding.
set -eu
cd "$(dirname "$0")/.."
said=$(mktemp)
trap 'rm -f "$said"' EXIT
for module in . internal/integration examples; do
	(
		cd "$module"
		grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -r -n1 dirname | sort -u | while read -r dir; do
			case $module:$dir in .:./internal/integration* | .:./examples*) continue ;; esac
			grep -hoE '^func Fuzz[A-Za-z0-9_]*' "$dir"/*_test.go | sed 's/^func //' | while read -r name; do
				echo "fuzz $module $dir $name"
				{ go test -run '^$' -fuzz "^$name\$" -fuzztime "${FUZZTIME:-30s}" -fuzzminimizetime 1s "$dir" 2>&1 || echo "fuzz $name failed"; } | tee "$said"
				if grep -q "^fuzz $name failed\$" "$said" && { grep -qi 'failing input\|panic' "$said" || ! grep -qx '    context deadline exceeded' "$said"; }; then
					exit 1
				fi
			done
		done
	)
done
