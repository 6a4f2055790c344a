package awstest

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/smithy-go"

	"aicluster/e2e/localcloud/operations"
)

// refused are the operations whose refusal [Fails] has seen in this test binary,
// as "service:Operation"; [Main] reads it at the end.
var refused = struct {
	sync.Mutex
	seen map[string]bool
}{seen: map[string]bool{}}

func sawRefused(err error) {
	var call *smithy.OperationError
	if !errors.As(err, &call) {
		return
	}
	refused.Lock()
	defer refused.Unlock()
	refused.seen[operations.ServiceName(call.ServiceID)+":"+call.OperationName] = true
}

// Main runs a service's tests and then holds what [Fails] has seen against what
// the product calls: each operation of the service must have been refused at
// least once. A run of some of the tests only (-run, -skip) proves nothing and is
// not judged. It returns the exit status.
func Main(m *testing.M, service string) int {
	if status := m.Run(); status != 0 || partial() {
		return status
	}
	called, err := operations.OfProduct("../../..")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	maps.DeleteFunc(called, func(operation string, _ bool) bool { return !strings.HasPrefix(operation, service+":") })
	var without []string
	for _, operation := range slices.Sorted(maps.Keys(called)) {
		if !refused.seen[operation] {
			without = append(without, operation)
		}
	}
	fmt.Printf("%s: operations with a refusal tested / operations called: %d/%d\n", service, len(called)-len(without), len(called))
	if len(without) > 0 || len(called) == 0 {
		fmt.Fprintf(os.Stderr, "no test has %s refuse these operations, which the product calls: %v\n", service, without)
		return 1
	}
	return 0
}

// partial tells whether the command line leaves tests out.
func partial() bool {
	for _, name := range []string{"test.run", "test.skip", "test.list"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return true
		}
	}
	return false
}
