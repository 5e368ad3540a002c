package model

import (
	"fmt"
	"slices"
	"strings"

	"github.com/millrace-go/millrace/eventstore"
)

// uuid is that of the modelled server group: transaction t has the GTID uuid:t+1 on every server.
const uuid = "00000000-0000-4000-8000-00000000000a"

// Flavor is the notation of the modelled GTIDs.
const Flavor = "mysql"

// GTID returns the id of transaction t.
func GTID(t int) string { return fmt.Sprintf("%s:%d", uuid, t+1) }

// transactionOf is the inverse of GTID.
func transactionOf(gtid string) int {
	var n int
	if _, err := fmt.Sscanf(strings.TrimPrefix(gtid, uuid), ":%d", &n); err != nil {
		panic(fmt.Sprintf("model: %q is no GTID of the model", gtid))
	}
	return n - 1
}

// Row is a row that passes the filter.
type Row struct {
	Index     uint64 // among all rows of its transaction, those that are left out included
	Partition int    // the one that its key belongs to
}

// Transaction is a transaction of the modelled database.
type Transaction struct {
	Rows []Row
	// Prepare is set on an XA PREPARE of Rows, Commit on the XA COMMIT that delivers them: the XID.
	Prepare, Commit string
}

// Server is a database server as one relay sees it.
type Server struct {
	Order        []int         // what it has executed, in its commit order
	Transactions []Transaction // as the relay's filter and routing have them
	Config       string        // the id of filter and routing that the relay gives
	SliceRows    int           // rows in a slice, 0 for no limit
	FlushBytes   int           // the relay's, for its limit
	Topics       int           // 1: one topic of two partitions; 2: two topics of one
	Life         int           // the number of the relay's life: chunks have it in their ids
	OldRows      bool          // each table has a row of each key that is older than the log
	// Steps taken out. Forgets: its streams begin behind prepares that are still open, and give nothing for their commit. Hurries: a chunk
	// says that the stream need not come to the place of its view.
	Forgets, Hurries bool
}

// Has tells whether the server has executed transaction t.
func (s *Server) Has(t int) bool {
	for _, have := range s.Order {
		if have == t {
			return true
		}
	}
	return false
}

// Executed returns what it says it has executed.
func (s *Server) Executed() string {
	var numbers []string
	for t := range s.Transactions {
		if s.Has(t) {
			numbers = append(numbers, fmt.Sprint(t+1))
		}
	}
	return uuid + ":" + strings.Join(numbers, ":")
}

// Table names the table of a partition's rows.
func (s *Server) Table(partition int) string {
	if s.Topics == 2 {
		return [...]string{"a", "b"}[partition]
	}
	return "a"
}

// Key is the record key of a partition's rows.
func Key(partition int) []byte { return fmt.Appendf(nil, `{"id":%d}`, partition) }

// Image is the row of a partition's key after transaction t; t is -1 for the one that is older than the log.
func Image(partition, t int) []byte {
	return fmt.Appendf(nil, `{"id":%d,"version":%d}`, partition, t+1)
}

// View returns the rows of a table after the first n transactions of the server: a transaction for each partition, -1 for an old row.
func (s *Server) View(table string, n int) (rows map[int]int) {
	rows = map[int]int{}
	for p := range schemas {
		if s.Table(p) == table {
			rows[p] = -1
		}
	}
	for _, t := range s.Order[:n] {
		for _, row := range delivered(s.Transactions, t) {
			if _, has := rows[row.Partition]; has {
				rows[row.Partition] = t
			}
		}
	}
	return rows
}

// delivered returns the rows that transaction t brings into the log: those of an XA transaction come with its commit.
func delivered(all []Transaction, t int) []Row {
	tx := all[t]
	switch {
	case tx.Prepare != "":
		return nil
	case tx.Commit != "":
		at := slices.IndexFunc(all, func(p Transaction) bool { return p.Prepare == tx.Commit })
		return all[at].Rows
	}
	return tx.Rows
}

// The log's partitions: two of rows, that of the schema records, and that of the watermarks.
const (
	schemas = 2
	data    = 3 // the partitions with data are those below
	marks   = 3
	parts   = 4
)

func partitionName(p int) string { return [...]string{"P0", "P1", "schema", "watermarks"}[p] }

// partitionOf says in which partition a record stands.
func partitionOf(topic string, key []byte) int {
	if topic == eventstore.SchemaTopic {
		return schemas
	}
	return int(key[len(key)-2] - '0')
}

// name is a partition as the log's contract has it.
func (s *Server) name(p int) eventstore.Partition {
	switch {
	case p == schemas:
		return eventstore.Partition{Topic: eventstore.SchemaTopic}
	case s.Topics == 2:
		return eventstore.Partition{Topic: eventstore.RowTopic("shop", s.Table(p))}
	}
	return eventstore.Partition{Topic: eventstore.RowTopic("shop", "a"), Number: int32(p)}
}

// topic returns the partitions that share a topic with p, as a mask.
func (s *Server) topic(p int) uint8 {
	if p != schemas && s.Topics == 1 {
		return 1<<0 | 1<<1
	}
	return 1 << p
}
