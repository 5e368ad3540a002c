package binlog

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/eventstore"
)

// TestScripts runs the scripts in testdata: events in, slices or an error out. Each file begins with
//
//	source flavor=mysql [include=… exclude=… slice=BYTES spill=BYTES checksum partial-rows marks ended=VERB] [columns=… without=… redact=… hash=… truncate=… key=(TABLES,COLUMN,…)]
//
// (ended: how every XA transaction that is not prepared ended before) optionally followed by a position to begin at, its XA PREPAREs one a line (XID GTID [BEFORE]):
//
//	from GTIDS
//
// and goes on with blocks of events, one a line; the lines behind "compressed" with a space in front are inside of it. The
// transcript shows what each block makes of it: the same when every compressed transaction comes in a file.
func TestScripts(t *testing.T) {
	t.Run("memory", func(t *testing.T) { testScripts(t, "") })
	t.Run("files", func(t *testing.T) { testScripts(t, t.TempDir()) })
}

func testScripts(t *testing.T, payloads string) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		if strings.Contains(path, "fuzz") {
			return
		}
		var a *assembler
		b := &builder{payloads: payloads}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "source":
				a = &assembler{maxSlice: 1 << 20, server: "server", charsets: newCharsets(map[uint64]string{8: "latin1", 45: "utf8mb4"})}
				*b = builder{payloads: payloads}
				slice := 1 << 20
				for _, arg := range d.CmdArgs {
					switch arg.Key {
					case "flavor":
						a.flavor = arg.Vals[0]
					case "include":
						a.filter.Include = arg.Vals
					case "exclude":
						a.filter.Exclude = arg.Vals
					case "columns":
						a.choice.columns.Include = arg.Vals
					case "without":
						a.choice.columns.Exclude = arg.Vals
					case "redact":
						a.choice.columns.Masks = append(a.choice.columns.Masks, cdc.Redact("<\"secret\">", arg.Vals...))
					case "hash":
						a.choice.columns.Masks = append(a.choice.columns.Masks, cdc.Hash([]byte("0123456789abcdef"), arg.Vals...))
					case "truncate": // to two characters
						a.choice.columns.Masks = append(a.choice.columns.Masks, cdc.Truncate(2, arg.Vals...))
					case "key":
						a.choice.keys = append(a.choice.keys, cdc.Key{Tables: arg.Vals[0], Columns: arg.Vals[1:]})
					case "slice":
						arg.Scan(t, 0, &slice)
					case "partial-rows":
						a.partialRows = true
					case "spill":
						arg.Scan(t, 0, &a.spill.limit)
						a.spill.dir = t.TempDir()
					case "checksum":
						b.checksum = true
					case "ended":
						b.ended = xaEnd{arg.Vals[0], "0-1-9"}
					case "marks":
						a.marks = true
					}
				}
				a.maxSlice = slice
				if err := a.resume(cdc.Position{}); err != nil {
					return err.Error()
				}
				return ""
			case "from":
				from := cdc.Position{Flavor: a.flavor}
				for _, arg := range d.CmdArgs {
					from.GTIDs += arg.Key
				}
				for line := range strings.Lines(d.Input) {
					words := append(strings.Fields(line), "")
					from.Prepared = append(from.Prepared, eventstore.Prepare{XID: words[0], GTID: words[1], Before: words[2]})
				}
				set, err := startSet(a.flavor, from)
				if err == nil {
					err = a.resume(from)
				}
				if err != nil {
					return err.Error()
				}
				return "the server sends what is not in " + set.String()
			case "files": // the transactions that wait in files, and the bytes that wait in memory
				files := 0
				for _, held := range a.prepared {
					if held.file != nil {
						files++
					}
				}
				return fmt.Sprintf("%d of %d XA transactions in files, %d bytes in memory", files, len(a.prepared), a.spill.used)
			case "events":
				return runScript(a, b, strings.Split(d.Input, "\n"))
			case "corrupt": // the last event of the block has a flipped bit
				return runCorrupt(a, b, strings.Split(d.Input, "\n"))
			}
			d.Fatalf(t, "unknown command %s", d.Cmd)
			return ""
		})
	})
}

func runScript(a *assembler, b *builder, lines []string) string {
	var out strings.Builder
	for len(lines) > 0 {
		line := lines[0]
		lines = lines[1:]
		var inner []string
		for len(lines) > 0 && strings.HasPrefix(lines[0], " ") {
			inner = append(inner, lines[0])
			lines = lines[1:]
		}
		raw, err := b.build(line, inner)
		if err != nil {
			return out.String() + "script: " + err.Error()
		}
		if err := b.feed(&out, a, raw); err != nil {
			fmt.Fprintln(&out, "error:", err)
			break
		}
	}
	return out.String()
}

func runCorrupt(a *assembler, b *builder, lines []string) string {
	var out strings.Builder
	for i, line := range lines {
		raw, err := b.build(line, nil)
		if err != nil {
			return "script: " + err.Error()
		}
		if i == len(lines)-1 {
			raw[len(raw)-6] ^= 1
		}
		if err := b.feed(&out, a, raw); err != nil {
			fmt.Fprintln(&out, "error:", err)
			break
		}
	}
	return out.String()
}

func (b *builder) feed(out *strings.Builder, a *assembler, raw []byte) error {
	err := b.push(a, raw)
	if err == nil && a.tx.unprepared != nil {
		err = a.endUnprepared(b.ended)
	}
	if err != nil {
		return err
	}
	for {
		slice, err := a.pull()
		if err != nil || slice == nil {
			return err
		}
		describe(out, slice)
	}
}

// push gives an event to a, by way of a file if it is one that goes there.
func (b *builder) push(a *assembler, raw []byte) error {
	if b.payloads == "" || !spills(raw, 1) {
		return a.push(raw)
	}
	buf := eventBuffer{spill: spill{dir: b.payloads, limit: 1}}
	for rest := append([]byte{0}, raw...); len(rest) > 0; {
		n := min(len(rest), 1+headerSize+len(rest)%7)
		if _, err := buf.Write(rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return a.pushSpilled(buf.spilled)
}

func describe(out *strings.Builder, s *cdc.Slice) {
	if s.ID == "" {
		fmt.Fprintf(out, "mark at %s:%d of %s\n", s.File, s.Offset, s.Server)
		return
	}
	fmt.Fprintf(out, "slice %s", s.ID[strings.LastIndexAny(s.ID, ":")+1:])
	if s.First {
		out.WriteString(" first")
	}
	if s.Last {
		fmt.Fprintf(out, " last at %s:%d of %s", s.File, s.Offset, s.Server)
	}
	if s.Prepared != nil {
		fmt.Fprintf(out, " prepared %s", s.Prepared.XID)
		if s.Prepared.Before != "" {
			fmt.Fprintf(out, " behind %s", s.Prepared.Before)
		}
	}
	if s.Completed != "" {
		fmt.Fprintf(out, " completed %s", s.Completed)
	}
	fmt.Fprintf(out, " %s\n", s.Time.Format("2006-01-02T15:04:05.999999Z"))
	for _, c := range s.Schema {
		fmt.Fprintf(out, "  %d %s %s.%s", c.Row, c.Op, c.Schema, c.Table)
		if c.ToTable != "" {
			fmt.Fprintf(out, " to %s.%s", c.ToSchema, c.ToTable)
		}
		fmt.Fprintf(out, " by %s\n", c.Statement)
	}
	for _, c := range s.Changes {
		fmt.Fprintf(out, "  %d %c %s %s", c.Row, c.Op, c.Table, c.Key)
		if c.OldKey != nil {
			fmt.Fprintf(out, " was %s", c.OldKey)
		}
		if c.Before != nil {
			fmt.Fprintf(out, " before %s", c.Before)
		}
		if c.After != nil {
			fmt.Fprintf(out, " after %s", c.After)
		}
		if c.Absent != nil {
			fmt.Fprintf(out, " absent %q, %q", c.Absent.Before, c.Absent.After)
		}
		out.WriteString("\n")
	}
}
