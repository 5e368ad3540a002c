package sinks

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/mongodb"
)

// What a mongoProxy does with an update command.
const (
	loseRequest = iota // the server never sees it
	cutRequest         // the server sees half of it
	loseReply          // the server does it, and the client hears nothing
	cutReply           // the client hears half of the answer
)

// A mongoProxy stands between the sink and the real server. While it is armed, it spoils update commands, and ends their connections.
type mongoProxy struct {
	listener net.Listener
	server   string
	fault    int
	armed    atomic.Int32 // how many update commands are still to be spoilt
	group    sync.WaitGroup
}

func newMongoProxy(t *testing.T, server string, fault int) *mongoProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &mongoProxy{listener: l, server: server, fault: fault}
	p.group.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			p.group.Go(func() { p.serve(client) })
		}
	})
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		p.group.Wait() // the sink has closed its connections by now
	})
	return p
}

// serve forwards message by message: a client of MongoDB waits for each answer.
func (p *mongoProxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer server.Close()
	var replies sync.WaitGroup
	defer replies.Wait()
	var spoil atomic.Bool
	replies.Go(func() { // also answers without a question: the server streams its state to monitors
		defer client.Close()
		for {
			reply, err := readMessage(server)
			if err != nil {
				return
			}
			if spoil.Load() {
				if p.fault == cutReply {
					_, _ = client.Write(reply[:len(reply)/2])
				}
				return
			}
			if _, err := client.Write(reply); err != nil {
				return
			}
		}
	})
	defer server.Close()
	for {
		request, err := readMessage(client)
		if err != nil {
			return
		}
		if bytes.Contains(request[:min(len(request), 64)], []byte("\x02update\x00")) && p.armed.Add(-1) >= 0 {
			switch p.fault {
			case loseRequest:
				return
			case cutRequest:
				_, _ = server.Write(request[:len(request)/2])
				return
			default:
				spoil.Store(true)
			}
		}
		if _, err := server.Write(request); err != nil {
			return
		}
	}
}

// readMessage reads a message of MongoDB's wire protocol, which begins with its length.
func readMessage(r io.Reader) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(length[:])
	if n < 16 || n > 64<<20 {
		return nil, fmt.Errorf("a message of %d bytes", n)
	}
	message := make([]byte, n)
	copy(message, length[:])
	_, err := io.ReadFull(r, message[4:])
	return message, err
}

// TestMongoDBFaults loses or cuts a request or a reply. The sink says that it knows nothing, and repeating the writes ends with every
// document in its place.
func TestMongoDBFaults(t *testing.T) {
	u, err := url.Parse(find(t, servers.MongoDB))
	if err != nil {
		t.Fatal(err)
	}
	for name, fault := range map[string]int{"request lost": loseRequest, "request cut": cutRequest, "reply lost": loseReply, "reply cut": cutReply} {
		t.Run(name, func(t *testing.T) {
			proxy := newMongoProxy(t, u.Host, fault)
			e := newMongo(t, func(cfg *mongodb.Config) {
				cfg.URI = "mongodb://" + proxy.listener.Addr().String() + "/?directConnection=true"
			})
			target := mongodb.Collection(uniqueName())
			if err := e.sink.Prepare(t.Context(), target, 1); err != nil {
				t.Fatal(err)
			}
			wantOutcome(t, e.sink, target, projector.Write{ID: "b", Version: 1, Body: []byte(`{"n":1}`)}, projector.Applied)
			writes := []projector.Write{
				{ID: "a", Version: 5, Body: []byte(`{"n":1}`)}, {ID: "b", Version: 5, Body: []byte(`{"n":2}`)}, {ID: "c", Version: 5},
			}
			results := make([]projector.Result, len(writes))
			proxy.armed.Store(1)
			if err := e.sink.Apply(t.Context(), target, 1, writes, results); !errors.Is(err, projector.ErrUnavailable) {
				t.Fatalf("got %v, want one that wraps ErrUnavailable", err)
			}
			if fault == loseReply { // it was applied all the same
				if _, found, err := e.sink.Get(t.Context(), target, 1, "a"); err != nil || !found {
					t.Errorf("found %v, %v", found, err)
				}
			}
			if err := e.sink.Apply(t.Context(), target, 1, writes, results); err != nil {
				t.Fatalf("repeated: %v", err)
			}
			for i, r := range results {
				d, found, err := e.sink.Get(t.Context(), target, 1, writes[i].ID)
				if r.Outcome != projector.Applied || err != nil || !found || d.Version != 5 || !bytes.Equal(d.Body, writes[i].Body) {
					t.Errorf("%q: repeated write: %+v; stored: %+v, %v, %v", writes[i].ID, r, d, found, err)
				}
			}
			p := projector.Progress{LogID: "l", Generation: 1, CSN: 7}
			proxy.armed.Store(1)
			if err := e.sink.SaveProgress(t.Context(), "p", p); !errors.Is(err, projector.ErrUnavailable) {
				t.Errorf("progress: got %v, want one that wraps ErrUnavailable", err)
			}
			if err := e.sink.SaveProgress(t.Context(), "p", p); err != nil {
				t.Errorf("progress, repeated: %v", err)
			}
			if got, _, err := e.sink.Progress(t.Context(), "p"); err != nil || got != p {
				t.Errorf("progress: got %+v, %v", got, err)
			}
		})
	}
}
