// Package binlog tests cdc/binlog on the real servers: conformance, values against the server's own SELECT, states rebuilt from the
// stream, wrong settings and grants, purged files, broken connections.
package binlog
