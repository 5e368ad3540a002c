package standby

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	_ "github.com/go-sql-driver/mysql" // the load's client
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/eventstore/kafkalog"
	"github.com/millrace-go/millrace/internal/integration/faults"
	"github.com/millrace-go/millrace/internal/integration/history"
	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/internal/integration/supervise"
)

// Config says what to run. Kind is needed.
type Config struct {
	Kind   servers.Kind // servers.MySQL or servers.MariaDB
	Relays int          // how many run; default 3
	Kills  int          // how often the leader is killed
	Stops  int          // how often the leader is stopped, and continued when another one leads
	Cuts   int          // how often nothing gets through any more between the leader and Kafka, until another one leads
	// StopFor is for how long a leader stays stopped or cut off, under load, after another one has taken over.
	StopFor time.Duration
	Out     io.Writer // what happens, line by line; nil: nowhere
	Log     io.Writer // the relays' own logs; nil: nowhere
}

// Report is what was seen.
type Report struct {
	Killed, Stopped, CutOff []Takeover
	Changes                 int // rows in the log
	Lost                    int // rows that the database has and the log has not
	Wrong                   int // rows that are in the log more than once or out of order
}

// Takeover is one time that the leader went.
type Takeover struct {
	// Took is how long it took from then until a row that was committed after it was in a cut.
	Took time.Duration
	// Stalled is for how long the machine stood still meanwhile: what this process lost of its pauses, or the slowest commit, whichever is longer.
	Stalled time.Duration
}

// String is how long it took.
func (t Takeover) String() string { return t.Took.String() }

func (r *Report) String() string {
	return fmt.Sprintf("takeovers %d slowest %v (killed %v, stopped %v, cut off %v) changes %d lost %d duplicated or reordered %d",
		len(r.All()), r.Slowest(), r.Killed, r.Stopped, r.CutOff, r.Changes, r.Lost, r.Wrong)
}

// Slowest is the longest time that nobody appended.
func (r *Report) Slowest() (slowest time.Duration) {
	for _, t := range r.All() {
		slowest = max(slowest, t.Took)
	}
	return slowest
}

// All are all takeovers.
func (r *Report) All() []Takeover { return slices.Concat(r.Killed, r.Stopped, r.CutOff) }

const (
	schema = "standby"
	table  = "tick"
)

// run is one run.
type run struct {
	cfg      Config
	pipeline string
	broker   string
	db       *sql.DB
	relays   []*supervise.Process
	proxies  []*faults.Proxy // by relay, before the broker
	log      *kafkalog.Log

	mu      sync.Mutex
	leading string // name of the relay that said so last
	standby map[string]string
	changed supervise.Pulse

	acked atomic.Int64 // the last row that the database has acknowledged
	slow  atomic.Int64 // the longest that it took for one since a leader went, in nanoseconds
	late  atomic.Int64 // by how much this process's pauses were too long since then, in nanoseconds
	read  atomic.Int64 // the last row that the reader was given
	came  supervise.Pulse
}

// Run starts the relays, kills and stops their leaders under load, and compares the log with the table.
func Run(ctx context.Context, cfg Config) (report *Report, err error) {
	if cfg.Relays == 0 {
		cfg.Relays = 3
	}
	if cfg.Out == nil {
		cfg.Out = io.Discard
	}
	if cfg.Log == nil {
		cfg.Log = io.Discard
	}
	r := &run{cfg: cfg, pipeline: "standby-" + strings.ToLower(rand.Text()[:8]), standby: map[string]string{}}
	broker, err := servers.Locate(ctx, servers.Kafka, r.say)
	if err != nil {
		return nil, err
	}
	r.broker = broker.HostPort()
	server, err := servers.Start(ctx, cfg.Kind, servers.Options{Logf: r.say})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	if r.db, err = sql.Open("mysql", server.Address().DSN("")); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.db.Close()) }()
	for _, statement := range []string{"CREATE DATABASE " + schema, "CREATE TABLE standby.tick (id BIGINT PRIMARY KEY)"} {
		if _, err := r.db.ExecContext(ctx, statement); err != nil {
			return nil, err
		}
	}
	if r.log, err = kafkalog.New(kafkalog.Config{Brokers: []string{r.broker}, Pipeline: r.pipeline}); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.log.Close(), r.removeTopics(context.WithoutCancel(ctx))) }()
	report = &Report{}
	if err := r.load(ctx, server.Address().HostPort(), report); err != nil {
		return nil, err
	}
	return report, r.judge(ctx, report)
}

func (r *run) say(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.cfg.Out, format+"\n", args...)
}

// load runs relays, writer and reader while leaders go.
func (r *run) load(ctx context.Context, addr string, report *Report) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var relays, work sync.WaitGroup
	for i := range r.cfg.Relays {
		name := string(rune('a' + i))
		proxy, err := faults.NewProxy(r.broker)
		if err != nil {
			return err
		}
		defer proxy.Close()
		r.proxies = append(r.proxies, proxy)
		t := task{Name: name, Flavor: string(r.cfg.Kind), Addr: addr, Broker: r.broker, Pipeline: r.pipeline, Proxy: proxy.Addr()}
		p := supervise.NewProcess(RelayChild, t, r.cfg.Log, func(line []byte) bool { return r.heard(name, line) })
		r.relays = append(r.relays, p)
		relays.Go(func() {
			if err := p.Run(); err != nil {
				fail(fmt.Errorf("relay %s: %w", name, err))
			}
		})
	}
	writing, stop := context.WithCancel(ctx)
	defer stop()
	var written sync.WaitGroup
	written.Go(func() {
		if err := r.write(writing); err != nil {
			fail(err)
		}
	})
	work.Go(func() {
		if err := r.follow(ctx); err != nil {
			fail(err)
		}
	})
	work.Go(func() { r.watchPauses(ctx) })
	err := r.disturb(ctx, report)
	stop()
	written.Wait()
	if err == nil {
		err = r.awaitRead(ctx, r.acked.Load())
	}
	for _, p := range r.relays {
		p.Drain()
	}
	relays.Wait()
	fail(nil)
	work.Wait()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		err = errors.Join(err, cause)
	}
	return err
}

// write inserts rows, one a transaction, until ctx ends.
func (r *run) write(ctx context.Context) error {
	for id := int64(1); ctx.Err() == nil; id++ {
		began := time.Now()
		if _, err := r.db.ExecContext(context.WithoutCancel(ctx), "INSERT INTO standby.tick VALUES (?)", id); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		r.slow.Store(max(r.slow.Load(), int64(time.Since(began)))) // disturb sets it back; one lost now and then does no harm
		r.acked.Store(id)
	}
	return nil
}

// watchPauses adds up by how much short pauses are too long, until ctx ends: the machine does not let this process run then, nor the relays.
func (r *run) watchPauses(ctx context.Context) {
	const pause = 20 * time.Millisecond
	for {
		began := time.Now()
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		if late := time.Since(began) - pause; late > pause {
			r.late.Add(int64(late))
		}
	}
}

// follow reads the log as a projector does.
func (r *run) follow(ctx context.Context) error {
	for cut, err := range r.log.Cuts(ctx, eventstore.CutOptions{Topics: []string{eventstore.RowTopic(schema, table)}}) {
		if err != nil {
			return err
		}
		for rec, err := range cut.Records() {
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return err
			}
			var key struct {
				ID int64 `json:"id"`
			}
			if err := json.Unmarshal(rec.Key, &key); err != nil {
				return err
			}
			r.read.Store(key.ID)
		}
		r.came.Beat()
	}
	return nil
}

// heard takes note of what a relay says.
func (r *run) heard(name string, line []byte) (working bool) {
	var e event
	if err := json.Unmarshal(line, &e); err != nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case e.Leading != nil:
		r.leading = name
		fmt.Fprintf(r.cfg.Out, "%s leads: term %d, epoch %d, silence %v, start took %v\n", name, e.Leading.Term, e.Leading.Epoch,
			e.Leading.Silence.Round(time.Millisecond), e.Leading.Took.Round(time.Millisecond))
	case e.Standing != nil:
		r.standby[name] = e.Standing.Leader
	}
	r.changed.Beat()
	return true
}

const patience = time.Minute

// await waits until ok, which is asked whenever pulse beats.
func (r *run) await(ctx context.Context, what string, pulse *supervise.Pulse, ok func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("waited %v for %s", patience, what))
	defer cancel()
	return pulse.Await(ctx, ok)
}

// awaitRead waits until the reader was given a row.
func (r *run) awaitRead(ctx context.Context, id int64) error {
	return r.await(ctx, fmt.Sprintf("row %d in the log", id), &r.came, func() bool { return r.read.Load() >= id })
}

// settled waits until one relay leads, the others know it, and rows come; it returns the leader.
func (r *run) settled(ctx context.Context) (leader int, err error) {
	err = r.await(ctx, "a leader that all others know", &r.changed, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.leading == "" {
			return false
		}
		leader = int(r.leading[0] - 'a')
		for i := range r.relays {
			if i != leader && r.standby[string(rune('a'+i))] != r.leading {
				return false
			}
		}
		return true
	})
	if err != nil {
		return 0, err
	}
	return leader, r.awaitRead(ctx, r.acked.Load()+1)
}

// The ways in which a leader goes.
const (
	killed  = "killed"
	stopped = "stopped"
	cutOff  = "cut off"
)

// ways are those of a run, by turns.
func (c *Config) ways() (list []string) {
	for i := range max(c.Kills, c.Stops, c.Cuts) {
		for _, w := range []struct {
			way   string
			times int
		}{{killed, c.Kills}, {stopped, c.Stops}, {cutOff, c.Cuts}} {
			if i < w.times {
				list = append(list, w.way)
			}
		}
	}
	return list
}

// disturb has one leader after the other go.
func (r *run) disturb(ctx context.Context, report *Report) error {
	for _, way := range r.cfg.ways() {
		leader, err := r.settled(ctx)
		if err != nil {
			return err
		}
		pid, _ := r.relays[leader].PIDAndStarts()
		r.forget(leader)
		r.slow.Store(0)
		r.late.Store(0)
		at, comeBack := time.Now(), func() error { return nil }
		switch way {
		case killed:
			r.relays[leader].Kill()
		case stopped:
			err = syscall.Kill(pid, syscall.SIGSTOP)
			comeBack = func() error { return syscall.Kill(pid, syscall.SIGCONT) }
		case cutOff:
			r.proxies[leader].Freeze()
			comeBack = func() error { r.proxies[leader].Thaw(); return nil }
		}
		if err != nil {
			return err
		}
		err = r.awaitRead(ctx, r.acked.Load()+2) // one may have been committed before and not yet acknowledged
		took, slow := time.Since(at).Round(time.Millisecond), time.Duration(r.slow.Load()).Round(time.Millisecond)
		takeover := Takeover{took, max(slow, time.Duration(r.late.Load()))}
		switch way {
		case killed:
			report.Killed = append(report.Killed, takeover)
		case stopped:
			report.Stopped = append(report.Stopped, takeover)
		case cutOff:
			report.CutOff = append(report.CutOff, takeover)
		}
		if way != killed {
			select {
			case <-time.After(r.cfg.StopFor - took):
			case <-ctx.Done():
			}
		}
		if err := errors.Join(err, comeBack()); err != nil {
			return err
		}
		r.say("%s %s: nobody appended for %v (the slowest commit meanwhile took %v)", string(rune('a'+leader)), way, took, slow)
	}
	_, err := r.settled(ctx)
	return err
}

// forget drops what a relay that goes away has said.
func (r *run) forget(leader int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leading = ""
	delete(r.standby, string(rune('a'+leader)))
}

// judge compares the log, as an independent client reads it, with the table.
func (r *run) judge(ctx context.Context, report *Report) error {
	var rows int64
	if err := r.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM standby.tick").Scan(&rows); err != nil {
		return err
	}
	seen := make(map[int64]bool)
	last := int64(0)
	err := history.MergeLog(ctx, r.broker, r.pipeline, func(rec *history.Record) error {
		if rec.Topic != r.pipeline+"."+eventstore.RowTopic(schema, table) {
			return nil // the table's definition
		}
		id, err := strconv.ParseInt(rec.Key["id"].Text, 10, 64)
		if err != nil {
			return err
		}
		if rec.Op != 'c' || id <= last {
			report.Wrong++
		}
		seen[id], last = true, max(id, last)
		report.Changes++
		return nil
	})
	if err != nil {
		return err
	}
	for id := int64(1); id <= rows; id++ {
		if !seen[id] {
			report.Lost++
		}
	}
	if report.Lost > 0 || report.Wrong > 0 {
		return fmt.Errorf("the log is not what was committed: %s", report)
	}
	return nil
}

func (r *run) removeTopics(ctx context.Context) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(r.broker))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	topics, err := admin.ListTopics(ctx)
	if err != nil {
		return err
	}
	var mine []string
	for _, name := range topics.Names() {
		if strings.HasPrefix(name, r.pipeline+".") {
			mine = append(mine, name)
		}
	}
	_, err = admin.DeleteTopics(ctx, mine...)
	return err
}
