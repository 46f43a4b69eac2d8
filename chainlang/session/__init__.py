"""One run or one call, put together: engines, plan, rows, results."""
