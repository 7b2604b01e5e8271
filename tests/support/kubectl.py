"""kubectl as a person runs it, against a server of the test's."""

import asyncio
from pathlib import Path

from support.commands import Answer, run_command
from support.components import require_kubectl


async def kubectl(kubeconfig: str | Path, *words: str) -> Answer:
    """Runs one command to its end while the test's own loop goes on."""
    return await asyncio.to_thread(run_command, require_kubectl(), *words, KUBECONFIG=str(kubeconfig))


def kubectl_folder(folder: Path) -> Path:
    """A folder in which kubectl has its everyday name, made below `folder` where the machine has it by another."""
    program = Path(require_kubectl())
    if (program.parent / "kubectl").exists():
        return program.parent
    link = folder / "bin" / "kubectl"
    link.parent.mkdir(exist_ok=True)
    if not link.exists():
        link.symlink_to(program)
    return link.parent
