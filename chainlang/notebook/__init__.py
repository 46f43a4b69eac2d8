"""The IPython extension: ``%load_ext chainlang`` brings ``%chain``, ``%%chain`` and completion."""
