package projectortest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// maxDiffs is how many differences of one document are listed.
const maxDiffs = 20

// diffJSON lists where two JSON texts differ, one line a place: its path, what was wanted there, what there was.
func diffJSON(got, want []byte) string {
	a, errA := parseJSON(got)
	b, errB := parseJSON(want)
	if errA != nil || errB != nil {
		return fmt.Sprintf("\tgot %s\n\twant %s", got, want)
	}
	var lines []string
	addDiffs(&lines, "", a, b)
	if more := len(lines) - maxDiffs; more > 0 {
		lines = append(lines[:maxDiffs], fmt.Sprintf("\tand %d more", more))
	}
	return strings.Join(lines, "\n")
}

// parseJSON keeps numbers as they stand in the text.
func parseJSON(text []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

// absent stands for a value that is not there.
type absent struct{}

func addDiffs(lines *[]string, path string, got, want any) {
	switch g := got.(type) {
	case map[string]any:
		if w, ok := want.(map[string]any); ok {
			keys := maps.Clone(g)
			maps.Copy(keys, w)
			for _, key := range slices.Sorted(maps.Keys(keys)) {
				addDiffs(lines, path+member(key), orAbsent(g, key), orAbsent(w, key))
			}
			return
		}
	case []any:
		if w, ok := want.([]any); ok {
			for i := range max(len(g), len(w)) {
				var a, b any = absent{}, absent{}
				if i < len(g) {
					a = g[i]
				}
				if i < len(w) {
					b = w[i]
				}
				addDiffs(lines, path+"["+strconv.Itoa(i)+"]", a, b)
			}
			return
		}
	}
	if a, b := short(got), short(want); a != b {
		if path == "" {
			path = "the document"
		}
		*lines = append(*lines, fmt.Sprintf("\t%s: want %s, got %s", path, b, a))
	}
}

func orAbsent(object map[string]any, key string) any {
	if v, found := object[key]; found {
		return v
	}
	return absent{}
}

var plainName = regexp.MustCompile(`^[\pL_][\pL\pN_]*$`)

// member is a step of a path.
func member(key string) string {
	if plainName.MatchString(key) {
		return "." + key
	}
	return "[" + strconv.Quote(key) + "]"
}

// short is a value in a line. Values that differ differ in it.
func short(v any) string {
	if _, nothing := v.(absent); nothing {
		return "nothing"
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
