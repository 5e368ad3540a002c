//go:build millrace_nolow

package binlog

const marksLow = false
