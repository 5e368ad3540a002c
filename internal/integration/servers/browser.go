package servers

import (
	"context"
	"errors"
)

// browsers are the names that Chromium goes by. Debian's is the first.
var browsers = []string{"chromium", "chromium-browser", "google-chrome"}

// FindBrowser returns the program of a Chromium for tests of pages: the machine's own, or Debian's, which is installed on the machine when there is
// none and the user is root. It ends the test when there is none.
func FindBrowser(t TB) (program string) {
	t.Helper()
	program, err := locateBrowser(t.Context(), t.Logf)
	if err != nil {
		t.Fatalf("no browser for this test: %v", err)
	}
	t.Attr("server", browsers[0]) // for the matrix that `make test` ends with
	return program
}

func locateBrowser(ctx context.Context, logf func(format string, args ...any)) (program string, err error) {
	if program := lookBrowser(); program != "" {
		return program, nil
	}
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	in := &installer{cache: cache, logf: logf}
	if err := in.aptInstall(ctx, "no Chromium found", browsers[0]); err != nil {
		return "", err
	}
	if program = lookBrowser(); program == "" {
		err = errors.New("apt-get has installed chromium, and it is still not found")
	}
	return program, err
}

func lookBrowser() string {
	for _, name := range browsers {
		if program := lookPath(name); program != "" {
			return program
		}
	}
	return ""
}
