"""Types of fields and answers: checks, JSON schemas, validators and parsed replies."""
