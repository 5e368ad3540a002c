package servers

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// An aptSource is one archive that the machine's apt is told to use.
type aptSource struct {
	uri      string
	suite    string
	signedBy string // path of a keyring, or empty: apt's own trusted keys
}

// errNoArchive says that no Debian archive could be found in the machine's apt sources.
var errNoArchive = errors.New("no Debian archive among the machine's apt sources (sources.list, sources.list.d): Debian is needed to install this server")

// hostSources reads the machine's apt sources, below root (normally "/").
func hostSources(root string) ([]aptSource, error) {
	dir := filepath.Join(root, "etc/apt")
	files := []string{filepath.Join(dir, "sources.list")}
	for _, pattern := range []string{"*.list", "*.sources"} {
		more, err := filepath.Glob(filepath.Join(dir, "sources.list.d", pattern))
		if err != nil {
			return nil, err
		}
		files = append(files, more...)
	}
	var all []aptSource
	for _, name := range files {
		text, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if strings.HasSuffix(name, ".sources") {
			all = append(all, parseDeb822(string(text))...)
		} else {
			all = append(all, parseOneLine(string(text))...)
		}
	}
	return all, nil
}

// debianArchive picks the machine's main Debian archive: one that has the component main and the suite codename (bookworm, …).
func debianArchive(sources []aptSource, codename string) (aptSource, error) {
	for _, want := range []string{codename, "stable", "testing", "sid", "unstable"} {
		for _, s := range sources {
			if s.suite == want {
				return s, nil
			}
		}
	}
	return aptSource{}, errNoArchive
}

// line is the source in one-line format, for another suite of the same archive.
func (s aptSource) line(suite string) string {
	signed := ""
	if s.signedBy != "" {
		signed = "[signed-by=" + s.signedBy + "] "
	}
	return "deb " + signed + s.uri + " " + suite + " main\n"
}

// parseOneLine reads the lines `deb [option=value …] uri suite component…` that have the component main.
func parseOneLine(text string) []aptSource {
	var all []aptSource
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		kind, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if kind != "deb" {
			continue
		}
		rest = strings.TrimSpace(rest)
		signedBy := ""
		if strings.HasPrefix(rest, "[") {
			options, after, ok := strings.Cut(rest[1:], "]")
			if !ok {
				continue
			}
			for option := range strings.FieldsSeq(options) {
				if v, ok := strings.CutPrefix(option, "signed-by="); ok {
					signedBy = v
				}
			}
			rest = after
		}
		f := strings.Fields(rest)
		if len(f) < 3 || !slices.Contains(f[2:], "main") || strings.HasPrefix(f[0], "cdrom:") {
			continue
		}
		all = append(all, aptSource{uri: f[0], suite: f[1], signedBy: signedBy})
	}
	return all
}

// parseDeb822 reads the paragraphs `Types: … URIs: … Suites: … Components: …` that have the component main.
func parseDeb822(text string) []aptSource {
	var all []aptSource
	fields, last := map[string]string{}, ""
	flush := func() {
		enabled := strings.ToLower(fields["enabled"])
		if slices.Contains(strings.Fields(fields["types"]), "deb") && slices.Contains(strings.Fields(fields["components"]), "main") &&
			enabled != "no" && enabled != "false" {
			signedBy := fields["signed-by"]
			if !strings.HasPrefix(signedBy, "/") {
				signedBy = "" // a key written out, or a fingerprint: apt's trusted keys have to do
			}
			for uri := range strings.FieldsSeq(fields["uris"]) {
				for suite := range strings.FieldsSeq(fields["suites"]) {
					all = append(all, aptSource{uri: uri, suite: suite, signedBy: signedBy})
				}
			}
		}
		clear(fields)
		last = ""
	}
	sc := bufio.NewScanner(strings.NewReader(text))
	for sc.Scan() {
		line := sc.Text()
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.TrimSpace(line) == "":
			flush()
		case line[0] == ' ' || line[0] == '\t':
			if last != "" {
				fields[last] += " " + strings.TrimSpace(line)
			}
		default:
			key, value, ok := strings.Cut(line, ":")
			if ok {
				last = strings.ToLower(strings.TrimSpace(key))
				fields[last] = strings.TrimSpace(value)
			}
		}
	}
	flush()
	return all
}

// codename is the name of the machine's Debian release, from os-release below root.
func codename(root string) string {
	text, err := os.ReadFile(filepath.Join(root, "etc/os-release"))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "VERSION_CODENAME="); ok {
			return strings.Trim(v, `"`)
		}
	}
	return ""
}
