# Commands of everyday work; `just` lists them.

default:
    @just --list

# Everything CI checks before the tests.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
    cargo deny check bans licenses sources

# All tests; the stack is in containers where a Docker engine answers.
test *args:
    cargo test --workspace {{ args }}

# The integration tests on local processes.
test-local *args:
    MILLRACE_TEST_STACK=local cargo test -p millrace-tests {{ args }}

# The pure crates alone: a minute or two.
test-pure:
    cargo test -p millrace-contract -p millrace-domain -p millrace-registry -p millrace-engine -p millrace-payments -p millrace-fraud

# Benchmarks of codec and engine.
bench:
    cargo bench -p millrace-domain -p millrace-payments -p millrace-fraud

# Start everything.
up *args:
    cargo run --release --bin millrace -- up {{ args }}

# Stop everything.
down *args:
    cargo run --release --bin millrace -- down {{ args }}

# What CI runs.
ci:
    bash .ci/run
