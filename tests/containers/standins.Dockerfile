# What comes from a registry elsewhere, each under a target of its own: see make-base.sh. Kafka's jars are those of the
# local stack. As the official images have it: users by number, folders that they own, what runs when no command is given.
ARG PYTHON
FROM ${PYTHON} AS standin
# Java's installation links its manual pages, whose folder the base image leaves out.
RUN mkdir -p /usr/share/man/man1 && apt-get update && apt-get install -y --no-install-recommends \
      curl nginx-light openjdk-17-jre-headless prometheus redis-server wget && rm -rf /var/lib/apt/lists/*

FROM standin AS kafka
COPY ops/kafka/libs ops/kafka/target/tools /opt/kafka/libs/
RUN mkdir -p /opt/kafka/bin /var/lib/kafka/data /mnt/shared/config \
    && for pair in storage:kafka.tools.StorageTool server-start:kafka.Kafka \
         broker-api-versions:org.apache.kafka.tools.BrokerApiVersionsCommand topics:org.apache.kafka.tools.TopicCommand \
         configs:kafka.admin.ConfigCommand; do \
         file=/opt/kafka/bin/kafka-${pair%%:*}.sh; \
         printf '#!/bin/bash\nexec java $KAFKA_HEAP_OPTS -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "/opt/kafka/libs/*" %s "$@"\n' \
           "${pair#*:}" >"$file"; chmod 755 "$file"; done \
    && chown -R 1000:1000 /var/lib/kafka

FROM standin AS redis
CMD ["redis-server", "--protected-mode", "no"]

FROM standin AS nginx
CMD ["nginx", "-g", "daemon off;"]

FROM standin AS prometheus
RUN mkdir -p /prometheus && chown 65534:65534 /prometheus
ENTRYPOINT ["/usr/bin/prometheus"]

# The version of the compose file, which Debian 12 is behind: its own reads no address from a file.
FROM standin AS alertmanager
RUN sed 's/bookworm/trixie/g' /etc/apt/sources.list >/etc/apt/sources.list.d/trixie.list && apt-get update && cd /tmp \
    && apt-get download prometheus-alertmanager && dpkg-deb --extract prometheus-alertmanager_*.deb / \
    && rm -rf /tmp/* /var/lib/apt/lists/* && mkdir -p /alertmanager && chown 65534:65534 /alertmanager
ENTRYPOINT ["/usr/bin/prometheus-alertmanager"]

FROM standin AS minio
COPY tests/containers/standins/s3 /opt/s3/
COPY tests/containers/standins/minio tests/containers/standins/mc /usr/local/bin/
# As there: its command is `minio` where it is not named.
ENTRYPOINT ["minio"]
