package servers

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHostSources(t *testing.T) {
	for _, test := range []struct {
		name    string
		files   map[string]string
		want    aptSource
		sidLine string
		err     error
	}{
		{
			name:    "what debootstrap leaves",
			files:   map[string]string{"sources.list": "deb http://archive.example/debian bookworm main\n"},
			want:    aptSource{uri: "http://archive.example/debian", suite: "bookworm"},
			sidLine: "deb http://archive.example/debian sid main\n",
		},
		{
			name: "one-line format",
			files: map[string]string{
				"sources.list": "# deb http://old.example/debian bookworm main\n" +
					"deb-src http://source.example/debian bookworm main\n" +
					"deb cdrom:[Debian 12]/ bookworm main\n" +
					"deb [arch=amd64 signed-by=/keys/a.gpg trusted=yes]  https://archive.example/debian/   bookworm contrib main # why\n",
				"sources.list.d/other.list": "deb https://other.example/apt stable main\ndeb [broken\n",
			},
			want:    aptSource{uri: "https://archive.example/debian/", suite: "bookworm", signedBy: "/keys/a.gpg"},
			sidLine: "deb [signed-by=/keys/a.gpg] https://archive.example/debian/ sid main\n",
		},
		{
			name: "deb822 format",
			files: map[string]string{
				"sources.list.d/a.sources": "Types: deb\nURIs: https://off.example/debian\nSuites: bookworm\nComponents: main\nEnabled: no\n\n" +
					"Types: deb deb-src\n# a comment\nURIs: mirror+file:/etc/apt/mirrors/debian.list\nSuites: bookworm-updates\n bookworm\nComponents: main non-free\nSigned-By: /keys/b.gpg\n\n\n" +
					"Types: deb\nURIs: https://security.example\nSuites: bookworm-security\nComponents: main\n",
			},
			want:    aptSource{uri: "mirror+file:/etc/apt/mirrors/debian.list", suite: "bookworm", signedBy: "/keys/b.gpg"},
			sidLine: "deb [signed-by=/keys/b.gpg] mirror+file:/etc/apt/mirrors/debian.list sid main\n",
		},
		{
			name: "a key written out",
			files: map[string]string{"sources.list.d/a.sources": "Types: deb\nURIs: https://archive.example/debian\nSuites: bookworm\nComponents: main\nSigned-By:\n" +
				" -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n -----END PGP PUBLIC KEY BLOCK-----\n"},
			want:    aptSource{uri: "https://archive.example/debian", suite: "bookworm"},
			sidLine: "deb https://archive.example/debian sid main\n",
		},
		{
			name:    "a release by its class",
			files:   map[string]string{"sources.list": "deb http://archive.example/debian stable main\n"},
			want:    aptSource{uri: "http://archive.example/debian", suite: "stable"},
			sidLine: "deb http://archive.example/debian sid main\n",
		},
		{
			name:  "no Debian",
			files: map[string]string{"sources.list": "deb http://archive.example/ubuntu jammy main\n"},
			err:   errNoArchive,
		},
		{name: "no sources", err: errNoArchive},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			for name, text := range test.files {
				write(t, filepath.Join(root, "etc/apt", name), text)
			}
			write(t, filepath.Join(root, "etc/os-release"), "NAME=\"Debian\"\nVERSION_CODENAME=bookworm\n")
			all, err := hostSources(root)
			if err != nil {
				t.Fatal(err)
			}
			got, err := debianArchive(all, codename(root))
			if !errors.Is(err, test.err) {
				t.Fatalf("got error %v, want %v", err, test.err)
			}
			if err != nil {
				return
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(aptSource{})); diff != "" {
				t.Error("archive (-want +got):\n", diff)
			}
			if line := got.line("sid"); line != test.sidLine {
				t.Errorf("got line %q, want %q", line, test.sidLine)
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
