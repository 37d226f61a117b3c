"""Every metric of the gateway, declared once: name, help, labels. Nobody creates one elsewhere.

Times are in seconds, ages too. Labels hold names from a small set (stage kinds, lanes, topics) and
never a job, a key or a text.
"""

from prometheus_client import disable_created_metrics

from streams.metric_kinds import Counter, Gauge, Histogram

# When a series began: a line more for each, which Prometheus keeps as a series more and nothing here asks for.
disable_created_metrics()

# From a no-op (1 ms) to a document of hundreds of pages.
_WORK_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900)
# From an idle machine to a backlog of a night.
_WAIT_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30, 60, 300, 1800, 7200, 43200)

# --- Every process ----------------------------------------------------------------------------

MEMORY_USED = Gauge("gateway_memory_used_bytes", "Memory used in the process's control group: its container or pod")
MEMORY_LIMIT = Gauge("gateway_memory_limit_bytes", "Memory that this group may use; 0: no limit")

# --- Processors -------------------------------------------------------------------------------

STAGE_BUFFERED = Gauge("gateway_stage_buffered", "Requests read and waiting for a slot", ["stage", "lane"])
STAGE_IN_FLIGHT = Gauge("gateway_stage_in_flight", "Requests in work", ["stage", "lane"])
STAGE_OUTCOMES = Counter(
    "gateway_stage_outcomes_total",
    "Requests that left the stage; outcome is done, failed or cancelled",
    ["stage", "lane", "outcome"],
)
STAGE_RETRIES = Counter("gateway_stage_retries_total", "Attempts that failed and are repeated", ["stage", "lane"])
STAGE_DEAD_LETTERS = Counter(
    "gateway_stage_dead_letters_total", "Records written to a dead letter topic", ["topic", "code"]
)
STAGE_WAIT_SECONDS = Histogram(
    "gateway_stage_wait_seconds",
    "From the request's time to its first start",
    ["stage", "lane", "module"],
    buckets=_WAIT_BUCKETS,
)
STAGE_WORK_SECONDS = Histogram(
    "gateway_stage_work_seconds", "One attempt of the handler", ["stage", "lane"], buckets=_WORK_BUCKETS
)
STAGE_TOTAL_SECONDS = Histogram(
    "gateway_stage_total_seconds",
    "From the request's time to its outcome acknowledged",
    ["stage", "lane"],
    buckets=_WAIT_BUCKETS,
)
STAGE_PAUSED = Gauge("gateway_stage_paused", "1 while an outage holds the stage back", ["stage"])
STAGE_OLDEST_SECONDS = Gauge("gateway_stage_oldest_seconds", "Age of the oldest unfinished request read", ["stage"])

# --- Consumers --------------------------------------------------------------------------------

CONSUMER_LAG = Gauge("gateway_consumer_lag", "Records after the committed offset", ["group", "topic"])
CONSUMER_REBALANCES = Counter("gateway_consumer_rebalances_total", "Assignments received", ["group"])
CONSUMER_COMMIT_SECONDS = Gauge("gateway_consumer_commit_timestamp_seconds", "Time of the last commit", ["group"])

# --- Child processes --------------------------------------------------------------------------

CHILDREN_ALIVE = Gauge("gateway_children_alive", "Child processes that run")
CHILDREN_ENDED = Counter(
    "gateway_children_ended_total",
    "Child processes that ended early; reason: crash, timeout, memory, cancelled",
    ["reason"],
)

# --- The log ----------------------------------------------------------------------------------

PUBLISHED = Counter("gateway_published_total", "Records acknowledged", ["topic"])
PUBLISH_FAILURES = Counter("gateway_publish_failures_total", "Publications without acknowledgement", ["code"])
VIEW_RECORDS = Gauge("gateway_view_records", "Records held of a compacted topic", ["topic"])

# --- What the gateway stands on (told by every ingress; take the maximum) ------------------------

LOG_UP = Gauge("gateway_log_up", "1 while Kafka answers")
LOG_BROKERS = Gauge("gateway_log_brokers", "Brokers of the cluster")
LOG_UNDER_REPLICATED = Gauge(
    "gateway_log_under_replicated_partitions", "Partitions with fewer copies than they should have"
)
LOG_LEADERLESS = Gauge("gateway_log_leaderless_partitions", "Partitions that take no records now")
LOG_END = Gauge("gateway_log_end_offset", "Records ever written, over a topic's partitions", ["topic"])
LOG_LAG = Gauge(
    "gateway_log_lag", "Records that a group has not finished, its members running or not", ["group", "topic"]
)
LOG_OLDEST_SECONDS = Gauge("gateway_log_oldest_seconds", "Age of the oldest of those records", ["group", "topic"])
LOG_RETENTION_SECONDS = Gauge("gateway_log_retention_seconds", "How long a topic keeps its records", ["topic"])
LOG_DISK_FREE = Gauge("gateway_log_disk_free_bytes", "Free space of a broker's fullest folder", ["broker"])
LOG_DISK_SIZE = Gauge("gateway_log_disk_size_bytes", "Size of that folder's file system", ["broker"])
CERTIFICATE_END = Gauge(
    "gateway_certificate_end_timestamp_seconds",
    "Until when the certificate is good that a TLS listener shows",
    ["listener"],
)
REDIS_UP = Gauge("gateway_redis_up", "1 while Redis answers")
REDIS_MEMORY = Gauge("gateway_redis_memory_bytes", "Memory that Redis uses")
REDIS_MEMORY_LIMIT = Gauge("gateway_redis_memory_limit_bytes", "Memory that Redis may use; else what its machine has")
REDIS_CLIENTS = Gauge("gateway_redis_clients", "Connections to Redis")
REDIS_COMMANDS = Gauge("gateway_redis_commands", "Commands that Redis has served since its start")
DISK_FREE = Gauge("gateway_disk_free_bytes", "Free space where the data folder is")
DISK_SIZE = Gauge("gateway_disk_size_bytes", "Size of the file system where the data folder is")

# --- Job state --------------------------------------------------------------------------------

FOLDED = Counter("gateway_job_state_records_total", "Records folded into job states", ["topic"])
FOLD_BATCH = Histogram(
    "gateway_job_state_batch_records",
    "Records folded together",
    buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500, 1000),
)
FOLD_CHANGED = Counter("gateway_job_state_changed_total", "Table writes: changed jobs, once a batch")
FLUSH_SECONDS = Histogram(
    "gateway_job_state_flush_seconds",
    "One batch; part is fold (decode and fold), view (Redis) or changelog (acknowledged)",
    ["part"],
    buckets=_WORK_BUCKETS,
)
TABLE_JOBS = Gauge("gateway_job_state_jobs", "Jobs in this process's table")
TABLE_EXPIRED = Counter("gateway_job_state_expired_total", "Jobs removed from the table after their time")
JOBS_LOG_EXPIRED = Counter(
    "gateway_jobs_log_expired_total", "Jobs that failed because retention removed their request unread", ["topic"]
)
TABLE_RECOVERING = Gauge("gateway_job_state_recovering", "1 while the table is read from its changelog")
VIEW_REBUILDS = Counter("gateway_view_rebuilds_total", "Partitions whose views were written anew")
VIEW_REBUILD_SECONDS = Histogram("gateway_view_rebuild_seconds", "One rebuild of lost views", buckets=_WORK_BUCKETS)

# --- Metering ---------------------------------------------------------------------------------
# Of the ledger's own records, each counted once. A record whose charge moves to another attempt is
# not taken back here: bills come from the ledger, these are for watching.

USAGE_REQUESTS = Counter("gateway_usage_requests_total", "Jobs and calls that ended", ["service", "module", "outcome"])
USAGE_TOKENS = Counter(
    "gateway_usage_tokens_total", "Tokens charged; kind is prompt or completion", ["service", "module", "model", "kind"]
)
USAGE_PAGES = Counter("gateway_usage_pages_total", "Pages charged", ["service", "module"])
USAGE_AUDIO_SECONDS = Counter("gateway_usage_audio_seconds_total", "Audio charged", ["service", "module"])
USAGE_WORK_SECONDS = Counter(
    "gateway_usage_work_seconds_total", "Work, by whether it is charged or waste", ["service", "module", "charged"]
)
USAGE_COST = Counter(
    "gateway_usage_cost_total",
    "Cost charged, in the currency of models.yml, by the prices that hold when it is counted",
    ["service", "module", "model"],
)
LEDGER_ENTRIES = Gauge("gateway_ledger_entries", "Jobs and calls in this process's ledger")
LEDGER_ROWS = Gauge("gateway_ledger_rows", "Rows of hours and days in this process's ledger")
LEDGER_FOLDED = Counter("gateway_ledger_records_total", "Usage events folded, repeats included")

# --- Ingress ----------------------------------------------------------------------------------

HTTP_REQUESTS = Counter(
    "gateway_http_requests_total", "Requests answered; 499: the caller went away", ["route", "method", "status"]
)
HTTP_SECONDS = Histogram(
    "gateway_http_request_seconds",
    "From the request's head to the answer's end",
    ["route", "method"],
    buckets=_WORK_BUCKETS,
)
HTTP_IN_FLIGHT = Gauge("gateway_http_in_flight", "Requests being answered")

# --- Model servers ----------------------------------------------------------------------------

UPSTREAM_ATTEMPTS = Counter(
    "gateway_upstream_attempts_total",
    "Calls sent to a model server; outcome is answered or the error's code",
    ["upstream", "outcome"],
)
UPSTREAM_FIRST_TOKEN_SECONDS = Histogram(
    "gateway_upstream_first_token_seconds",
    "From sending a call to its first token, or to its failure",
    ["upstream", "outcome"],
    buckets=_WORK_BUCKETS,
)
UPSTREAM_WAIT_SECONDS = Histogram(
    "gateway_upstream_wait_seconds", "From a call to its slot on a model server", ["lane"], buckets=_WAIT_BUCKETS
)
UPSTREAM_WAITING = Gauge("gateway_upstream_waiting", "Calls that wait for a slot", ["lane"])
UPSTREAM_IN_USE = Gauge("gateway_upstream_in_use", "Slots that calls of this process use", ["upstream"])
UPSTREAM_SLOTS = Gauge("gateway_upstream_slots", "Slots that this process may use now", ["upstream"])
UPSTREAM_USABLE = Gauge("gateway_upstream_usable", "1 while the model server is given calls", ["upstream"])
CHAT_CALLS = Counter(
    "gateway_chat_calls_total",
    "Interactive calls that ended; outcome is done, partial or failed",
    ["dialect", "task", "outcome"],
)
CHAT_USAGE_PENDING = Gauge("gateway_chat_usage_pending", "Usage records of calls that the log has not taken yet")

# --- Quotas -----------------------------------------------------------------------------------

QUOTA_REFUSALS = Counter("gateway_quota_refusals_total", "Requests that a limit refused", ["service", "limit"])
QUOTA_WARNINGS = Counter(
    "gateway_quota_warnings_total", "Requests granted while 80 % of a limit or more is used", ["service", "limit"]
)
QUOTA_UNKNOWN = Counter("gateway_quota_unknown_total", "Requests decided by this replica's share, without Redis")

# --- The batch door ---------------------------------------------------------------------------

BATCH_READ = Counter("gateway_batch_records_total", "Records read from the batch doors", ["service"])
BATCH_DOOR_WAITING = Gauge("gateway_batch_door_waiting", "1 while a service's door waits for a quota", ["service"])
BATCH_STARTED = Counter("gateway_batch_started_total", "Jobs started for batch requests; repeats after a crash count")
BATCH_REJECTED = Counter("gateway_batch_rejected_total", "Records answered with a rejection", ["code"])
BATCH_ANSWERED = Counter("gateway_batch_answered_total", "Requests answered with their job's end", ["status"])
BATCH_WINDOW = Gauge("gateway_batch_window", "How many batch jobs this process lets be under way at once")
BATCH_PENDING = Gauge("gateway_batch_pending", "Requests of this process's partitions that have no answer yet")

# --- Blobs ------------------------------------------------------------------------------------
# Told by the process that collects them.

BLOBS_KEPT = Gauge("gateway_blobs_kept", "Blobs in the store, as the last round of the collector found them")
BLOBS_KEPT_BYTES = Gauge("gateway_blobs_kept_bytes", "Size of those blobs")
BLOBS_ASIDE = Gauge("gateway_blobs_aside", "Blobs that are set aside and go within a day unless they are touched")
BLOBS_PUT_BACK = Counter("gateway_blobs_put_back_total", "Blobs that were touched after they had been set aside")
BLOBS_DESTROYED = Counter("gateway_blobs_destroyed_total", "Blobs removed for good, their time over")
BLOBS_DESTROYED_BYTES = Counter("gateway_blobs_destroyed_bytes_total", "Size of those blobs")
BLOBS_LAST_ROUND = Gauge("gateway_blobs_round_timestamp_seconds", "End of the collector's last round")
