"""Start the server, say where it is, and stop it in good order."""

from __future__ import annotations

import secrets
import socket
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from sammix.errors import SammixError
from sammix.label.addresses import LOOPBACK, own_names, page_hosts
from sammix.label.brain import Brain
from sammix.label.brain_routes import BrainPage
from sammix.label.collection import open_collection
from sammix.label.events import Events
from sammix.label.guard import Guard, Rules
from sammix.label.means import Means
from sammix.label.places import Places
from sammix.label.project import LabelProject, folder_for
from sammix.label.service import Service
from sammix.label.slicer_routes import OPEN_PATHS, SlicerPage
from sammix.label.trainings import Trainings
from sammix.label.web import Page, application
from sammix.label.wire import Wire
from sammix.log import say, warn


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for.

    Attributes:
        data: what is to be labelled: anything that ``predict`` reads.
        store: where answers are kept; None: beside the data.
        organ: what is sought; None: what the data names, else the liver.
        host, port: where to listen; port 0 takes any that is free.
        allowed_hosts: names, beside this machine's own, under which the page may be asked for.
        annotator: who labels, where the browser does not say it.
        model: to begin with; None: SAM as it came, until something is learned.
        preset: whose network and settings are used where there is no model.
        threads: how many cores the network's processes may take, each.
        slicer: answer 3D Slicer's module MONAI Label too, which sends no token; at this machine's own address alone.
    """

    data: Path
    store: Path | None = None
    organ: str | None = None
    host: str = "127.0.0.1"
    port: int = 8765
    allowed_hosts: tuple[str, ...] = ()
    annotator: str = "annotator"
    model: Path | None = None
    preset: str = "lite"
    threads: int = 2
    slicer: bool = False

    @property
    def for_others(self) -> bool:
        """Whether other machines can reach the page."""
        return self.host not in LOOPBACK

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names and addresses under which the page may be asked for, in small letters."""
        own = own_names(self.host) if self.for_others else ()
        return (*own, *(name.lower() for name in self.allowed_hosts))


class LabelServer:
    """A server that listens already and answers once :meth:`run` is called."""

    def __init__(self, service: Service, brain: Brain, trainings: Trainings, wanted: Wanted) -> None:
        self.service, self.wanted = service, wanted
        self.token = secrets.token_urlsafe(32)
        self.socket = _listening(wanted.host, wanted.port)
        self.port = int(self.socket.getsockname()[1])
        open_paths = OPEN_PATHS if wanted.slicer else ()
        rules = Rules(self.token, self.port, wanted.hosts, any_address=wanted.for_others, open_paths=open_paths)
        routes = [*Page(service, wanted.annotator).routes(), *BrainPage(service, brain, trainings).routes()]
        routes += SlicerPage(service, brain, trainings, wanted.annotator).routes() if wanted.slicer else []
        app = Guard(application(routes), rules)
        config = uvicorn.Config(
            app,
            http=Wire,
            log_level="warning",
            access_log=False,  # addresses are in no log
            server_header=False,
            proxy_headers=False,  # who asks is who is connected, whatever a header says
            ws="none",
            timeout_graceful_shutdown=1,
        )
        self.server = uvicorn.Server(config)

    @property
    def addresses(self) -> list[str]:
        """Of the page, from this machine first, then from others; without the token, so they may be written down."""
        return [f"http://{host}:{self.port}/" for host in page_hosts(self.wanted.host)]

    @property
    def secret_addresses(self) -> list[str]:
        """Of the page, with the token: for the person at the terminal alone."""
        return [f"{address}?token={self.token}" for address in self.addresses]

    def run(self) -> None:
        """Answer until :meth:`stop`, or Ctrl-C."""
        self.server.run(sockets=[self.socket])

    def stop(self) -> None:
        """Let every page go and end."""
        self.service.events.end()
        self.server.should_exit = True


@contextmanager
def label_server(wanted: Wanted) -> Iterator[LabelServer]:
    """Open the labelling, and a server for it.

    Raises:
        SammixError: there is nothing to label, another server has it, or the port is taken.
    """
    if wanted.slicer and (wanted.for_others or wanted.allowed_hosts):
        beside = f"--host {wanted.host}" if wanted.for_others else "--allow-host"
        raise SammixError(f"3D Slicer sends no token, so --slicer and {beside} do not go together")
    store = wanted.store or folder_for(wanted.data)
    collection = open_collection(wanted.data, wanted.organ, Places(store).scans)
    for remark in collection.remarks:
        warn(remark)
    organ = wanted.organ or collection.dataset.organ
    with LabelProject.opened(store, wanted.data, organ) as project, ExitStack() as ends:
        events = Events()
        model = None if wanted.model is None else _model(wanted.model, organ)
        means = Means(wanted.data, organ, project.folder, model, wanted.preset, wanted.threads)
        brain = Brain(means, events)
        ends.callback(brain.stop)
        trainings = Trainings(brain)
        ends.callback(trainings.end)
        server = LabelServer(Service(project, collection, events), brain, trainings, wanted)
        ends.callback(server.socket.close)
        ends.callback(server.stop)
        project.announce(server.addresses[-1])
        yield server


def _model(path: Path, organ: str) -> Path:
    """Find the model to begin with. Raises SammixError: there is none, or it was trained for another organ."""
    from sammix.models.card import find_model, read_card

    folder, card = find_model(path), read_card(path)
    if card.organ != organ:
        warn(f"{path}: was trained for the {card.organ}, and the {organ} is sought; it will have to learn that")
    return folder


def serve(wanted: Wanted, open_browser: bool) -> None:
    """Label until Ctrl-C. The address is printed, with its token, and opened in a browser if that is wanted."""
    with label_server(wanted) as server:
        if wanted.for_others:
            warn(
                f"the page can be reached from other machines ({wanted.host}): whoever has the address with its token "
                "sees the scans, and nothing is encrypted on the way; prefer an SSH tunnel to 127.0.0.1"
            )
        count = len(server.service.collection.stacks)
        say(f"{count} to label; answers are kept in {server.service.project.folder}")
        if wanted.slicer:
            say(
                f"in 3D Slicer's module MONAI Label, give {server.addresses[0].rstrip('/')} as the server; every "
                "program on this machine, of other users too, can ask it without a token"
            )
        print(*server.secret_addresses, sep="\n", flush=True)
        if open_browser:
            threading.Timer(0.5, webbrowser.open, server.secret_addresses[:1]).start()
        server.run()


def _listening(host: str, port: int) -> socket.socket:
    """Take a port. Raises SammixError: it is taken, or the address is none of this machine's."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SammixError(f"cannot listen at {host}:{port} ({reason}); choose another --port") from error
    return listening
