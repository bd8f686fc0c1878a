SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
ACTIONLINT := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
CADDY ?= latest
FUZZTIME ?= 10s
PARSERTIME ?= 10m
LONG := ^Test(Fleet|Process|Reload|Rotation|OneTime|Visitor|Ledger|Loss|Longer)

# Modules of their own: what their tests need, Chromium's driver and another plugin of
# Caddy, is not needed to use the gateway.
MODULES := caddymodule/browsertests examples/ecosystem
BACKENDS := examples/backends

# So are those that need the parsers of Docker, Compose and Kubernetes.
DEPLOYTESTS := examples/deploy/deploytests
ASROOT := ^Test(Image|OtherUsers)$$

# Caddy is compiled once: vet, the tests and the gateways that they build all use
# the race detector.
RACE := GOFLAGS="$(shell go env GOFLAGS) -race"

# Installs each package of a program that is missing.
install = missing=; \
	for pair in $(1); do \
		{ command -v "$${pair%%:*}" || compgen -G "$${pair%%:*}"; } >/dev/null || missing+=" $${pair\#*:}"; \
	done; \
	if [ -n "$$missing" ]; then \
		sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
		echo "Installing what is missing, with $${sudo:+$$sudo }apt-get:$$missing"; \
		{ command -v apt-get && { [ -z "$$sudo" ] || command -v sudo; }; } >/dev/null && \
		$$sudo apt-get update -q && \
		$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing || \
		{ echo "Missing:$$missing. apt-get could not install that here: please install it yourself." >&2; exit 1; }; \
	fi

COMPARED := php:php-cli /usr/sbin/haproxy:haproxy /usr/sbin/nginx:nginx /usr/lib/nginx/modules/ngx_http_lua_module.so:libnginx-mod-http-lua /usr/lib/*/lua/5.1/cjson.so:lua-cjson

.PHONY: help
help: ## lists the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

.PHONY: demo
demo: build ## runs gateway, sample chat and page until Ctrl-C; PORT=8081 moves it from 8080
	@go build -o bin/quickstart ./examples/quickstart
	@exec ./bin/quickstart -gateway ./caddy

.PHONY: fleet
fleet: build ## runs Redis, three gateways that share it and a balancer until Ctrl-C; PORT=8081 moves it
	@go build -o bin/fleet ./examples/fleet
	@exec ./bin/fleet -gateway ./caddy

.PHONY: why
why: build ## runs what docs/why.md compares, with a Bash in which its commands work; installs what is missing
	@$(call install,curl:curl $(COMPARED))
	@command -v node >/dev/null || { echo "Node is missing: please install it." >&2; exit 1; }
	@go build -o bin/why-backend ./examples/why/backend
	@examples/why/why.sh

.PHONY: build
build: ## builds the gateway, ./caddy
	@echo "Building the gateway. The first time, that takes a few minutes."
	go build -o caddy ./caddymodule/cmd/caddy

.PHONY: bench
bench: build ## measures what verification costs, against the bare reverse_proxy; ARGS='-only upload' a part of it
	@go build -o bin/bench ./caddymodule/cmd/bench
	@./bin/bench -gateway ./caddy $(ARGS)

# Ten minutes of everything at once, with a table at the end. It fails where an honest
# request was refused, or one that is not was accepted.
SOAK ?= 10m

.PHONY: soak
soak: build ## loads two gateways and a Redis with 200,000 widgets while both are disturbed, for SOAK (10m)
	@$(call install,redis-server:redis-server prometheus:prometheus)
	@SOAK=$(SOAK) CHAT_IDENTITY_TEST_GATEWAY=$(CURDIR)/caddy go test -count=1 -v -tags soak -timeout 0 ./caddymodule/internal/soak

# Tests that run a gateway in a process of its own all run this one.
export CHAT_IDENTITY_TEST_GATEWAY := $(CURDIR)/bin/testgateway

.PHONY: testgateway
testgateway:
	$(RACE) go build -o $(CHAT_IDENTITY_TEST_GATEWAY) ./caddymodule/cmd/caddy

.PHONY: test
test: deps testgateway lint ## checks everything: lint, go.mod, tests with the race detector, the fuzzers' seeds
	go mod tidy -diff
	for module in $(MODULES); do (cd $$module && go mod tidy -diff); done
	@# Many tests mostly wait, above all in one package, so its two halves and all
	@# others run concurrently. The library starts no goroutines: one test says
	@# what may be shared, and the gateway's race it, too.
	@$(RACE) go run ./internal/testsummary \
		-timeout 30m -parallel 4 -run '$(LONG)' ./caddymodule -- \
		-timeout 30m -parallel 4 -skip '$(LONG)' -run '^Test[A-H]' ./caddymodule -- \
		-timeout 30m -parallel 4 -skip '$(LONG)|^Test[A-H]' ./caddymodule -- \
		-timeout 20m $$(go list ./... | grep -v -e '/caddymodule$$' -e /verifier) -- \
		-timeout 20m -race=false ./verifier/... -- \
		-timeout 20m -run Concurrent ./verifier -- \
		-C caddymodule/browsertests -timeout 20m -parallel 4 ./... -- \
		-C examples/ecosystem -timeout 20m ./...
	@# Allocations can only be counted without the race detector. Tests that need a
	@# Caddy without it are in test-slow.
	@go run ./internal/testsummary -run Alloc $$(grep -rlE --include='*_test.go' '^func Test.*Alloc' caddymodule/*/ | xargs -n 1 dirname | sort -u | sed 's|^|./|')

.PHONY: test-slow
test-slow: deps testgateway ## checks what takes longer: storms, outages, full disks, servers of other languages, xcaddy
	@$(call install,gunicorn:gunicorn systemd-analyze:systemd)
	cd $(DEPLOYTESTS) && go mod tidy -diff && go vet ./...
	@slow=$$(grep -rlE --include='*_test.go' '^//go:build .*slow' . | xargs -n 1 dirname | sort -u); \
	export $(RACE); go vet -tags slow $$slow; \
	go run ./internal/testsummary -timeout 30m -tags slow -run '^TestSlow' $$slow -- \
		-C $(DEPLOYTESTS) -timeout 20m -race=false -skip '$(ASROOT)' ./...
	@go run ./internal/testsummary -run Alloc ./caddymodule

# For six systems, Caddy is compiled six times.
.PHONY: test-release
test-release: ## builds a release for all systems and checks it, which takes 20 minutes the first time
	go vet -tags release ./caddymodule/cmd/caddy
	@go run ./internal/testsummary -timeout 90m -tags release -run '^TestRelease$$' ./caddymodule/cmd/caddy

# Not every machine, nor every container, allows namespaces.
.PHONY: test-image
test-image: testgateway ## runs the image of examples/deploy in a namespace of its own, and tries its socket as another user, which takes root
	@$(call install,busybox:busybox-static ip:iproute2 setpriv:util-linux)
	@go run ./internal/testsummary -C $(DEPLOYTESTS) -timeout 20m -race=false -run '$(ASROOT)' ./...

.PHONY: lint
lint: ## gofmt, go vet, staticcheck, and the workflows by actionlint
	@unformatted=$$(gofmt -l .); \
	if [ -n "$$unformatted" ]; then echo "not formatted by gofmt:" $$unformatted >&2; exit 1; fi
	$(RACE) go vet -tags soak ./...
	GOBIN=$(CURDIR)/bin go install $(STATICCHECK)
	$(RACE) bin/staticcheck ./...
	export $(RACE); for module in $(MODULES); do (cd $$module && go vet ./... && $(CURDIR)/bin/staticcheck ./...); done
	go run $(ACTIONLINT)

.PHONY: vulns
vulns: ## looks for known vulnerabilities in what is called, with govulncheck
	go run $(GOVULNCHECK) ./...

.PHONY: newest
newest: ## moves to the newest Caddy wherever it is named; CADDY=v2.11.8 moves to another
	@version() { go list -m -f '{{.Version}}' github.com/caddyserver/caddy/v2; }; \
	old=$$(version); \
	go get github.com/caddyserver/caddy/v2@$(CADDY); \
	for module in . $(MODULES) $(DEPLOYTESTS); do go -C $$module mod tidy; done; \
	OLD=$$old NEW=$$(version) perl -pi -e 's/\Q$$ENV{OLD}\E/$$ENV{NEW}/' README.md xcaddy.json; \
	echo "Caddy $$old became $$(version)."

# The tests run every fuzzer's seeds and earlier findings. Finding more is a matter
# of luck, which must not decide whether a commit passes.
# go test fuzzes one target of one package at a time. Sometimes it reports the end
# of its time as a failure, "context deadline exceeded", without a failing input:
# then it runs once more. The fuzzer of the ledger in Redis is left out, because each
# of its workers starts servers. The tests run its seeds.
.PHONY: fuzz
fuzz: fuzzers parsers ## fuzzes: every fuzzer for FUZZTIME (10s), other parsers for PARSERTIME (10m)

.PHONY: fuzzers
fuzzers:
	@targets=$$(grep -rnoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . | grep -v redisledger/ | sed -E 's|/[^/]+:[0-9]+:func | |' | sort); \
	if [ -z "$$targets" ]; then echo "there are no fuzzers" >&2; exit 1; fi; \
	fuzz() { go test -run='^$$' -fuzz="^$$2\$$" -fuzztime=$(FUZZTIME) "$$1" 2>&1; }; \
	while read -r package name; do \
		echo "$$package $$name"; \
		if said=$$(fuzz "$$package" "$$name"); then echo "$$said"; continue; fi; \
		echo "$$said"; \
		case "$$said" in \
			*"Failing input written"*) exit 1;; \
			*"context deadline exceeded"*) fuzz "$$package" "$$name";; \
			*) exit 1;; \
		esac; \
	done <<< "$$targets"

# Sends requests in all shapes through a gateway to the parsers of servers and
# frameworks, none of which may read an unverified claim. SEED repeats a run.
.PHONY: parsers
parsers: deps
	@cache=$$(internal/parsertest/install.sh) && \
	CHAT_IDENTITY_TEST_GATEWAY= FUZZ_CACHE=$$cache FUZZTIME=$(PARSERTIME) go test -count=1 -tags fuzz -timeout 0 -v -run '^TestFuzz' ./internal/parsertest

# The tests use the real programs. Node and Python can be installed in too many ways
# to choose one for you. examples/backends needs Debian's Python, Ruby and PHP, for which it
# installs libraries.
.PHONY: deps
deps: $(BACKENDS)/node_modules ## installs what the tests run: Redis, Chromium, PHP, Ruby, promtool, HAProxy, nginx, JWT libraries
	@$(call install,redis-server:redis-server chromium:chromium /usr/sbin/php-fpm*:php-fpm /usr/lib/php/*/pdo_sqlite.so:php-sqlite3 ruby:ruby promtool:prometheus curl:curl openssl:openssl \
		$(COMPARED) puma:puma /usr/share/rubygems-integration/all/gems/jwt-*:ruby-jwt /usr/lib/php/*/apcu.so:php-apcu \
		/usr/lib/python3/dist-packages/jwt:python3-jwt /usr/lib/python3/dist-packages/cryptography:python3-cryptography)
	@for program in node python3; do \
		command -v $$program >/dev/null || { echo "The tests need $$program: please install it." >&2; exit 1; }; \
	done

$(BACKENDS)/node_modules: $(BACKENDS)/package-lock.json
	@command -v npm >/dev/null || { echo "The tests need npm: please install it." >&2; exit 1; }
	cd $(BACKENDS) && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

.PHONY: clean
clean: ## removes what was built
	rm -rf bin caddy dist test-logs $(BACKENDS)/node_modules
