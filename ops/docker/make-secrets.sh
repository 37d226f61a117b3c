#!/usr/bin/env bash
# Makes what compose.kafka.yml reads from ops/secrets: passwords, and certificates for this host that are signed by
# themselves. What is there already stays; what is made of another file is made anew when that one is newer. Put your
# own certificates in their place before others use the gateway. docs/runbook.md, "Secrets": what to do after a change.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../secrets"
umask 077

password() { [[ -s "$1" ]] || openssl rand -hex 24 >"$1"; }
older() { [[ ! -s "$1" || "$2" -nt "$1" ]]; }

for name in redis_password kafka_admin grafana_password s3_secret_key; do password "$name"; done
# Not one that names a Redis elsewhere: that has a password of its own.
if [[ ! -s redis_url ]] || { older redis_url redis_password && grep -q '^redis://:[^@]*@redis:6379/0$' redis_url; }; then
  printf 'redis://:%s@redis:6379/0\n' "$(cat redis_password)" >redis_url
fi
for name in proxy kafka; do
  [[ -s "${name}_cert.pem" ]] || openssl req -x509 -newkey rsa:3072 -nodes -days 730 -subj "/CN=localhost" \
    -addext "subjectAltName=DNS:localhost,DNS:$(hostname),IP:127.0.0.1${GATEWAY_DOOR_HOST:+,DNS:$GATEWAY_DOOR_HOST}" \
    -keyout "${name}_key.pem" -out "${name}_cert.pem" 2>/dev/null
  ends=$(openssl x509 -noout -enddate -in "${name}_cert.pem")
  echo "${name}_cert.pem ends on ${ends#notAfter=}"
  openssl x509 -noout -checkend $((30 * 86400)) -in "${name}_cert.pem" >/dev/null ||
    echo "WARNING: ${name}_cert.pem is good for less than 30 days: remove it, and run this again" >&2
done
# Kafka takes key and certificate as one file.
if older kafka_keystore.pem kafka_cert.pem || older kafka_keystore.pem kafka_key.pem; then
  cat kafka_key.pem kafka_cert.pem >kafka_keystore.pem
fi
# Keys of model servers that models.yml names by variable: a line NAME=key each.
touch upstream_keys
# Where alerts are posted to, which only you know: empty until you fill them in.
touch alert_page alert_ticket
[[ -s alert_page && -s alert_ticket ]] || echo "nobody is told of alerts yet: put addresses (a URL each) into ops/secrets/alert_page and alert_ticket" >&2
# Compose mounts them as they are, and the containers are not root: the folder, not the files, keeps others out.
chmod 644 ./*
chmod 700 .
