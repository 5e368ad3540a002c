package eventstore

import (
	"fmt"

	"github.com/millrace-go/millrace/internal/gtid"
)

// Position is a place in a source's history: the set of everything it had executed. Its zero value is before everything.
type Position struct {
	// Flavor is "mysql" or "mariadb"; it says how GTIDs is written.
	Flavor string `json:"flavor,omitempty"`
	// GTIDs is the complete executed set in the server's own notation, e.g. "3e11fa47-…:1-77" or "0-1-270".
	GTIDs string `json:"gtids,omitempty"`
	// Server is the uuid (MySQL) or server id (MariaDB) of the server File and Offset belong to.
	Server string `json:"server,omitempty"`
	// File and Offset are the binlog coordinates of the transaction's end, for the human and for the server that wrote them.
	File   string `json:"file,omitempty"`
	Offset uint64 `json:"offset,omitempty"`
	// Prepared are the XA transactions that were prepared there, and neither committed nor rolled back. GTIDs has their prepares, but
	// their rows come with the commit: a stream that begins here needs the events of the prepares again. Must not be modified.
	Prepared []Prepare `json:"prepared,omitempty"`
	// Snapshot is how far the tables are in the log that the stream does not have from their beginning: the text of a [SnapshotProgress].
	// Empty: the log has the tables from their beginning.
	Snapshot string `json:"snapshot,omitempty"`
}

// Prepare is an XA transaction between its XA PREPARE and its XA COMMIT or XA ROLLBACK.
type Prepare struct {
	// XID is its id as the server writes it in statements, e.g. X'6f7264',X'31',1.
	XID string `json:"xid"`
	// GTID is the prepare's own.
	GTID string `json:"gtid"`
	// Before is what was executed before the prepare, where a stream can only begin at a place, not at a set (MariaDB).
	Before string `json:"before,omitempty"`
}

// IsZero tells whether p is before everything.
func (p Position) IsZero() bool {
	return p.Flavor == "" && p.GTIDs == "" && p.Server == "" && p.File == "" && p.Offset == 0 && len(p.Prepared) == 0 && p.Snapshot == ""
}

// Covers tells whether the transactions named by gtids (one GTID or a set, in the notation of p's flavor) are all part of p.
// This is how a write's GTID is compared with a watermark; counting would be wrong.
func (p Position) Covers(gtids string) (bool, error) {
	covers, err := p.Contains()
	if err != nil {
		return false, err
	}
	return covers(gtids)
}

// Contains returns [Position.Covers] as a function that reads p's set only once, for many questions.
func (p Position) Contains() (covers func(gtids string) (bool, error), err error) {
	have, err := gtid.Parse(p.Flavor, p.GTIDs)
	if err != nil {
		return nil, fmt.Errorf("position: %w", err)
	}
	return func(gtids string) (bool, error) {
		want, err := gtid.Parse(p.Flavor, gtids)
		if err != nil {
			return false, fmt.Errorf("gtid: %w", err)
		}
		return have.Contains(want), nil
	}, nil
}

// String returns the set and, where known, file:offset.
func (p Position) String() string {
	if p.IsZero() {
		return "start"
	}
	if p.File == "" {
		return p.GTIDs
	}
	return fmt.Sprintf("%s (%s:%d)", p.GTIDs, p.File, p.Offset)
}
