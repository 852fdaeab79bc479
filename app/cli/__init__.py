"""The operator's door: the `keyturn` command (product.md section 3).

Exit status 0, 1 (refused) or 2 (usage); every refusal is one line on standard error. Secrets are never taken from
the command line. Whatever is heavy is imported inside the command that needs it, because a start has to be quick.
"""

import os

import click

from app.cli.api_clients import api_client
from app.cli.auditing import audit
from app.cli.demo import demo
from app.cli.door import Door
from app.cli.organizations import org
from app.cli.people import user
from app.cli.running import serve, worker
from app.cli.setting_up import check_config, doctor, init


@click.group(cls=Door, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="keyturn", message="%(prog)s %(version)s")
def main() -> None:
    """Keyturn: a portal for locked and forgotten passwords. Two factors, always."""
    os.umask(0o077)  # databases, keys and sockets are nobody else's


for command in (init, doctor, check_config, serve, worker, demo, org, user, api_client, audit):
    main.add_command(command)
