package demo

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// small is a check that takes seconds.
func small(t *testing.T, db string) (Config, *bytes.Buffer) {
	t.Attr("server", db) // for the matrix that `make test` ends with
	out := &bytes.Buffer{}
	return Config{
		DB: db, Check: true, Catalogs: 60, Changes: 4000, Rate: 2000, Deadline: 3 * time.Minute,
		Out: out, Log: t.Output(), minChanges: 4000, minDocuments: 30,
	}, out
}

func final(out *bytes.Buffer) string {
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	return lines[len(lines)-1]
}

// Relay and projector are killed, and nothing is wrong.
func TestCheck(t *testing.T) {
	for _, db := range []string{"mariadb", "mysql"} {
		t.Run(db, func(t *testing.T) {
			cfg, out := small(t, db)
			cfg.Kills = 4
			if err := Run(t.Context(), cfg); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			last := final(out)
			t.Log(last)
			if !strings.HasPrefix(last, "changes ") || !strings.Contains(last, " lost 0 duplicated 0 reordered 0 documents ") {
				t.Errorf("last line %q", last)
			}
		})
	}
}

// Each thing that is done wrong on purpose is found, and for the right reason.
func TestCheckFindsWhatIsWrong(t *testing.T) {
	for what, want := range map[string][2]string{ // in the last line, in the error
		breakLose:   {" lost 1 ", "the log is not"},
		breakRepeat: {" duplicated 1 ", "the log is not"},
		breakTwice:  {" duplicated ", "the log is not"},
		breakOrder:  {" reordered 1 ", "the log is not"},
		breakValue:  {" different 1 ", "the log is not"},
		breakStale:  {" lost 0 duplicated 0 reordered 0 ", "documents are not"},
		breakDelete: {" lost 0 duplicated 0 reordered 0 ", "documents are not"},
		breakTorn:   {" lost 0 duplicated 0 reordered 0 ", "documents are not"},
	} {
		t.Run(what, func(t *testing.T) {
			cfg, out := small(t, "mariadb")
			cfg.Break = what
			err := Run(t.Context(), cfg)
			if err == nil || !strings.Contains(err.Error(), want[1]) || !strings.Contains(final(out), want[0]) {
				t.Errorf("error is %v, want %q; and in the last line %q:\n%s", err, want[1], want[0], out)
			}
		})
	}
}

// The page's shop has its rows before the relay comes, and no binlog of them: the log begins with a snapshot, which a bar shows.
func TestPageBeginsWithSnapshot(t *testing.T) {
	t.Attr("server", "mariadb")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	read, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := Run(ctx, Config{DB: "mariadb", Catalogs: 40, Out: out, Log: t.Output()})
		ended <- errors.Join(err, out.Close())
	}()
	var text strings.Builder
	lines := bufio.NewScanner(read)
	for lines.Scan() { // until Run has ended
		text.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "http://") {
			cancel()
		}
	}
	if err := <-ended; err != nil {
		t.Fatalf("%v\n%s", err, &text)
	}
	for _, want := range []string{"their binlog is gone", "bmart.", "100%", "the documents are there", "http://"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, &text)
		}
	}
}
