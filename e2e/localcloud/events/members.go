package events

import "embed"

// goFiles are what tells which members of its inputs this package reads; see
// [aicluster/e2e/localcloud/wire/members].
//
//go:embed *.go
var goFiles embed.FS
