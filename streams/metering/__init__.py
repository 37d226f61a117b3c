"""The usage ledger: the app that folds it, its rows in Redis, reports from them, and their proof."""
