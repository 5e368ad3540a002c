package cdc_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestOperationsPage: docs/operations.md ends with a table that has tests for each of its paragraphs, one on real servers among them, and what the
// page names in code is there: tests, targets of make, folders, and names of the packages.
func TestOperationsPage(t *testing.T) {
	file, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	text, table, ok := strings.Cut(string(file), "\n## What tests it\n")
	if !ok {
		t.Fatal("the page has no table of tests")
	}
	real := map[string]bool{} // paragraphs: whether a test of one runs on real servers
	for _, m := range regexp.MustCompile(`(?m)^## (.+)$`).FindAllStringSubmatch(text, -1) {
		real[m[1]] = false
	}
	rows := regexp.MustCompile(`(?m)^\| ([^|]+) \| [^|]+ \| ([^|]+) \|$`).FindAllStringSubmatch(table, -1)
	for _, row := range rows[1:] {
		if _, ok := real[row[1]]; !ok {
			t.Errorf("the table has %q, which is no paragraph", row[1])
		}
		tests := 0
		for part := range strings.SplitSeq(row[2], "; ") {
			if strings.HasPrefix(part, "`make ") {
				continue // with all others below
			}
			dir, names, ok := strings.Cut(part, ": ")
			if dir = strings.Trim(dir, "`"); !ok {
				t.Errorf("%s: %q, want folder: tests", row[1], part)
			}
			have := testsIn(t, filepath.Join("..", dir))
			for name := range strings.SplitSeq(names, ", ") {
				if tests++; !have[strings.Trim(name, "`")] {
					t.Errorf("%s: %s has no test %s", row[1], dir, name)
				}
			}
			real[row[1]] = real[row[1]] || strings.HasPrefix(dir, "internal/integration/")
		}
		if tests == 0 {
			t.Errorf("%s: a row without a test", row[1])
		}
	}
	for _, paragraph := range slices.Sorted(maps.Keys(real)) {
		if !real[paragraph] {
			t.Errorf("%s: no test on real servers", paragraph)
		}
	}

	names := map[string]bool{}
	for _, dir := range []string{".", "binlog", "../eventstore", "../eventstore/kafkalog"} {
		exported(t, dir, names)
	}
	targets := regexp.MustCompile(`^make\s(\S+)`)
	qualified := regexp.MustCompile(`^(?:(?:cdc|binlog|eventstore|kafkalog|relay|source)\.)?([A-Z][A-Za-z]*[a-z][A-Za-z]*)(?:\.([A-Z]\w*))?\b`)
	for _, m := range regexp.MustCompile("`([^`\n]+)`").FindAllStringSubmatch(text, -1) {
		code := m[1]
		if m := targets.FindStringSubmatch(code); m != nil {
			if !strings.Contains(string(makefile), "\n"+m[1]+":") {
				t.Errorf("%q: there is no such target", code)
			}
		} else if m := qualified.FindStringSubmatch(code); m != nil {
			for _, name := range m[1:] {
				if name != "" && !names[name] {
					t.Errorf("%q: %s is nothing that the packages have", code, name)
				}
			}
		} else if strings.HasPrefix(code, "examples/") {
			if _, err := os.Stat("../" + code); err != nil {
				t.Error(err)
			}
		}
	}
	for _, m := range regexp.MustCompile("`make ([^`]+)`").FindAllStringSubmatch(table, -1) {
		if !strings.Contains(string(makefile), "\n"+m[1]+":") {
			t.Errorf("make %s: there is no such target", m[1])
		}
	}
}

// testsIn returns the names of a folder's tests.
func testsIn(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`).FindAllSubmatch(content, -1) {
			names[string(m[1])] = true
		}
	}
	return names
}

// exported adds the exported names of a package: its own, and those of fields and methods.
func exported(t *testing.T, dir string, names map[string]bool) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				names[n.Name.Name] = true
				return false
			case *ast.TypeSpec:
				names[n.Name.Name] = true
			case *ast.Field:
				for _, name := range n.Names {
					names[name.Name] = true
				}
			case *ast.ValueSpec:
				for _, name := range n.Names {
					names[name.Name] = true
				}
			}
			return true
		})
	}
}
