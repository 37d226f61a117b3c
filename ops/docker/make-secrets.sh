#!/usr/bin/env bash
# Makes what compose.kafka.yml reads from ops/secrets: passwords, and certificates for this host that are signed by
# themselves. What is there already stays. Put your own certificates in their place before others use the gateway.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../secrets"
umask 077

password() { [[ -s "$1" ]] || openssl rand -hex 24 >"$1"; }

for name in redis_password kafka_admin grafana_password s3_secret_key; do password "$name"; done
[[ -s redis_url ]] || printf 'redis://:%s@redis:6379/0\n' "$(cat redis_password)" >redis_url
for name in proxy kafka; do
  [[ -s "${name}_cert.pem" ]] || openssl req -x509 -newkey rsa:3072 -nodes -days 365 -subj "/CN=localhost" \
    -addext "subjectAltName=DNS:localhost,DNS:$(hostname),IP:127.0.0.1${GATEWAY_DOOR_HOST:+,DNS:$GATEWAY_DOOR_HOST}" \
    -keyout "${name}_key.pem" -out "${name}_cert.pem" 2>/dev/null
done
# Kafka takes key and certificate as one file.
[[ -s kafka_keystore.pem ]] || cat kafka_key.pem kafka_cert.pem >kafka_keystore.pem
# Keys of model servers that models.yml names by variable: a line NAME=key each.
touch upstream_keys
# Where alerts are posted to, which only you know: empty until you fill them in.
touch alert_page alert_ticket
[[ -s alert_page && -s alert_ticket ]] || echo "nobody is told of alerts yet: put addresses (a URL each) into ops/secrets/alert_page and alert_ticket" >&2
# Compose mounts them as they are, and the containers are not root: the folder, not the files, keeps others out.
chmod 644 ./*
chmod 700 .
