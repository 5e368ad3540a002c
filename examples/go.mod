module github.com/millrace-go/millrace/examples

go 1.26.0

require (
	github.com/millrace-go/millrace v0.0.0
	github.com/millrace-go/millrace/internal/integration v0.0.0
)

replace (
	github.com/millrace-go/millrace => ..
	github.com/millrace-go/millrace/internal/integration => ../internal/integration
)
