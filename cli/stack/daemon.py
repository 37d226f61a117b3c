"""The supervisor's process: `python -m cli.stack.daemon [PARENT_PID]`, started by `up`.

SIGTERM stops the stack, SIGHUP has the plan read again. With PARENT_PID it stops when that process
ends: so does a stack in the foreground when its terminal is gone.
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping

from cli.batch_doors import renew_grants
from cli.stack import stack_lock
from cli.stack.gateway_login import ensure_gateway_login
from cli.stack.local_key import ensure_local_key
from cli.stack.logins import login_environment, make_passwords
from cli.stack.paths import StackPaths
from cli.stack.plan import read_plan
from cli.stack.ports import PortBook
from cli.stack.scrape_targets import write_scrape_targets
from cli.stack.services import Service, planned_services
from cli.stack.supervisor import Supervisor
from cli.stack.tether import die_with
from streams.log.admin import kafka_admin
from streams.settings import Settings
from streams.stages import declared_topics


async def supervise(env: Mapping[str, str]) -> None:
    """Run the stack of the data directory that `env` names until SIGTERM or SIGINT."""
    paths = StackPaths(Settings.from_env(env).data_dir)
    passwords = make_passwords(paths) if read_plan(paths.plan).secure else None
    env = {**env, **login_environment(paths)}
    settings = Settings.from_env(env)
    ports = PortBook(paths.ports)

    def services() -> list[Service]:
        planned = planned_services(env, settings, read_plan(paths.plan).scale, paths, ports, passwords)
        write_scrape_targets(paths.prometheus, planned)
        return planned

    async def set_up() -> None:
        if passwords is not None:
            await ensure_gateway_login(settings, passwords)
        async with kafka_admin(settings.kafka_bootstrap) as admin:
            await admin.ensure_topics([*declared_topics(), *await admin.doors()])
            await ensure_local_key(admin, settings.kafka_bootstrap, paths)
        if passwords is not None:
            await renew_grants(settings)

    supervisor = Supervisor(services(), set_up, log_of=paths.log, state_file=paths.state)
    stop = asyncio.Event()
    changing: set[asyncio.Task[None]] = set()

    def change() -> None:
        task = asyncio.create_task(supervisor.apply(services()))
        changing.add(task)
        task.add_done_callback(changing.discard)

    loop = asyncio.get_running_loop()
    for sig in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sig, stop.set)
    loop.add_signal_handler(signal.SIGHUP, change)
    await supervisor.run(stop)
    paths.state.unlink(missing_ok=True)


def main(arguments: list[str]) -> int:
    """Take the lock and supervise."""
    if arguments:
        die_with(int(arguments[0]), signal.SIGTERM)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    paths = StackPaths(Settings.from_env(os.environ).data_dir)
    paths.make()
    try:
        with stack_lock.held(paths.lock, str(os.getpid())):
            asyncio.run(supervise(os.environ))
    except stack_lock.AlreadyLocked:
        sys.stderr.write(f"another supervisor runs the stack in {paths.data_dir}\n")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
