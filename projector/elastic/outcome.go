package elastic

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/millrace-go/millrace/projector"
)

// errAsk says that a conflict's reason did not tell the stored version: it has to be read.
var errAsk = errors.New("ask for the stored version")

// outcome turns one item of a bulk reply into a result. Its second value is an error of the whole call: what is wrong is not this
// document. errAsk asks for a look at the stored version.
func outcome(st store, w projector.Write, it bulkItem) (projector.Result, error) {
	if it.Status == http.StatusOK || it.Status == http.StatusCreated {
		return projector.Result{Outcome: projector.Applied, Stored: w.Version}, nil
	}
	typ, reason := "", ""
	if it.Error != nil {
		typ, reason = it.Error.Type, it.Error.Reason
	}
	switch {
	case it.Status == http.StatusConflict:
		if stored, ok := conflictVersion(reason, w.Version); ok {
			return conflict(w.Version, stored), nil
		}
		return projector.Result{}, errAsk
	case typ == "index_not_found_exception":
		return projector.Result{}, fmt.Errorf("elastic: bulk: there is no alias %s: the index %s was not prepared, or was deleted", st.write, st.index)
	case typ == "illegal_argument_exception" && strings.HasPrefix(reason, "no write index is defined for alias"):
		return projector.Result{}, fmt.Errorf("elastic: bulk: the alias %s has no write index: it must point at %s only", st.write, st.index)
	case typ == "security_exception" || it.Status == http.StatusUnauthorized:
		return projector.Result{}, &responseError{step: "bulk to " + st.index, status: it.Status, typ: typ}
	case it.Status == http.StatusTooManyRequests || it.Status >= 500 || typ == "cluster_block_exception" || typ == "index_closed_exception":
		err := fmt.Errorf("elastic: document %q: status %d: %s: %w", w.ID, it.Status, typ, projector.ErrUnavailable)
		return projector.Result{Outcome: projector.Retry, Err: err}, nil
	}
	return refused(w.ID, fmt.Errorf("status %d: %s%s", it.Status, typ, safePart(reason))), nil
}

func refused(id string, err error) projector.Result {
	return projector.Result{Outcome: projector.Refused, Err: fmt.Errorf("elastic: document %q: refused: %w", id, err)}
}

// conflict is the result of a write that found a version that was not older.
func conflict(wrote, stored projector.Version) projector.Result {
	if stored == wrote {
		return projector.Result{Outcome: projector.Applied, Stored: stored}
	}
	return projector.Result{Outcome: projector.Stale, Stored: stored}
}

var conflictReason = regexp.MustCompile(`version conflict, current version \[([0-9]+)\] is higher or equal to the one provided \[([0-9]+)\]$`)

// conflictVersion reads the stored version from a conflict's reason. The reason begins with the id, which can hold any text, so only
// its end counts, and it must repeat the version that was sent. Otherwise the caller asks.
func conflictVersion(reason string, wrote projector.Version) (projector.Version, bool) {
	m := conflictReason.FindStringSubmatch(reason)
	if m == nil {
		return 0, false
	}
	stored, err := strconv.ParseUint(m[1], 10, 64)
	provided, perr := strconv.ParseUint(m[2], 10, 64)
	if err != nil || perr != nil || projector.Version(provided) != wrote || stored < provided {
		return 0, false
	}
	return projector.Version(stored), true
}

// safeReasons are the phrases of Elasticsearch that may go into an error: they name fields and types of the mapping, and numbers,
// never values. Everything else in a reason is left out, because reasons quote documents.
var safeReasons = []*regexp.Regexp{
	regexp.MustCompile(`failed to parse field \[[^\]]{1,200}\] of type \[[a-z_]+\]`),
	regexp.MustCompile(`object mapping for \[[^\]]{1,200}\] tried to parse field \[[^\]]{1,200}\] as object, but found a concrete value`),
	regexp.MustCompile(`mapping set to strict, dynamic introduction of \[[^\]]{1,200}\] within \[[^\]]{1,200}\] is not allowed`),
	regexp.MustCompile(`Limit of (total fields|mapping depth|nested fields|field name length) \[[0-9]+\] has been exceeded`),
	regexp.MustCompile(`Field \[_[a-z_]+\] is a metadata field and cannot be added inside a document`),
	regexp.MustCompile(`Duplicate field`),
}

func safePart(reason string) string {
	for _, re := range safeReasons {
		if s := re.FindString(reason); s != "" {
			return ": " + s
		}
	}
	return ""
}
