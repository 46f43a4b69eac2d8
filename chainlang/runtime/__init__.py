"""Running a plan: many rows at once, without barriers, each row on its own."""
