package servers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

const (
	elasticVersion = "8.19.21"
	elasticSum     = "215d5f3dbf0609a149f6218a9e47b6ae2df34ebbff3c5754e35f15a5e5393c8a"
)

// elasticsearch is the real server without its optional modules, from its Maven artifact. It has neither scripts, nor TLS, nor users.
type elasticsearch struct{}

func (elasticsearch) install(ctx context.Context, in *installer) (programs, error) {
	dir, err := in.once(ctx, "elasticsearch-"+elasticVersion, func(dir string) error {
		fetched := filepath.Join(dir, ".fetched")
		err := in.mavenCopy(ctx, fetched, mavenArtifact{"org.elasticsearch.distribution.integ-test-zip", "elasticsearch", elasticVersion, "zip"})
		if err != nil {
			return err
		}
		archive := filepath.Join(fetched, "elasticsearch-"+elasticVersion+".zip")
		if err := verifyFile(archive, elasticSum); err != nil {
			return err
		}
		if err := unzip(archive, dir, 1); err != nil {
			return err
		}
		return os.RemoveAll(fetched)
	})
	if err != nil {
		return programs{}, err
	}
	err = in.needPrograms(ctx, []string{"java"}, "default-jre-headless") // it may have gone since
	return programs{home: dir, server: filepath.Join(dir, "bin/elasticsearch"), version: "Elasticsearch " + elasticVersion}, err
}

// format makes the folders, for the user as whom the server runs.
func (e elasticsearch) format(_ context.Context, s *Server) error {
	for _, name := range []string{"config", "logs", "tmp"} {
		if err := openDir(filepath.Join(s.dir, name)); err != nil {
			return err
		}
	}
	if err := e.write(s); err != nil {
		return err
	}
	if err := onMount(s.dir); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return nil
	}
	for _, name := range []string{"data", "config", "logs", "tmp"} {
		if err := os.Chown(filepath.Join(s.dir, name), nobody, nobody); err != nil {
			return err
		}
	}
	return errors.Join(reachable(s.dir, nobody), reachable(s.prog.home, nobody))
}

// onMount checks that the kernel names the file system of a folder: Java gives up where it does not, which is so in a plain chroot.
func onMount(dir string) error {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return fmt.Errorf("is /proc mounted? %w", err)
	}
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 1 && (f[1] == "/" || f[1] == dir || strings.HasPrefix(dir, f[1]+"/")) {
			return nil
		}
	}
	return fmt.Errorf("no line of /proc/self/mounts is about the file system of %s, and Java needs one: a chroot has to be a mount point (mount --bind DIR DIR before chroot DIR)", dir)
}

// write makes the settings files.
func (elasticsearch) write(s *Server) error {
	settings := []string{
		"cluster.name: millrace",
		"node.name: millrace-" + fmt.Sprint(s.port),
		"path.data: " + s.data(),
		"path.logs: " + filepath.Join(s.dir, "logs"),
		"http.host: 127.0.0.1",
		"http.port: " + fmt.Sprint(s.port),
		"transport.host: 127.0.0.1",
		"transport.port: 0",
		"discovery.type: single-node",
		"xpack.security.enabled: false",
		// A test must not depend on how full the machine's disk is.
		"cluster.routing.allocation.disk.threshold_enabled: false",
	}
	for _, arg := range s.opts.Args { // the server refuses a key given twice
		key, _, _ := strings.Cut(arg, ":")
		settings = slices.DeleteFunc(settings, func(line string) bool { return strings.HasPrefix(line, key+":") })
		settings = append(settings, arg)
	}
	files := map[string]string{
		"elasticsearch.yml": strings.Join(settings, "\n") + "\n",
		// What the server ships, without its log files: everything goes to the console, and so to the one log of ours.
		"jvm.options": "-XX:+UseG1GC\n-Djava.io.tmpdir=${ES_TMPDIR}\n20-:--add-modules=jdk.incubator.vector\n" +
			"-Dorg.apache.lucene.store.MMapDirectory.sharedArenaMaxPermits=1\n-XX:+ExitOnOutOfMemoryError\n",
		"log4j2.properties": "status = error\nappender.console.type = Console\nappender.console.name = console\n" +
			"appender.console.layout.type = PatternLayout\nappender.console.layout.pattern = [%d{ISO8601}][%-5p][%c{1.}] %marker%m%consoleException%n\n" +
			"rootLogger.level = info\nrootLogger.appenderRef.console.ref = console\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(s.dir, "config", name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// command runs the server in the foreground: its launcher, and a second process that ends when the launcher does.
func (e elasticsearch) command(s *Server, _ bool) (*exec.Cmd, error) {
	if err := e.write(s); err != nil {
		return nil, err
	}
	java, err := filepath.EvalSymlinks(lookPath("java"))
	if err != nil {
		return nil, err
	}
	jvm := "-Xms512m -Xmx512m -XX:-AlwaysPreTouch"
	if s.spawned == nil {
		jvm += " -XX:TieredStopAtLevel=1" // a private server lives briefly: this halves the 17 CPU seconds of its start
	}
	cmd := exec.Command(s.prog.server)
	tmp := s.tmp()
	cmd.Env = append(os.Environ(),
		"ES_PATH_CONF="+filepath.Join(s.dir, "config"),
		"ES_JAVA_HOME="+filepath.Dir(filepath.Dir(java)),
		"ES_JAVA_OPTS="+jvm,
		"ES_TMPDIR="+tmp, "LIBFFI_TMPDIR="+tmp, "HOME="+tmp, "CLI_JAVA_OPTS=-Djava.io.tmpdir="+tmp)
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	return cmd, nil
}

func (elasticsearch) setup(context.Context, *Server) error { return nil }

// ping waits for yellow: after a restart every document can be read then.
func (elasticsearch) ping(ctx context.Context, a Address) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.Value+"/_cluster/health?wait_for_status=yellow&timeout=2s", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var health struct{ Status string }
	if err := json.NewDecoder(resp.Body).Decode(&health); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || health.Status == "red" {
		return fmt.Errorf("cluster health: HTTP status %d, %q", resp.StatusCode, health.Status)
	}
	return nil
}
