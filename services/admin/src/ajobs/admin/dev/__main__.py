"""``python -m ajobs.admin.dev``: the same as ``ajc dev``."""

import sys

from ajobs.admin.cli.main import run

if __name__ == "__main__":
    sys.exit(run(["dev", *sys.argv[1:]]))
