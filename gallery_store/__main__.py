"""python -m gallery_store import | stats | verify | reindex | delete"""

from __future__ import annotations

import sys

from gallery_store.cli import main

sys.exit(main())
