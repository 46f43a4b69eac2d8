"""Execution plans: the steps of a row, with all names resolved, and analyses of their cost."""
