#!/usr/bin/env bash
# Brings the compose file up with every service whose image can be had, checks it, and takes it down
# again. `docker/verify.sh build` only builds the images.
set -euo pipefail
cd "$(dirname "$0")/.."
compose() { docker compose --project-name millrace-verify "$@"; }
say() { printf '\n--- %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

# within SECONDS COMMAND…: whether the command succeeds within that time.
within() {
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do [ "$SECONDS" -lt "$end" ] || return 1; sleep 2; done
}

# query EXPRESSION: its value from the running Prometheus; nothing where it has none.
query() { compose exec -T prometheus promtool query instant http://localhost:9090 "$1"; }
is_so() { [ -n "$(query "$1")" ]; }
is_not_so() { local found; found=$(query "$1") && [ -z "$found" ]; }

# can_have IMAGE: whether it is there or can be pulled, if need be in a second try; ours are built.
can_have() {
  case $1 in millrace/*) return 0 ;; esac
  docker image inspect "$1" >/dev/null 2>&1 || docker pull --quiet "$1" >/dev/null 2>&1 ||
    docker pull --quiet "$1" >/dev/null 2>&1
}

# Once more what a slow line, a port that a client holds for a moment, or a slow start can spoil.
twice() { "$@" || { printf 'once more: %s\n' "$*"; sleep 10; "$@"; }; }

finish() {
  local code=$?
  if [ "$code" != 0 ]; then
    compose ps --all || true
    compose logs --no-color --tail 15 || true
  fi
  compose --profile '*' down --volumes --timeout 60 >/dev/null 2>&1 || true
  exit "$code"
}

say "the files"
compose --profile '*' config --quiet
# What boards and alerts name is registered in the code.
for name in $(grep -ohE 'millrace_[a-z_]+' grafana/dashboards/*.json prometheus/alerts.yml | sed -E 's/_(bucket|sum|count)$//' | sort -u); do
  grep -rqF "\"$name\"" crates/*/src || fail "no service has the metric $name, which a board or an alert names"
done

say "services"
services=() left_out=()
for service in $(compose config --services); do
  can=yes
  # The images of a service and of all it depends on.
  for image in $(compose config --images "$service" | sort -u); do
    can_have "$image" || { can=; left_out+=("$service ($image cannot be had)"); break; }
  done
  [ -z "$can" ] || services+=("$service")
done
printf 'starting: %s\n' "${services[*]}"
[ ${#left_out[@]} = 0 ] || printf 'left out: %s\n' "${left_out[@]}"

say "build"
twice compose build "${services[@]}"
[ "${1:-}" != build ] || exit 0

trap finish EXIT
compose down --volumes --timeout 10 >/dev/null 2>&1 || true

say "up"
twice compose up --wait --wait-timeout 600 "${services[@]}"
compose ps --all

say "Prometheus and its rules"
compose exec -T -w /etc/prometheus prometheus promtool check config prometheus.yml
compose exec -T -w /etc/prometheus prometheus promtool check config prometheus.local.yml
compose exec -T -w /etc/prometheus prometheus promtool test rules alerts.test.yml
compose exec -T alertmanager amtool check-config /etc/alertmanager/alertmanager.yml
within 240 is_not_so 'up == 0' || { query 'up == 0'; fail "targets are down"; }

say "a window closes"
within 600 is_so 'sum(millrace_windows_closed_total{operator="aggregate-merge"}) > 0' || fail "no window closed in 10 minutes"

say "the boards' queries"
grep -ohE '"expr": ".*"' grafana/dashboards/*.json | sed -E 's/^"expr": "(.*)"$/\1/; s/\\"/"/g; s/\$__rate_interval/1m/g' | sort -u |
  while read -r expression; do
    value=$(query "$expression" </dev/null) || fail "Prometheus refuses $expression"
    [ -n "$value" ] || echo "no value yet: $expression"
  done

say "verify"
compose stop --timeout 60 producer
compose run --rm -T millrace verify --timeout 600s
