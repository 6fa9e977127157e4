"""``python -m asyncjobs.admin.dev``: the same as ``ajc dev``."""

import sys

from asyncjobs.admin.cli.main import run

if __name__ == "__main__":
    sys.exit(run(["dev", *sys.argv[1:]]))
