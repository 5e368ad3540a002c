package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// event is a line of go test -json; see go doc test2json.
type event struct {
	Action     string
	Package    string
	ImportPath string // of build-output and build-fail
	Test       string
	Output     string
	Key, Value string
	Elapsed    float64
}

type testName struct{ pkg, test string }

// report collects outcomes.
type report struct {
	outcome map[testName]string          // pass, fail, skip
	servers map[testName]map[string]bool // as the test itself said
	output  map[testName][]string        // of tests that have not passed
	parents map[testName]bool            // tests with subtests: they are not counted
	broken  []string                     // packages that failed outside of a test
}

func newReport() *report {
	return &report{outcome: map[testName]string{}, servers: map[testName]map[string]bool{}, output: map[testName][]string{},
		parents: map[testName]bool{}}
}

// read takes the whole stream and prints the output of failing tests and packages as they end, a line for each package.
func (r *report) read(in io.Reader, out io.Writer) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil {
				fmt.Fprintf(out, "%s", line) // not of the test: a tool's own words
			} else {
				r.add(e, out)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *report) add(e event, out io.Writer) {
	name := testName{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(out, e.Output)
	case "run":
		if at := strings.LastIndexByte(e.Test, '/'); at > 0 {
			r.parents[testName{e.Package, e.Test[:at]}] = true
		}
	case "attr":
		if e.Key == "server" {
			if r.servers[name] == nil {
				r.servers[name] = map[string]bool{}
			}
			r.servers[name][e.Value] = true
		}
	case "output":
		r.output[name] = append(r.output[name], e.Output)
	case "pass", "fail", "skip":
		r.end(name, e, out)
	}
}

func (r *report) end(name testName, e event, out io.Writer) {
	if e.Action != "pass" && (name.test != "" || e.Action == "fail") {
		for _, text := range r.output[name] {
			fmt.Fprint(out, text)
		}
	}
	delete(r.output, name)
	if name.test != "" {
		r.outcome[name] = e.Action
		return
	}
	fmt.Fprintf(out, "%-5s %s %.1fs\n", e.Action, e.Package, e.Elapsed)
	if e.Action == "fail" {
		r.broken = append(r.broken, e.Package)
		r.unfinished(e.Package, out)
	}
}

// unfinished prints what is left of tests that did not come to an end: a panic, a time-out.
func (r *report) unfinished(pkg string, out io.Writer) {
	for name, lines := range r.output {
		if name.pkg != pkg {
			continue
		}
		fmt.Fprintf(out, "unfinished: %s\n%s", name.test, strings.Join(lines, ""))
		delete(r.output, name)
	}
}

// serversOf returns the servers of a test: its own, or those of the nearest test above it that has some.
func (r *report) serversOf(name testName) []string {
	for {
		if own := r.servers[name]; len(own) > 0 {
			return slices.Sorted(maps.Keys(own))
		}
		at := strings.LastIndexByte(name.test, '/')
		if at < 0 {
			return []string{none}
		}
		name.test = name.test[:at]
	}
}

// none is the column of tests that need no server.
const none = "none"

func (r *report) count(outcome string) int {
	n := 0
	for name, o := range r.outcome {
		if o == outcome && !r.parents[name] {
			n++
		}
	}
	return n
}

func (r *report) ok() bool {
	return len(r.broken) == 0 && r.count("fail") == 0 && r.count("skip") == 0 && r.count("pass") > 0
}

const module = "github.com/millrace-go/millrace/"

// print writes the matrix: tests that passed, a row a package, a column a server. A test on two servers counts in both columns.
func (r *report) print(out io.Writer) {
	cells := map[string]map[string]int{}
	columns := map[string]bool{}
	for name, outcome := range r.outcome {
		if outcome != "pass" || r.parents[name] {
			continue
		}
		row := strings.TrimPrefix(name.pkg, module)
		if cells[row] == nil {
			cells[row] = map[string]int{}
		}
		for _, server := range r.serversOf(name) {
			cells[row][server]++
			columns[server] = true
		}
	}
	names := slices.Sorted(maps.Keys(columns))
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "\ntests passed, by server\t%s\t\n", strings.Join(names, "\t"))
	for _, row := range slices.Sorted(maps.Keys(cells)) {
		fmt.Fprintf(table, "%s\t", row)
		for _, column := range names {
			if n := cells[row][column]; n > 0 {
				fmt.Fprintf(table, "%d\t", n)
			} else {
				fmt.Fprint(table, "-\t")
			}
		}
		fmt.Fprintln(table)
	}
	table.Flush()
	for name, outcome := range r.outcome {
		if outcome != "pass" && !r.parents[name] {
			fmt.Fprintf(out, "%s: %s %s\n", outcome, strings.TrimPrefix(name.pkg, module), name.test)
		}
	}
	for _, pkg := range r.broken {
		fmt.Fprintf(out, "fail: %s\n", pkg)
	}
	failed := r.count("fail")
	if failed == 0 && len(r.broken) > 0 {
		failed = len(r.broken)
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", r.count("pass"), failed, r.count("skip"))
}
