"""Purges: a job's, or a service's older jobs' content removed before its time."""
