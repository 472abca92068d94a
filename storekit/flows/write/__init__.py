"""Flows that change records: plan, stage, upload, commit."""
