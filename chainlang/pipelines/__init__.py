"""YAML files of steps: a second text for the same chains."""
