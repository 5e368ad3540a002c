package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Options say how to start a server. The zero value starts one on a free port, in a folder of its own.
type Options struct {
	// Port on 127.0.0.1; 0 picks a free one. Kafka also takes the next port if it is free, for its controller.
	Port int
	// Dir holds the server's data, settings and log. Empty: a folder in the cache, which Close removes. A folder that an earlier Server
	// has used is used again, with its data.
	Dir string
	// Args are appended to the server's own: command line arguments for MariaDB, MySQL and MongoDB, lines `key=value` of
	// server.properties for Kafka, and lines `key: value` of elasticsearch.yml for Elasticsearch. Where one is given twice, the last holds.
	Args []string
	// EncryptBinlog has MariaDB or MySQL encrypt its binlog files, with keys in the server's folder.
	EncryptBinlog bool
	// Heap is the largest heap of Kafka's Java machine, e.g. "2g"; empty means "512m". The other servers have no such thing.
	Heap string
	// Ready is the longest time to wait until the server answers; 0 means five minutes. A server that ends is not waited for.
	Ready time.Duration
	// Logf hears about installations and other slow steps; nil means silence.
	Logf func(format string, args ...any)
}

// A driver knows how one kind of server is installed, run and asked.
type driver interface {
	install(ctx context.Context, in *installer) (programs, error)
	// format makes the data folder. It is called once in a server's life.
	format(ctx context.Context, s *Server) error
	// command is the server's command line. first: it has never been ready.
	command(s *Server, first bool) (*exec.Cmd, error)
	// setup is called until it succeeds, once in a server's life, before the first ping.
	setup(ctx context.Context, s *Server) error
	// ping asks once whether a server, anywhere, does its work.
	ping(ctx context.Context, a Address) error
}

func driverOf(k Kind) (driver, error) {
	switch k {
	case MariaDB:
		return mariaDB{}, nil
	case MySQL:
		return mySQL{}, nil
	case Kafka:
		return kafka{}, nil
	case Elasticsearch:
		return elasticsearch{}, nil
	case MongoDB:
		return mongoDB{}, nil
	}
	_, err := ParseKind(string(k))
	return nil, err
}

// A Server is a server that this process started, and that ends with it. Its methods must not be called concurrently with each other, except Pause,
// Continue and the getters.
type Server struct {
	kind    Kind
	opts    Options
	driver  driver
	prog    programs
	dir     string
	port    int
	owned   *fileLock           // of a folder that Close removes
	spawned func(process) error // hears of a process before it is ready; nil: nobody

	mu    sync.Mutex
	child *child
}

// Start installs a server if need be, starts it on 127.0.0.1, and returns when it answers and its users are there. The server is
// killed when this process ends. The context bounds the start only.
func Start(ctx context.Context, kind Kind, opts Options) (*Server, error) {
	return start(ctx, kind, opts, nil)
}

// start is Start for a private server without spawned, and starts one that outlives this process with it.
func start(ctx context.Context, kind Kind, opts Options, spawned func(process) error) (*Server, error) {
	d, err := driverOf(kind)
	if err != nil {
		return nil, err
	}
	return startDriver(ctx, kind, d, opts, spawned)
}

// startDriver is start with a driver that is not the kind's own.
func startDriver(ctx context.Context, kind Kind, d driver, opts Options, spawned func(process) error) (*Server, error) {
	if opts.Logf == nil {
		opts.Logf = func(string, ...any) {}
	}
	cache, err := CacheDir()
	if err != nil {
		return nil, err
	}
	if err := openDir(cache); err != nil {
		return nil, fmt.Errorf("%s: cache folder: %w: set MILLRACE_CACHE", kind, err)
	}
	if opts.Port != 0 && !portFree(opts.Port) {
		return nil, &PortTakenError{kind, opts.Port}
	}
	in := &installer{cache: cache, logf: opts.Logf}
	prog, err := d.install(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	s := &Server{kind: kind, opts: opts, driver: d, prog: prog, dir: opts.Dir, port: opts.Port, spawned: spawned}
	if s.dir == "" {
		if s.dir, s.owned, err = scratchDir(cache, kind); err != nil {
			return nil, fmt.Errorf("%s: %w", kind, err)
		}
	}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", kind, err), s.Close())
	}
	if opts.EncryptBinlog {
		if err := s.encryptBinlog(ctx, in); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: encrypted binlog: %w", kind, err), s.Close())
		}
	}
	if err := s.launch(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// prepare makes the folders and, in a new server's life, the data.
func (s *Server) prepare(ctx context.Context) (err error) {
	if s.dir, err = filepath.Abs(s.dir); err != nil {
		return err
	}
	for _, dir := range []string{s.dir, s.tmp()} {
		if err := openDir(dir); err != nil {
			return err
		}
	}
	if s.port == 0 {
		if s.port, err = freePort(); err != nil {
			return err
		}
	}
	if s.first() { // also after a start that did not come to its end
		if err := os.RemoveAll(s.data()); err != nil {
			return err
		}
		if err := openDir(s.data()); err != nil {
			return err
		}
		return s.driver.format(ctx, s)
	}
	return nil
}

// encryptBinlog adds to the options what the driver says.
func (s *Server) encryptBinlog(ctx context.Context, in *installer) error {
	d, ok := s.driver.(encrypter)
	if !ok {
		return errors.New("this kind of server has none")
	}
	args, err := d.encrypt(ctx, in, s)
	s.opts.Args = append(slices.Clone(s.opts.Args), args...)
	return err
}

// launch starts the process and waits until it answers.
func (s *Server) launch(ctx context.Context) error {
	first := s.first()
	cmd, err := s.driver.command(s, first)
	if err != nil {
		return fmt.Errorf("%s: %w", s.kind, err)
	}
	cmd.Dir = s.data()
	c, err := spawn(cmd, s.Log(), s.spawned == nil)
	if err != nil {
		return fmt.Errorf("%s: start: %w", s.kind, err)
	}
	s.mu.Lock()
	s.child = c
	s.mu.Unlock()
	if s.spawned != nil {
		if err := s.spawned(c.process); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", s.kind, err), c.kill(context.WithoutCancel(ctx)))
		}
	}
	patience := s.opts.Ready
	if patience == 0 {
		patience = 5 * time.Minute
	}
	waiting, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("not ready within %v", patience))
	defer cancel()
	err = await(waiting, c.ended, func(ctx context.Context) error { return s.answers(ctx, first) })
	if err == nil && !c.alive() {
		err = errors.New("another program took the port, and answers there")
	}
	if err != nil {
		return errors.Join(s.failed(err), c.kill(context.WithoutCancel(ctx)))
	}
	return os.WriteFile(filepath.Join(s.dir, "ready"), nil, 0o644)
}

// await asks until the answer is yes, the server has ended, or the context ends. A nil channel never ends.
func await(ctx context.Context, ended <-chan struct{}, ask func(ctx context.Context) error) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		try, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := ask(try)
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || last == nil {
			last = err
		}
		select {
		case <-ended:
			return errors.New("the process ended before it was ready")
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), last)
		case <-tick.C:
		}
	}
}

// answers asks the server once whether it is ready.
func (s *Server) answers(ctx context.Context, first bool) error {
	if first {
		if err := s.driver.setup(ctx, s); err != nil {
			return err
		}
	}
	return s.driver.ping(ctx, s.Address())
}

// failed is the error of a start, with what the server's log says.
func (s *Server) failed(err error) error {
	text, readErr := os.ReadFile(s.Log())
	if readErr != nil {
		return fmt.Errorf("start %s on port %d: %w (no log: %w)", s.kind, s.port, err, readErr)
	}
	return fmt.Errorf("start %s on port %d: %w; the last lines of %s:\n%s", s.kind, s.port, err, s.Log(), lastLines(string(text), 15))
}

func (s *Server) first() bool {
	_, err := os.Stat(filepath.Join(s.dir, "ready"))
	return err != nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// tmp is the server's own folder for temporary files.
func (s *Server) tmp() string { return filepath.Join(s.dir, "tmp") }

// Address is where the server is and how to log in.
func (s *Server) Address() Address {
	return loopback(s.kind, s.port, fmt.Sprintf("started by process %d", os.Getpid()))
}

// Kind is the kind of server.
func (s *Server) Kind() Kind { return s.kind }

// Port is the server's port on 127.0.0.1.
func (s *Server) Port() int { return s.port }

// Version is the server's version as its program or package says it.
func (s *Server) Version() string { return s.prog.version }

// Log is the path of the file with everything the server printed.
func (s *Server) Log() string { return filepath.Join(s.dir, "server.log") }

// BinlogTool is the path of the server's own mysqlbinlog or mariadb-binlog; empty for the other servers.
func (s *Server) BinlogTool() string { return s.prog.binlog }

// PID is the process id of the server, or of the last one when it has ended.
func (s *Server) PID() int { return s.process().PID }

// Ended is closed when the process that Start or Restart started last has ended.
func (s *Server) Ended() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.child.ended
}

func (s *Server) process() process {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.child == nil {
		return process{}
	}
	return s.child.process
}

// Stop asks the server to shut down, and kills it when it has not done so within 30 s or when the context ends. Its data stays. It is no error when
// the server has ended already.
func (s *Server) Stop(ctx context.Context) error {
	if err := s.process().stop(ctx, 30*time.Second); err != nil {
		return fmt.Errorf("stop %s: %w", s.kind, err)
	}
	<-s.Ended()
	return nil
}

// Kill ends the server at once with SIGKILL, and returns when it is gone. Its data stays.
func (s *Server) Kill() error {
	if err := s.process().kill(context.Background()); err != nil {
		return fmt.Errorf("kill %s: %w", s.kind, err)
	}
	<-s.Ended()
	return nil
}

// Restart starts the server again, on the same port and data, and returns when it answers. A server that still runs is shut down first.
// Arguments take the place of those in Options.Args, from now on; with none those stay.
func (s *Server) Restart(ctx context.Context, args ...string) error {
	if err := s.Stop(ctx); err != nil {
		return err
	}
	if len(args) > 0 {
		s.opts.Args = args
	}
	if !portFree(s.port) {
		return &PortTakenError{s.kind, s.port}
	}
	return s.launch(ctx)
}

// Pause stops every thread of the server (SIGSTOP), and returns when they have stopped: connections stay open, and nothing answers.
func (s *Server) Pause() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return s.process().pause(ctx)
}

// Continue ends a Pause.
func (s *Server) Continue() error { return s.process().signalGroup(syscall.SIGCONT) }

// Close kills the server and removes its folder, unless the folder was given in Options. It may be called twice.
func (s *Server) Close() error {
	var err error
	if s.process().PID != 0 {
		err = s.Kill()
	}
	if s.owned == nil {
		return err
	}
	err = errors.Join(err, os.RemoveAll(s.dir))
	s.owned.unlock()
	s.owned = nil
	return err
}

// scratchDir makes a folder for a private server, and sweeps away those whose owners died without removing them: each is locked by its owner.
func scratchDir(cache string, kind Kind) (string, *fileLock, error) {
	root := filepath.Join(cache, "private")
	if err := openDir(root); err != nil {
		return "", nil, err
	}
	l, err := lock(context.Background(), filepath.Join(cache, "lock", "private"))
	if err != nil {
		return "", nil, err
	}
	defer l.unlock()
	old, err := filepath.Glob(filepath.Join(root, "*"))
	if err != nil {
		return "", nil, err
	}
	for _, dir := range old {
		if l, err := tryLock(filepath.Join(dir, "owner")); err == nil {
			_ = os.RemoveAll(dir) // the next one tries again
			l.unlock()
		}
	}
	dir, err := os.MkdirTemp(root, string(kind)+"-")
	if err != nil {
		return "", nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", nil, err
	}
	owner, err := tryLock(filepath.Join(dir, "owner"))
	return dir, owner, err
}
