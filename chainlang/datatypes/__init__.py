"""Types of fields and answers: JSON schemas, pydantic validators, parsed replies."""
