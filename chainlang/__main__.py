"""``python -m chainlang``."""

from chainlang.cli import main

if __name__ == "__main__":
    main()
