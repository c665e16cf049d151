"""`python -m simulator --config FILE.json`: a simulated campus in its own process."""

import sys

from simulator.server import main

sys.exit(main())
