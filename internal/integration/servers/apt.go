package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// unpackDebian downloads Debian packages of a suite (empty: the machine's own) with everything they depend on, and unpacks them into
// dir. Nothing is installed on the machine: apt works on a root of its own, with an empty list of installed packages, so it needs no
// privileges. The archive's address and the keys that sign it are the machine's own; apt checks signatures and checksums.
func unpackDebian(ctx context.Context, suite, dir string, packages ...string) error {
	return unpack(ctx, suite, dir, append([]string{"install", "--download-only", "--no-install-recommends"}, packages...))
}

// unpackAlone is unpackDebian without what the packages depend on.
func unpackAlone(ctx context.Context, suite, dir string, packages ...string) error {
	return unpack(ctx, suite, dir, append([]string{"download"}, packages...))
}

// unpack gives apt-get the command that downloads.
func unpack(ctx context.Context, suite, dir string, command []string) error {
	if lookPath("apt-get") == "" || lookPath("dpkg-deb") == "" {
		return errors.New("apt-get and dpkg-deb are needed: this server can be installed on Debian only, or give its address in the environment")
	}
	sources, err := hostSources("/")
	if err != nil {
		return err
	}
	own := codename("/")
	archive, err := debianArchive(sources, own)
	if err != nil {
		return err
	}
	if suite == "" {
		suite = archive.suite
	}
	apt := filepath.Join(dir, ".apt")
	for _, d := range []string{"lists/partial", "archives/partial"} {
		if err := os.MkdirAll(filepath.Join(apt, d), 0o755); err != nil {
			return err
		}
	}
	list, status := filepath.Join(apt, "sources.list"), filepath.Join(apt, "status")
	if err := errors.Join(os.WriteFile(list, []byte(archive.line(suite)), 0o644), os.WriteFile(status, nil, 0o644)); err != nil {
		return err
	}
	options := []string{"-q", "-y"}
	for _, o := range []string{
		"Dir::Etc::sourcelist=" + list, "Dir::Etc::sourceparts=/dev/null", "Dir::Etc::preferences=/dev/null", "Dir::Etc::preferencesparts=/dev/null",
		"Dir::State=" + apt, "Dir::State::status=" + status, "Dir::State::lists=" + filepath.Join(apt, "lists"), "Dir::Cache=" + apt,
		"APT::Sandbox::User=root", // the folder is not open to apt's own user
		"Acquire::Languages=none", "Acquire::Retries=3", "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
		"Acquire::Check-Valid-Until=false", // a frozen mirror is as good; the signature still has to be right
		"APT::Get::AllowUnauthenticated=false", "Acquire::AllowInsecureRepositories=false",
	} {
		options = append(options, "-o", o)
	}
	if err := run(ctx, dir, "apt-get", append(options, "update")...); err != nil {
		return err
	}
	archives := filepath.Join(apt, "archives") // where download leaves packages, being the current folder
	if err := run(ctx, archives, "apt-get", append(options, command...)...); err != nil {
		return err
	}
	debs, err := filepath.Glob(filepath.Join(archives, "*.deb"))
	if err != nil {
		return err
	}
	if len(debs) == 0 {
		return fmt.Errorf("apt-get downloaded nothing by %v", command)
	}
	for _, deb := range debs {
		if err := run(ctx, dir, "dpkg-deb", "-x", deb, dir); err != nil {
			return err
		}
	}
	return os.RemoveAll(apt)
}

// wrapPrograms makes unpacked programs run with the loader and the libraries they were unpacked with, whatever the machine has: each
// is put aside as name.real, and a script takes its place.
func wrapPrograms(dir string, names ...string) error {
	loaders, err := filepath.Glob(filepath.Join(dir, "usr/lib/*/ld-linux*.so.*"))
	if err != nil || len(loaders) == 0 {
		// Before Debian 13 the loader lies outside /usr.
		loaders, err = filepath.Glob(filepath.Join(dir, "lib/*/ld-linux*.so.*"))
	}
	if err != nil || len(loaders) == 0 {
		return errors.Join(fmt.Errorf("no dynamic loader below %s", dir), err)
	}
	libs := filepath.Base(filepath.Dir(loaders[0]))
	path := strings.Join([]string{filepath.Join(dir, "usr/lib", libs), filepath.Join(dir, "lib", libs)}, ":")
	for _, name := range names {
		file := filepath.Join(dir, name)
		if err := os.Rename(file, file+".real"); err != nil {
			return err
		}
		script := fmt.Sprintf("#!/bin/sh\nexec '%s' --library-path '%s' '%s.real' \"$@\"\n", loaders[0], path, file)
		if err := os.WriteFile(file, []byte(script), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// needPrograms sees to it that programs are on the machine: as root it installs the Debian packages, as another user it says which.
func (in *installer) needPrograms(ctx context.Context, programs []string, packages ...string) error {
	missing := func() (m []string) {
		for _, p := range programs {
			if lookPath(p) == "" {
				m = append(m, p)
			}
		}
		return m
	}
	if len(missing()) == 0 {
		return nil
	}
	if err := in.aptInstall(ctx, fmt.Sprintf("%s not found", strings.Join(missing(), ", ")), packages...); err != nil {
		return err
	}
	if m := missing(); len(m) > 0 {
		return fmt.Errorf("%s still not found after apt-get install %s", strings.Join(m, ", "), strings.Join(packages, " "))
	}
	return nil
}

// aptInstall installs Debian packages on the machine, one process at a time. Only packages without daemons are asked for.
func (in *installer) aptInstall(ctx context.Context, why string, packages ...string) error {
	line := "apt-get install -y --no-install-recommends " + strings.Join(packages, " ")
	if os.Geteuid() != 0 {
		return fmt.Errorf("%s: run as root: %s", why, line)
	}
	if lookPath("apt-get") == "" {
		return fmt.Errorf("%s, and there is no apt-get: install %s with the machine's own tools", why, strings.Join(packages, " "))
	}
	l, err := lock(ctx, filepath.Join(in.cache, "lock", "apt"))
	if err != nil {
		return err
	}
	defer l.unlock()
	in.logf("%s: %s", why, line)
	args := append([]string{"-q", "-y", "-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=600", "install", "--no-install-recommends"}, packages...)
	if run(ctx, "/", "apt-get", args...) == nil {
		return nil
	}
	// The package lists may be missing or too old.
	if err := run(ctx, "/", "apt-get", "-q", "update"); err != nil {
		return fmt.Errorf("%s: %w", why, err)
	}
	if err := run(ctx, "/", "apt-get", args...); err != nil {
		return fmt.Errorf("%s: %w", why, err)
	}
	return nil
}
