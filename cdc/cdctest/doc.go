// Package cdctest holds the conformance suite of [cdc.Source]: what the relay relies on, checked against any implementation.
package cdctest
