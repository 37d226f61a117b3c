"""The folds over the log: the job-state app, its views in Redis, and how they are read."""
