package servers

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// kafkaSums are the checksums of every file of the Kafka installation, as `sha256sum *` prints them.
//
//go:embed kafka.sha256
var kafkaSums string

// fileSum is the SHA-256 checksum of a file, in hexadecimal.
func fileSum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// verifyFile checks a file that was fetched.
func verifyFile(path, want string) error {
	got, err := fileSum(path)
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("%s has SHA-256 %s, and not %s: it is not the file that was tested; it is thrown away", filepath.Base(path), got, want)
	}
	return nil
}

// verifyDir checks that a folder holds exactly the files of a list as sha256sum prints it.
func verifyDir(dir, sums string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	extra := map[string]bool{}
	for _, e := range entries {
		extra[e.Name()] = true
	}
	var errs []error
	for line := range strings.Lines(sums) {
		sum, name, ok := strings.Cut(strings.TrimSpace(line), "  ")
		if !ok {
			return fmt.Errorf("checksum list: line %q", line)
		}
		delete(extra, name)
		errs = append(errs, verifyFile(filepath.Join(dir, name), sum))
	}
	for name := range extra {
		errs = append(errs, fmt.Errorf("%s is not in the list of files that were tested", name))
	}
	return errors.Join(errs...)
}
