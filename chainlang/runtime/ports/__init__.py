"""Layers between the scheduler and an engine: deduplication, recording, guards."""
