# One image for all that comes from a registry elsewhere: see make-base.sh. Kafka's jars are those of the local stack.
ARG PYTHON
FROM ${PYTHON}
RUN apt-get update && apt-get install -y --no-install-recommends \
      curl nginx-light openjdk-17-jre-headless prometheus redis-server wget && rm -rf /var/lib/apt/lists/*
COPY ops/kafka/libs /opt/kafka/libs
# As the official images have it: users by number, folders that they own, scripts and programs where they are called.
RUN mkdir -p /opt/kafka/bin /var/lib/kafka/data /mnt/shared/config /prometheus /etc/nginx \
    && for pair in storage:kafka.tools.StorageTool server-start:kafka.Kafka \
         broker-api-versions:org.apache.kafka.tools.BrokerApiVersionsCommand topics:org.apache.kafka.tools.TopicCommand; do \
         file=/opt/kafka/bin/kafka-${pair%%:*}.sh; \
         printf '#!/bin/bash\nexec java $KAFKA_HEAP_OPTS -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "/opt/kafka/libs/*" %s "$@"\n' \
           "${pair#*:}" >"$file"; chmod 755 "$file"; done \
    && chown -R 1000:1000 /var/lib/kafka /opt/kafka && chown 65534:65534 /prometheus
