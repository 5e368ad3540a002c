// Package documents checks documents on real servers: those of joins, folds and a query over three schemas (a shop, orders with items and tags, a
// tree), in Elasticsearch and MongoDB, while transactions of all sizes change their rows and the projector's process is killed, stopped, and robbed of its
// local state. `make verify-documents` runs it.
//
// What is right is decided twice. At cuts, the writers stand still, one SQL query a read model says what every document has to be, and the documents
// that readers see are compared with it as soon as the progress in the sink says that they are there. Between the cuts, documents are read at random
// moments with their versions; afterwards an independent program reads the log, keeps the rows as plain maps, and makes each of those documents anew
// at its own version. At the cuts that program is compared with the SQL, too.
package documents
