package servers

import (
	"archive/zip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// unzip unpacks an archive into dir, without the first strip parts of each name. Everyone may read the files.
func unzip(archive, dir string, strip int) error {
	r, err := zip.OpenReader(archive)
	if err != nil {
		return err
	}
	defer r.Close()
	for _, f := range r.File {
		parts := strings.Split(f.Name, "/")
		if len(parts) <= strip {
			continue
		}
		name := filepath.Join(parts[strip:]...)
		if name == "" {
			continue
		}
		if !filepath.IsLocal(name) {
			return fmt.Errorf("%s holds the name %q", filepath.Base(archive), f.Name)
		}
		path := filepath.Join(dir, name)
		if f.FileInfo().IsDir() {
			err = openDir(path)
		} else {
			err = unzipFile(f, path)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	return nil
}

func unzipFile(f *zip.File, path string) error {
	if err := openDir(filepath.Dir(path)); err != nil {
		return err
	}
	in, err := f.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	return os.Chmod(path, f.Mode().Perm()&0o111|0o644)
}
