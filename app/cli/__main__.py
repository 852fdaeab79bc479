"""`python -m app.cli` is `keyturn`."""

from app.cli import main

main(prog_name="keyturn")
