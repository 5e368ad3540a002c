#!/bin/sh
# Runs the tests of every module and ends with the matrix of packages and servers that ran. Arguments go to go test.
set -eu
cd "$(dirname "$0")/.."
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
go build -buildvcs=false -o "$bin/matrix" ./internal/integration/cmd/matrix
failed() { printf '{"Action":"fail","Package":"module %s"}\n' "$1"; }
{
	# the matrix decides; a module that cannot even be loaded says nothing in the stream, so its failure is put there
	go test -json "$@" ./... || failed .
	go test -json -count=1 -tags millrace_unsafe -run '^TestRulesTakenOut$' ./projector || failed projector
	(cd internal/integration && go test -json -p 1 "$@" ./...) || failed internal/integration
	(cd examples && go test -json -p 1 "$@" ./...) || failed examples
} | "$bin/matrix"
