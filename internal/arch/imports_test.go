// Package arch holds the test of the import rule: the core packages import the standard library and each other's contract only, and
// each vendor client is imported by exactly one package.
package arch

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/millrace-go/millrace"

// core lists the packages that import the standard library only, with what of the module each may import.
var core = map[string][]string{
	"eventstore": {"internal/election", "internal/gtid", "internal/jsonscan", "internal/minheap", "internal/murmur2", "internal/pattern"},
	"cdc":        {"eventstore", "internal/gtid", "internal/jsonscan", "internal/pattern", "internal/pause", "internal/reclaim", "internal/safeguard"},
	"projector":  {"eventstore", "internal/gtid", "internal/jsonscan", "internal/safeguard"},
}

// vendors says which package a vendor's modules belong to.
var vendors = map[string]string{
	"github.com/go-mysql-org/":       "cdc/binlog",
	"github.com/segmentio/":          "eventstore/kafkalog",
	"github.com/pierrec/":            "eventstore/kafkalog",
	"github.com/elastic/":            "projector/elastic",
	"go.mongodb.org/":                "projector/mongodb",
	"github.com/cockroachdb/pebble/": "projector/pebblestate",
}

// inner lists the internal packages that import something of the module. Only tests and measurements import model and shop.
var inner = map[string][]string{
	"internal/election": {"internal/pause"},
	"internal/model":    {"eventstore"},
	"internal/shop":     {"eventstore", "projector", "projector/projectortest"},
}

type pkg struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) map[string]pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", module+"/...")
	cmd.Env = append(cmd.Environ(), "GOWORK=off")
	cmd.Dir = "../.."
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, said.String())
	}
	all := map[string]pkg{}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimPrefix(p.ImportPath, module+"/")] = p
	}
}

func TestCoreImportsStandardLibraryOnly(t *testing.T) {
	all := packages(t)
	for name, allowed := range core {
		p, ok := all[name]
		if !ok {
			t.Fatalf("package %s is not in the module", name)
		}
		for _, imported := range p.Imports {
			if own, ok := strings.CutPrefix(imported, module+"/"); ok {
				if !slices.Contains(allowed, own) {
					t.Errorf("%s imports %s, which its contract does not allow", name, own)
				}
			} else if !standard(imported) {
				t.Errorf("core package %s imports %s: only the standard library is allowed", name, imported)
			}
		}
	}
}

func TestOnePackagePerVendor(t *testing.T) {
	used := map[string]bool{}
	for name, p := range packages(t) {
		for _, imported := range p.Imports {
			for prefix, home := range vendors {
				if !strings.HasPrefix(imported, prefix) {
					continue
				}
				if used[prefix] = true; name != home {
					t.Errorf("%s imports %s: only %s may", name, imported, home)
				}
			}
		}
	}
	for prefix, home := range vendors {
		if !used[prefix] {
			t.Errorf("nobody imports %s: is %s gone?", prefix, home)
		}
	}
}

func TestInternalPackagesImportStandardLibraryOnly(t *testing.T) {
	for name, p := range packages(t) {
		if !strings.HasPrefix(name, "internal/") {
			continue
		}
		for _, imported := range p.Imports {
			if own, ok := strings.CutPrefix(imported, module+"/"); ok && slices.Contains(inner[name], own) {
				continue
			}
			if !standard(imported) {
				t.Errorf("%s imports %s", name, imported)
			}
		}
	}
}

// standard tells the standard library's packages: their first element has no dot.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}
