"""Who answers requests. Engines see requests and completions, never chains."""
