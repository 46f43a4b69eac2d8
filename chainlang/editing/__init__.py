"""Language services for editors, notebooks and the REPL: completions, hover texts, names, fixes."""
