"""Programs after the descriptions of Ember's examples, each with a function `main` that prints.

They are written anew, with the names, calls and paths of modules that Ember documents; nothing in
them is chainlang's but the root of their imports. `tests/compat/test_ember_programs.py` runs them.
"""
