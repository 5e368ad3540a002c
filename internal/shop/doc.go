// Package shop is what the benchmarks of read models measure: the tables of a shop, their read models, rows and changes in a log without a database, and a
// clock around a projector that follows them. Benchmarks of packages projector and pebblestate and `make bench` share it.
package shop
