"""Displays: pictures of chains, pages of results, and the progress of a run."""
