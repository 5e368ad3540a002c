// Package integration holds the tests that need real servers, and the machinery that starts them.
package integration
