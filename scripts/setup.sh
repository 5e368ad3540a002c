#!/bin/sh
# The race detector links with a C compiler. Everything else installs itself (internal/integration/servers).
set -eu
if ! command -v "${CC:-gcc}" >/dev/null 2>&1; then
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
		echo "a C compiler is missing; install one: sudo apt-get install gcc libc6-dev" >&2
		exit 1
	fi
	apt-get update -q
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends gcc libc6-dev
fi
