"""`python -m tools.fleet` is `fleeting-fleet`."""

from tools.fleet.cli import main

raise SystemExit(main())
