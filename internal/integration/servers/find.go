package servers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
)

// TB is what Find needs of a test; *testing.T and *testing.B have it. It is written out here so that a program that starts servers does
// not link package testing.
type TB interface {
	Helper()
	Context() context.Context
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
	Attr(key, value string)
}

// Find returns a server of a kind for tests to share: databases, topics and indexes in it need names that no other test uses. It ends
// the test when there is none. See Locate for where it looks.
func Find(t TB, kind Kind) Address {
	t.Helper()
	a, err := Locate(t.Context(), kind, t.Logf)
	if err != nil {
		t.Fatalf("no %s for this test: %v", kind, err)
	}
	t.Attr("server", string(kind)) // for the matrix that `make test` ends with
	return a
}

// A Provider gives the address of a server, or ErrNotProvided wrapped in an error that says why it has none.
type Provider func(ctx context.Context, kind Kind, logf func(format string, args ...any)) (Address, error)

// ErrNotProvided is returned by a Provider that cannot help: the next one is asked.
var ErrNotProvided = errors.New("not provided")

var providers struct {
	sync.Mutex
	list []Provider
}

// Register adds a provider that Locate asks after the environment and before starting a server itself. Package servers/docker does so
// when it is imported, for its side effect.
func Register(p Provider) {
	providers.Lock()
	defer providers.Unlock()
	providers.list = append(providers.list, p)
}

var located struct {
	sync.Mutex
	at map[Kind]Address
}

// Locate returns a server of a kind for many to share. It takes the first of these:
//
//  1. the address in the environment (Kind.Env); it is an error if that server does not answer;
//  2. a registered provider's: Docker, if package servers/docker is imported;
//  3. the shared server that runs on this machine, started by `make services` or an earlier Locate;
//  4. the shared server, after installing what is missing and starting it.
//
// The answer is remembered for the process. On MySQL and MariaDB the ordinary user (CDCUser) exists then.
// logf hears about slow steps; nil means silence.
func Locate(ctx context.Context, kind Kind, logf func(format string, args ...any)) (Address, error) {
	if logf == nil {
		logf = func(string, ...any) {}
	}
	driver, err := driverOf(kind)
	if err != nil {
		return Address{}, err
	}
	located.Lock()
	defer located.Unlock()
	if a, ok := located.at[kind]; ok {
		return a, nil
	}
	a, err := locate(ctx, kind, driver, logf)
	if err != nil {
		return a, err
	}
	logf("%s: %v (%s)", kind, a, a.Origin)
	if located.at == nil {
		located.at = map[Kind]Address{}
	}
	located.at[kind] = a
	return a, nil
}

func locate(ctx context.Context, kind Kind, driver driver, logf func(string, ...any)) (Address, error) {
	if v := os.Getenv(kind.Env()); v != "" {
		a := Address{Kind: kind, Value: v, Origin: "environment " + kind.Env()}
		waiting, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		if err := await(waiting, nil, func(ctx context.Context) error { return driver.ping(ctx, a) }); err != nil {
			return a, fmt.Errorf("%s=%v does not answer: %w", kind.Env(), a, err)
		}
		return a, ensureUser(ctx, a)
	}
	providers.Lock()
	list := slices.Clone(providers.list)
	providers.Unlock()
	for _, provide := range list {
		a, err := provide(ctx, kind, logf)
		if errors.Is(err, ErrNotProvided) {
			logf("%s: %v", kind, err)
			continue
		}
		if err != nil {
			return a, err
		}
		return a, ensureUser(ctx, a)
	}
	s, started, err := StartShared(ctx, kind, SharedOptions{Elsewhere: true, Logf: logf})
	if err != nil {
		return Address{}, err
	}
	a := s.Address()
	if started {
		a.Origin = "started just now"
	}
	return a, nil
}

// ensureUser makes the ordinary user on a database server that this package did not start.
func ensureUser(ctx context.Context, a Address) error {
	rights := map[Kind]string{MariaDB: MariaDBRights, MySQL: MySQLRights}[a.Kind]
	if rights == "" {
		return nil
	}
	db, err := sql.Open("mysql", a.DSN(""))
	if err != nil {
		return err
	}
	defer db.Close()
	for _, statement := range ordinaryUser(rights) {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s (%s): make the user %s as %v: %w", a.Kind, a.Origin, CDCUser, a, err)
		}
	}
	return nil
}

// BinlogTool returns the path of mysqlbinlog or mariadb-binlog for servers of a kind, wherever they run, and installs it if need be.
func BinlogTool(ctx context.Context, kind Kind, logf func(format string, args ...any)) (string, error) {
	if kind != MySQL && kind != MariaDB {
		return "", fmt.Errorf("%s has no binlog", kind)
	}
	driver, err := driverOf(kind)
	if err != nil {
		return "", err
	}
	if logf == nil {
		logf = func(string, ...any) {}
	}
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	if err := openDir(cache); err != nil {
		return "", fmt.Errorf("cache folder: %w: set MILLRACE_CACHE", err)
	}
	p, err := driver.install(ctx, &installer{cache: cache, logf: logf})
	if err != nil {
		return "", fmt.Errorf("%s: %w", kind, err)
	}
	return p.binlog, nil
}
