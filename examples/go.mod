module github.com/millrace-go/millrace/examples

go 1.26.0

require (
	github.com/millrace-go/millrace v0.0.0
	github.com/millrace-go/millrace/internal/integration v0.0.0
)

require (
	filippo.io/edwards25519 v1.2.0 // indirect
	github.com/go-sql-driver/mysql v1.10.1 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/pierrec/lz4/v4 v4.1.33 // indirect
	github.com/twmb/franz-go v1.22.2 // indirect
	github.com/twmb/franz-go/pkg/kfake v0.0.0-20260918054303-01f206a7e32c // indirect
	github.com/twmb/franz-go/pkg/kmsg v1.15.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
)

replace (
	github.com/millrace-go/millrace => ..
	github.com/millrace-go/millrace/internal/integration => ../internal/integration
)
