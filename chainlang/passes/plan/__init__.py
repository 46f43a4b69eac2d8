"""Passes from plan to plan."""
