"""Runs that survive: killed at every boundary, on disks that fail, over damaged journals."""
