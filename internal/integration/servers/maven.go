package servers

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A mavenArtifact is a dependency as a pom.xml names it; kind is empty for a jar.
type mavenArtifact struct{ group, name, version, kind string }

// mavenCopy puts artifacts, and the artifacts that they need to run, into dir. Where from is Maven's own configuration's matter.
func (in *installer) mavenCopy(ctx context.Context, dir string, artifacts ...mavenArtifact) error {
	if err := in.needPrograms(ctx, []string{"java", "mvn"}, "default-jre-headless", "maven"); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "millrace-maven-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	var pom strings.Builder
	pom.WriteString(`<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>` +
		`<groupId>millrace</groupId><artifactId>server</artifactId><version>1</version><dependencies>` + "\n")
	for _, a := range artifacts {
		fmt.Fprintf(&pom, "<dependency><groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version>", a.group, a.name, a.version)
		if a.kind != "" {
			fmt.Fprintf(&pom, "<type>%s</type>", a.kind)
		}
		pom.WriteString("</dependency>\n")
	}
	pom.WriteString("</dependencies></project>\n")
	if err := os.WriteFile(filepath.Join(work, "pom.xml"), []byte(pom.String()), 0o644); err != nil {
		return err
	}
	// A local repository of its own: what the server needs is copied out of it, the rest is thrown away.
	return run(ctx, work, "mvn", "-q", "-B", "-Dmaven.repo.local="+filepath.Join(work, "repository"),
		"org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+dir)
}
