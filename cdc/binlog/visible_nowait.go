//go:build millrace_nowait

package binlog

const waits = false
