#!/usr/bin/env bash
# Renews the containers of roles one at a time, so that the others of the role serve meanwhile (`docker compose up -d`
# and `restart` take all of them down at once):
#   ops/docker/roll.sh              all roles, in the order of an upgrade
#   ops/docker/roll.sh ingress llm  these
# Overlays as Compose has them: COMPOSE_FILE=compose.kafka.yml:compose.gpu.yml
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."
export COMPOSE_FILE=${COMPOSE_FILE:-compose.kafka.yml}
patience=${ROLL_PATIENCE:-300}

health() { docker inspect --format '{{if .State.Health}}{{.State.Health.Status}}{{else}}{{.State.Status}}{{end}}' "$1"; }

until_healthy() {
  local container deadline=$((SECONDS + patience))
  for container in $(docker compose ps --quiet "$1"); do
    until [[ "$(health "$container")" == healthy ]]; do
      if ((SECONDS >= deadline)); then
        echo "$1 is not healthy after $patience s; the rest is as it was. Look: docker compose logs $1" >&2
        exit 1
      fi
      sleep 1
    done
  done
}

[[ $# -gt 0 ]] || set -- job-state metering admission ocr stt llm ingress
for role in "$@"; do
  read -ra old <<<"$(docker compose ps --quiet "$role" | tr '\n' ' ')"
  for container in "${old[@]}"; do
    echo "$role: ${container:0:12}" >&2
    docker stop "$container" >/dev/null # it finishes what it has in work, as long as stop_grace_period allows
    docker rm "$container" >/dev/null
    docker compose up --detach --no-deps --no-build --no-recreate --scale "$role=${#old[@]}" "$role"
    until_healthy "$role"
  done
done
