# The build needs Go and make, nothing else.

# One setting for both modules, so that they share one build cache.
export CGO_ENABLED := 0

VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# Parts of urfave/cli and grpc that aicluster does not use; without them the
# binary is smaller by 250 KB.
TAGS      := urfave_cli_no_docs,grpcnotrace
LC_SOURCE := $(shell find e2e/localcloud -type f -not -name '*_test.go') e2e/go.mod e2e/go.sum

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: bin/localcloud aicluster ## make bin/aicluster and bin/localcloud

.PHONY: aicluster
aicluster: ## make bin/aicluster
	@echo "building bin/aicluster (cold: about 4 minutes on 2 cores)"
	@go build -tags $(TAGS) -ldflags "-s -w -X main.version=$(VERSION)" -o bin/aicluster ./cmd/aicluster

# The local cloud holds a whole Kubernetes control plane. It is rebuilt only when
# its own sources change.
bin/localcloud: $(LC_SOURCE)
	@echo "building bin/localcloud: a Kubernetes control plane is compiled (cold: 6 to 10 minutes on 2 cores; warm: seconds)"
	@go build -C e2e -ldflags "-s -w" -o ../bin/localcloud ./localcloud
	@touch bin/localcloud

.PHONY: demo
demo: build ## the seed's cluster comes up on the local cloud, is proven, and goes away
	@sh e2e/demo.sh

.PHONY: test
test: vet test-unit test-localcloud test-e2e ## everything that CI runs

.PHONY: vet
vet: ## go vet and gofmt
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "gofmt would change:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	@go vet ./...
	@go vet -C e2e ./...

.PHONY: test-unit
test-unit: ## unit tests of the product
	go test ./...

.PHONY: test-localcloud
test-localcloud: ## tests of the local cloud
	go test -C e2e ./localcloud/...

.PHONY: test-e2e
test-e2e: build ## scripts that run the real binary on the local cloud
	go test -C e2e -count=1 -parallel 4 -timeout 20m .

.PHONY: e2e-teardown
e2e-teardown: build ## teardown from every half-made state, as a table (about 14 minutes)
	@go test -C e2e -count=1 -tags teardown -parallel 6 -timeout 60m -run '^TestTeardown$$' .; \
		code=$$?; cat bin/teardown.log; exit $$code

.PHONY: e2e-clients
e2e-clients: build ## kubectl and the AWS CLI (aws on the PATH) see what status shows
	go build -C e2e -ldflags "-s -w" -o ../bin/kubectl k8s.io/kubernetes/cmd/kubectl
	go test -C e2e -count=1 -tags clients -run '^TestClients$$' .

.PHONY: e2e-autoscaler
e2e-autoscaler: build ## the real cluster autoscaler (CLUSTER_AUTOSCALER=path): 10 runs from zero and back (16 minutes)
	@test -x "$(CLUSTER_AUTOSCALER)" || { echo "CLUSTER_AUTOSCALER is to be the path of the program; see docs/local-cloud.md"; exit 1; }
	CLUSTER_AUTOSCALER="$(abspath $(CLUSTER_AUTOSCALER))" AUTOSCALER_RUNS=$(or $(RUNS),10) \
		go test -C e2e -count=1 -timeout 60m -run '^TestAutoscaler$$' .; code=$$?; cat bin/autoscaler.txt; exit $$code

.PHONY: e2e-moto
e2e-moto: build ## against moto, another emulator of AWS (needs python3 and PyPI)
	e2e/emulators/moto.sh

.PHONY: e2e-localstack
e2e-localstack: build ## against LocalStack, another emulator of AWS (needs Docker)
	e2e/emulators/localstack.sh

REFEREES := $(or $(TMPDIR),/tmp)/aicluster-referees

.PHONY: e2e-referees
e2e-referees: build ## boto3, the AWS CLI and botocore's models judge the local cloud (needs python3)
	@python3 -m venv $(REFEREES) && $(REFEREES)/bin/pip install -q --disable-pip-version-check -r e2e/referees/requirements.txt
	@PYTHONDONTWRITEBYTECODE=1 $(REFEREES)/bin/python e2e/referees/referees.py $(RECORDINGS)

.PHONY: e2e-kind
e2e-kind: build ## with a kind cluster behind EKS (needs Docker, kind and kubectl)
	e2e/emulators/kind.sh

.PHONY: bench-up
bench-up: build ## up against the shortest time that AWS's own durations allow
	go test -C e2e -count=1 -timeout 30m -run '^$$' -bench '^BenchmarkUp$$' -benchtime 1x .

.PHONY: e2e-karpenter
e2e-karpenter: build ## the real Karpenter, built from its module: RUNS runs from zero and back (10), capacity, interruption
	go build -C e2e/karpenter -o ../../bin/karpenter github.com/aws/karpenter-provider-aws/cmd/controller
	KARPENTER="$(abspath bin/karpenter)" AUTOSCALER_RUNS=$(or $(RUNS),10) \
		KARPENTER_CRDS="$$(go list -C e2e/karpenter -m -f '{{.Dir}}' github.com/aws/karpenter-provider-aws)/pkg/apis/crds" \
		go test -C e2e -count=1 -v -tags karpenter -timeout 60m -run '^TestKarpenter$$' .

.PHONY: bench-serving
bench-serving: build ## what one service adds to up, beside the time that its pod takes
	go test -C e2e -count=1 -timeout 30m -run '^$$' -bench '^BenchmarkServing$$' -benchtime 1x .

.PHONY: bench-cli
bench-cli: build ## start-up, validation, memory and size of the binary
	go test -C e2e -count=1 -run '^$$' -bench '^BenchmarkCLI$$' .

.PHONY: race
race: ## unit tests with the race detector (needs a C compiler)
	CGO_ENABLED=1 go test -race ./...

.PHONY: lint
lint: ## golangci-lint, if it is installed
	golangci-lint run ./...

.PHONY: update
update: build ## rewrite golden files
	go test ./blueprints/... ./cmd/... -update
	UPDATE=1 go test -C e2e -count=1 .

.PHONY: clean
clean: ## remove bin
	rm -rf bin
