#!/bin/bash
# Starts a broker of compose.kafka.yml or compose.cluster.yml: fills in its place in the cluster, formats its log the
# first time (with the SCRAM user `admin`, which makes the services' users and ACLs), and becomes Kafka.
set -euo pipefail

node=${CLUSTER_NODE:-1} host=${CLUSTER_HOST:-kafka} port=${CLUSTER_PORT:-9094}
voters=${CLUSTER_VOTERS:-1@kafka:9093} replicas=${CLUSTER_REPLICAS:-1}
insync=$((replicas > 1 ? replicas - 1 : 1))
properties=/tmp/server.properties

sed -e "s|^node.id=.*|node.id=$node|" \
  -e "s|^controller.quorum.voters=.*|controller.quorum.voters=$voters|" \
  -e "s|^advertised.listeners=.*|advertised.listeners=INTERNAL://$host:9092,EXTERNAL://${GATEWAY_DOOR_HOST:-localhost}:$port|" \
  -e "s|\(replication.factor\)=.*|\1=$replicas|" \
  -e "s/\(min.isr\|min.insync.replicas\)=.*/\1=$insync/" \
  /mnt/shared/config/server.properties >"$properties"

if [[ ! -e /var/lib/kafka/data/meta.properties ]]; then
  # The same on every broker of the cluster, and kept for its life.
  /opt/kafka/bin/kafka-storage.sh format -t "${CLUSTER_ID:-ZGVmYXVsdC1nYXRld2F5MQ}" -c "$properties" \
    --add-scram "SCRAM-SHA-512=[name=admin,password=$(cat /run/secrets/kafka_admin)]"
fi
exec /opt/kafka/bin/kafka-server-start.sh "$properties"
