#!/usr/bin/env bash
# Makes base images where no image registry can be reached: a Debian with Python from this machine's own package
# sources, under the tag that our Dockerfile begins with, and on top of it what stands in for the official images of
# Kafka, Redis, nginx, Prometheus, Alertmanager and MinIO. It proves our files, not the official images. Needs mmdebstrap,
# Maven, an engine that builds with BuildKit, and Kafka's jars (./gateway fetches them).
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

python=$(sed -n 's/^ARG PYTHON=//p' ops/docker/Dockerfile)
tag() { sed -n "s|^    image: \($1:.*\)|\1|p" compose.kafka.yml | head -1; }

if ! docker image inspect "$python" >/dev/null 2>&1; then
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  sources=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources | head -1)
  # The machine's certificates: where downloads go through a proxy of its own, the containers must know it too.
  mmdebstrap --mode=root --variant=minbase --format=tar \
    --aptopt='Acquire::Languages "none"' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='force-unsafe-io' \
    --include=ca-certificates,python3,python3-pip,python3-venv,python-is-python3 \
    --customize-hook='cp /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/ca-certificates.crt"' \
    --customize-hook='rm -f "$1"/usr/lib/python3.11/EXTERNALLY-MANAGED' \
    bookworm "$scratch/base.tar" "deb ${sources:-http://deb.debian.org/debian} bookworm main"
  docker import --change "ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt" "$scratch/base.tar" "$python"
fi
# The scripts of the official image that the local stack, whose jars these are, has no need of.
kafka=$(sed -n 's|.*<kafka.version>\(.*\)</kafka.version>.*|\1|p' ops/kafka/pom.xml)
[[ -s "ops/kafka/target/tools/kafka-tools-$kafka.jar" ]] || mvn -q -B -ntp dependency:copy \
  -Dartifact="org.apache.kafka:kafka-tools:$kafka" -DoutputDirectory="$PWD/ops/kafka/target/tools"
[[ -d tests/containers/standins/s3 ]] || mvn -q -B -ntp -f tests/containers/standins/pom.xml dependency:copy-dependencies
for image in apache/kafka redis nginx prom/prometheus prom/alertmanager minio/minio; do
  DOCKER_BUILDKIT=1 docker build --quiet --file tests/containers/standins.Dockerfile --build-arg "PYTHON=$python" \
    --target "${image##*/}" --tag "$(tag "$image")" .
done
