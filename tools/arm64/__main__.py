"""`python -m tools.arm64 try|shell`."""

import sys

from tools.arm64.cli import main

sys.exit(main())
