"""`python -m wrt` is the command line."""

from __future__ import annotations

from wrt.apps.command import main

if __name__ == "__main__":
    main()
