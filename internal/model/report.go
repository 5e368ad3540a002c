package model

import (
	"fmt"
	"io"
	"time"
)

// Verify explores the protocol as it is and with each step taken out, and writes what it finds, with the counterexamples if all is set.
// The error says what should be otherwise: the protocol breaks, or does not break without one of its steps.
func Verify(out io.Writer, session Session, all bool) error {
	states, wrong := 0, 0
	explore := func(run Run) {
		began := time.Now()
		res := Explore(run, session)
		states += res.States
		verdict, expected := "holds", res.Violation == "" && res.Complete
		if run.Without != "" {
			expected = res.Violation != ""
		}
		switch {
		case res.Violation != "":
			verdict = res.Violation
		case !res.Complete:
			verdict = "not explored to its end"
		}
		fmt.Fprintf(out, "%-86s %8d states %5.1f s  %s\n", run.Name, res.States, time.Since(began).Seconds(), verdict)
		if !expected {
			wrong++
			fmt.Fprintln(out, "    UNEXPECTED")
		}
		if run.Without == "" && expected {
			if expected = res.Completed > 0; !expected {
				wrong++
				fmt.Fprintln(out, "    UNEXPECTED: the log is never complete")
			}
		}
		if run.Without == "" && run.MayHalt != "" && len(res.Halts) == 0 {
			wrong++
			fmt.Fprintln(out, "    UNEXPECTED: nobody halts")
		}
		if all || !expected {
			for _, line := range res.Trace {
				fmt.Fprintln(out, "   ", line)
			}
		}
	}
	good, broken := Good(all), Broken()
	for _, run := range good {
		explore(run)
	}
	for _, run := range broken {
		explore(run)
	}
	if wrong > 0 {
		return fmt.Errorf("model: %d of %d runs are not as they should be (%d states)", wrong, len(good)+len(broken), states)
	}
	fmt.Fprintf(out, "model: the protocol holds in %d of %d runs, and breaks in %d of %d with a step taken out; %d states\n",
		len(good), len(good), len(broken), len(broken), states)
	return nil
}
