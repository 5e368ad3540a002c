// Package servers
package servers
