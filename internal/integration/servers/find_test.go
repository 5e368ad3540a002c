package servers

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLocateEnvironment checks that an address in the environment comes first, that the ordinary user is made there, and that an address
// at which nothing answers is an error: it is not passed over.
func TestLocateEnvironment(t *testing.T) {
	s, err := Start(t.Context(), MariaDB, Options{Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	forget := func() { located.Lock(); located.at = nil; located.Unlock() }
	forget()
	t.Cleanup(forget)

	t.Setenv(MariaDB.Env(), s.Address().Value)
	db, err := sql.Open("mysql", s.Address().DSN(""))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "DROP USER "+CDCUser); err != nil {
		t.Fatal(err)
	}
	a := Find(t, MariaDB)
	if a.Value != s.Address().Value || !strings.Contains(a.Origin, MariaDB.Env()) {
		t.Errorf("got %+v", a)
	}
	if err := pingSQL(t.Context(), a.CDC("")); err != nil {
		t.Error("log in as the ordinary user:", err)
	}

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	l.Close()
	for kind, value := range map[Kind]string{MySQL: "root:secret@tcp(" + closed + ")/", MongoDB: "mongodb://root:secret@" + closed + "/?replicaSet=rs0"} {
		t.Setenv(kind.Env(), value)
		_, err := Locate(t.Context(), kind, t.Logf)
		if err == nil || !strings.Contains(err.Error(), kind.Env()) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v", kind, err)
		}
	}
}

// TestLocateProvider checks that a provider is asked before a server is started, and passed over only when it says so.
func TestLocateProvider(t *testing.T) {
	t.Setenv("MILLRACE_CACHE", filepath.Join(t.TempDir(), "none")) // nothing may be started here
	t.Setenv(Kafka.Env(), "")
	providers.Lock()
	before := providers.list
	providers.list = nil
	providers.Unlock()
	forget := func() { located.Lock(); located.at = nil; located.Unlock() }
	forget()
	t.Cleanup(func() {
		forget()
		providers.Lock()
		providers.list = before
		providers.Unlock()
	})
	asked := 0
	Register(func(context.Context, Kind, func(string, ...any)) (Address, error) {
		asked++
		return Address{}, ErrNotProvided
	})
	Register(func(_ context.Context, kind Kind, _ func(string, ...any)) (Address, error) {
		return Address{Kind: kind, Value: "provided:9092"}, nil
	})
	for range 2 { // the second time it is remembered
		if a, err := Locate(t.Context(), Kafka, t.Logf); err != nil || a.Value != "provided:9092" || asked != 1 {
			t.Errorf("got %v, %v, the first provider was asked %d times", a, err, asked)
		}
	}
	forget()
	broken := errors.New("broken")
	providers.Lock()
	providers.list = []Provider{func(context.Context, Kind, func(string, ...any)) (Address, error) { return Address{}, broken }}
	providers.Unlock()
	if _, err := Locate(t.Context(), Kafka, t.Logf); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
}

func TestAddressString(t *testing.T) {
	for value, want := range map[Address]string{
		{Kind: MySQL, Value: "root:secret@tcp(127.0.0.1:3306)/"}:                      "root@127.0.0.1:3306",
		{Kind: MySQL, Value: "root:secret@127.0.0.1"}:                                 "(not a data source name: user:password@tcp(host:port)/)",
		{Kind: Kafka, Value: "127.0.0.1:9092"}:                                        "127.0.0.1:9092",
		{Kind: Elasticsearch, Value: "https://elastic:sec@ret@127.0.0.1:9200"}:        "https://elastic@127.0.0.1:9200",
		{Kind: MongoDB, Value: "mongodb://root:secret@a:1,b:2/?replicaSet=rs0&x=@"}:   "mongodb://root@a:1,b:2/?replicaSet=rs0&x=@",
		{Kind: MongoDB, Value: "mongodb://127.0.0.1:27017/?replicaSet=rs0&appName=@"}: "mongodb://127.0.0.1:27017/?replicaSet=rs0&appName=@",
	} {
		if got := value.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestScratchDir checks that the folders of dead owners are swept away, and those of living ones are not.
func TestScratchDir(t *testing.T) {
	cache := t.TempDir()
	living, owner, err := scratchDir(cache, MySQL)
	if err != nil {
		t.Fatal(err)
	}
	dead := filepath.Join(cache, "private", "mysql-dead")
	write(t, filepath.Join(dead, "owner"), "")
	if _, _, err := scratchDir(cache, MySQL); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dead); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the dead owner's folder: %v", err)
	}
	if _, err := os.Stat(living); err != nil {
		t.Errorf("the living owner's folder: %v", err)
	}
	owner.unlock()
	if _, _, err := scratchDir(cache, MySQL); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(living); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder after its owner's end: %v", err)
	}
}
