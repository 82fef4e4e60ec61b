"""`python -m tools.fleet.simulate`."""

from tools.fleet.simulate.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
