"""Build config/blocklist.bin from a text file with one password a line.

    .venv/bin/python config/build_blocklist.py LIST.txt [config/blocklist.bin]

The list that is shipped, its licence and its checksum are named in NOTICE. Any other list in UTF-8 will do.
"""  # noqa: INP001 - a script, not a package

import sys
from pathlib import Path

from app.factors.password.blocklist import Blocklist, pack


def main(arguments: list[str]) -> int:
    """Write the file and say how many entries it has. Exit status 2 for wrong usage."""
    if not 1 <= len(arguments) <= 2:
        sys.stderr.write(__doc__)
        return 2
    source = Path(arguments[0])
    target = Path(arguments[1]) if len(arguments) == 2 else Path(__file__).with_name("blocklist.bin")
    with source.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        packed = pack(line.rstrip("\r\n") for line in lines)
    target.write_bytes(packed)
    sys.stdout.write(f"{target}: {len(Blocklist(target))} entries, {len(packed)} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
