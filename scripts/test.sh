#!/bin/sh
# Runs the tests of every module and ends with the matrix of packages and servers that ran. Arguments go to go test.
set -eu
cd "$(dirname "$0")/.."
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
go build -buildvcs=false -o "$bin/matrix" ./internal/integration/cmd/matrix
{
	# a package that does not build, or a test that fails, is in the stream: the matrix decides
	go test -json "$@" ./... || true
	(cd internal/integration && go test -json -p 1 "$@" ./...) || true
	(cd examples && go test -json -p 1 "$@" ./...) || true
} | "$bin/matrix"
