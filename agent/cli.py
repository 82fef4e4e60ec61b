"""The command line `fleeting`; each subcommand imports its own libraries. What a verb takes, its
room says, in `arguments.py`."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from agent import __version__
from agent.base.config import AgentConfig
from agent.base.errors import AgentError, ConfigError, StoreError
from agent.base.files import close_umask
from agent.base.names import one_line
from agent.base.settings_file import as_toml, load
from agent.base.surroundings import check_folder, drop_output, said, set_up_streams
from agent.desk import arguments
from agent.desk.aim import arguments as aim_arguments
from agent.desk.audit import arguments as audit_arguments
from agent.desk.coding import arguments as coding_arguments
from agent.desk.films import arguments as films_arguments
from agent.desk.notice import arguments as notice_arguments
from agent.desk.plan import arguments as plan_arguments
from agent.desk.receipt import arguments as receipt_arguments
from agent.desk.review import arguments as review_arguments
from agent.desk.spot import arguments as spot_arguments
from agent.update import arguments as update_arguments
from agent.uplink.enrol import arguments as enrol_arguments

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.host.supervise import Updates

_MAX_FRAMES = 12
"""Of an unexpected error's stack, innermost first."""


class _Parser(argparse.ArgumentParser):
    """Says what to do about a file whose name looks like an option."""

    def error(self, message: str) -> NoReturn:
        for each in sys.argv[1:]:
            if each.startswith("-") and each != "-" and os.path.lexists(each):
                message += f"; if {one_line(each)} is a file, write ./{one_line(each)}"
        super().error(one_line(message))


def build_parser() -> argparse.ArgumentParser:
    """The parser with all subcommands."""
    parser = _Parser(
        prog="fleeting",
        description="Facial expression, micro-expression and tone of voice on the device; "
        "only aggregated, noised summaries leave, over MQTT.",
    )
    parser.add_argument("--version", action="version", version=f"fleeting {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    for name, text in (
        ("run", "start both processes and keep them alive"),
        ("perceive", "the perceive process: camera to outbox, no network"),
        ("uplink", "the uplink process: outbox to MQTT broker, no devices"),
    ):
        _add_config(verbs.add_parser(name, help=text, description=text))

    def verb(
        name: str,
        text: str,
        add: Callable[[argparse.ArgumentParser], None],
        *,
        configured: bool = True,
    ) -> None:
        parser = verbs.add_parser(name, help=text)
        add(parser)
        if configured:
            _add_config(parser)

    verb("demo", "play the bundled clip through everything, on this machine", arguments.add_demo,
         configured=False)  # fmt: skip
    verb("replay", "run a video file through perception; opens no socket", arguments.add_replay)
    verb("report", "films, or folders of them, as pages, tables and an index; opens no socket",
         films_arguments.add_arguments)  # fmt: skip
    verb("spot", "micro-expressions in a landmark track of your own", spot_arguments.add_arguments,
         configured=False)  # fmt: skip
    verb("convert", "coded facial events from one program's file to another's",
         coding_arguments.add_arguments, configured=False)  # fmt: skip
    verb("listen", "speech and tone of voice in a sound or video file", arguments.add_listen)
    verb("inspect", "what the models see in pictures", arguments.add_inspect)
    verb("check", "camera, microphone, models, broker, clock, disk, sandbox", arguments.add_check)
    verb("aim", "where to put the camera: faces drawn as lines, never pixels, and a score",
         aim_arguments.add_arguments)  # fmt: skip
    verb("audit", "play a video through both processes and search all that leaves for pictures",
         audit_arguments.add_arguments, configured=False)  # fmt: skip
    verb("notice", "a sign for the door, and a page that says what leaves this box",
         notice_arguments.add_arguments)  # fmt: skip
    verb("receipt", "the daily signed receipts", receipt_arguments.add_arguments, configured=False)
    verb("plan", "how many days of noised numbers tell a difference", plan_arguments.add_arguments)
    verb("review", "a study's movements, looked at without a picture",
         review_arguments.add_arguments)  # fmt: skip
    verb("update", "signed updates of the package and its models", update_arguments.add_arguments)
    verb("enrol", "get this device its certificate, from its fleet", enrol_arguments.add_arguments,
         configured=False)  # fmt: skip

    config = verbs.add_parser("config", help="the configuration")
    config.add_argument("action", choices=("show",), help="print every key with its value as TOML")
    _add_config(config)
    return parser


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        type=lambda name: Path(os.path.expanduser(name)),  # as shells do, but not after a =
        metavar="FILE.toml",
        default=os.environ.get("FLEETING_CONFIG") or None,
        help="configuration (default: $FLEETING_CONFIG, else /etc/fleeting/fleeting.toml if there)",
    )


def _configuration_path(given: str | Path | None) -> Path | None:
    """The given file, else /etc/fleeting/fleeting.toml if it exists, else None (defaults)."""
    system = Path("/etc/fleeting/fleeting.toml")
    if given:
        return Path(given)
    return system if system.is_file() else None


def _updates(config: AgentConfig, tail: list[str]) -> Updates | None:
    """What `fleeting run` has to do with updates: nothing where none are configured."""
    from agent.host import heartbeat
    from agent.host.supervise import Updates, launched

    settings = config.update
    if not settings.url and settings.media is None:
        return None
    if not os.environ.get(heartbeat.FOLDER):
        alive = settings.folder / "alive"
        try:
            alive.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"The folder {alive} cannot be made: {error.strerror}. Make it writable for this "
                "user, or set update.folder."
            ) from None
        os.environ[heartbeat.FOLDER] = str(alive.resolve())
    return Updates(
        settings.folder,
        settings.exchange / "job.json",
        launched(settings.folder, "update", "run", *tail, confirmed=True),
    )


def _update(args: argparse.Namespace, config: AgentConfig) -> int:
    from agent.update.process import run_updater, status

    if args.action == "status":
        return status(config, as_json=args.json)
    media = args.media
    if args.action == "install":
        media = media or config.update.media
        if media is None:
            raise ConfigError(
                "Which stick? Name its folder: fleeting update install --media FOLDER"
            )
    elif media is not None:
        raise ConfigError("--media goes with `install`.")
    return run_updater(config, _stop_on_signals(), media=media)


def _aim(args: argparse.Namespace, config: AgentConfig, own: bool) -> int:
    from agent.perceive.start import enter_aim

    if args.video is not None:
        pace = "realtime" if sys.stdout.isatty() and not args.json else "fast"
        film = {"kind": "file", "target": str(args.video), "pace": pace, "loop": False}
        config = config.model_copy(update={"source": config.source.model_copy(update=film)})
    stop = _stop_on_signals()
    camera = enter_aim(config) if own else None
    from agent.desk.aim.run import aim

    return aim(config, camera=camera, stop=stop, seconds=args.seconds, as_json=args.json)


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _close_tracebacks(verb: str) -> None:
    """An unexpected error of a service is logged without its text and without the source's lines:
    a library's text could hold anything."""

    def say(kind: type[BaseException] | None, error: BaseException | None, place: Any) -> None:
        frames = traceback.extract_tb(place)[-_MAX_FRAMES:]
        where = " < ".join(f"{Path(each.filename).name}:{each.lineno}" for each in reversed(frames))
        name = kind.__name__ if kind else "?"
        print(f"{verb}: Unexpected {name} at {where}. Please report it.", file=sys.stderr)

    sys.excepthook = say
    threading.excepthook = lambda found: say(found.exc_type, found.exc_value, found.exc_traceback)


def _dispatch(args: argparse.Namespace, own: bool) -> int:
    """Run one subcommand. `own`: this process was started for it and may enter a sandbox."""
    if own and args.verb in ("run", "perceive", "uplink", "update", "enrol"):
        close_umask()
    if args.verb == "demo":
        from agent.desk.demo import demo

        return demo(plot=args.plot, as_json=args.json, model_set=args.model_set)
    if args.verb == "replay":
        given = load(Path(args.config)) if args.config else None
        if own:
            from agent.desk.coding import sidecars
            from agent.perceive.start import enter_replay

            outputs = [out for out in (args.plot, args.trace, args.frames) if out]
            outputs += sidecars(args.export)
            enter_replay([args.video], outputs, given or AgentConfig())
        from agent.desk.replay import replay

        return replay(
            args.video,
            given,
            as_json=args.json,
            events=args.events,
            readings=args.readings,
            plot=args.plot,
            trace=args.trace,
            window=args.window,
            export=args.export,
            frames=args.frames,
            landmarks=args.landmarks,
        )
    if args.verb == "report":
        from agent.desk.films.run import report

        return report(args, load(Path(args.config)) if args.config else None)
    if args.verb == "listen":
        found = _configuration_path(args.config)
        config = load(found) if found else AgentConfig()
        if own:
            from agent.perceive.start import enter_replay

            enter_replay(args.files, [args.plot] if args.plot else [], config)
        from agent.desk.listen import listen

        return listen(args.files, config, as_json=args.json, plot=args.plot)
    if args.verb == "spot":
        from agent.desk.spot.run import spot

        return spot(
            args.track,
            as_json=args.json,
            render=args.render,
            threshold=args.threshold,
            export=args.export,
            fps=args.fps,
            face=args.face,
        )
    if args.verb == "convert":
        from agent.desk.coding.files import convert

        return convert(args.source, args.target, fps=args.fps, film=args.film, as_json=args.json)
    if args.verb == "audit":
        from agent.desk.audit.run import audit

        return audit(args.video, as_json=args.json, keep=args.keep)
    if args.verb == "receipt":
        from agent.desk.receipt.verify import verify

        return verify(
            args.files,
            key=args.key,
            summaries=args.summaries,
            as_json=args.json,
            until=args.until,
            meta=args.meta,
        )
    if args.verb == "plan":
        from agent.desk.plan.run import run

        return run(args, _configuration_path(args.config))
    if args.verb == "review":
        from agent.desk.review.run import run as run_review

        return run_review(args, _configuration_path(args.config), _stop_on_signals)
    if args.verb == "enrol":
        from agent.uplink.enrol.run import enrol

        return enrol(
            args.bundle,
            args.folder,
            renew=args.renew,
            early=args.early,
            wait=args.wait,
            as_json=args.json,
        )
    path = _configuration_path(args.config)
    config = load(path) if path else AgentConfig()
    if args.verb in ("run", "perceive", "uplink", "update"):
        # The journal adds the time.
        logging.basicConfig(level=logging.INFO, format=f"{args.verb}: %(message)s")
        if own:
            _close_tracebacks(args.verb)
    if args.verb == "run":
        from agent.host.supervise import launched, supervise
        from agent.perceive.local_socket import remove

        if path and path.is_fifo():
            raise ConfigError(f"{path} is a pipe, which only one process can read. Name a file.")
        tail = ["--config", str(path)] if path else []
        folder = config.update.folder
        # In a user namespace, files owned by root appear to be owned by nobody.
        roots_file = config.privacy.profile is not None and config.privacy.profile_key is None
        sockets = [path for path in (config.content.socket, config.words.socket) if path]

        def tidy() -> None:
            for path in sockets:
                remove(path)

        return supervise(
            launched(folder, "perceive", *tail),
            launched(folder, "uplink", *tail),
            same_users=roots_file,
            cleanup=tidy,
            updates=_updates(config, tail),
        )
    if args.verb == "perceive":
        from agent.perceive.start import start_perceive

        return start_perceive(config, _stop_on_signals())
    if args.verb == "uplink":
        from agent.uplink.process import run_uplink

        return run_uplink(config, _stop_on_signals())
    if args.verb == "update":
        return _update(args, config)
    if args.verb == "inspect":
        from agent.desk.inspect import show

        return show(
            args.paths,
            config,
            as_json=args.json,
            crop=args.crop,
            min_score=args.min_score,
        )
    if args.verb == "aim":
        return _aim(args, config, own)
    if args.verb == "notice":
        from agent.desk.notice.run import notice

        return notice(config, args.out, language=args.language, as_json=args.json)
    if args.verb == "check":
        from agent.desk.check import main as check

        return check(config, as_json=args.json)
    print(as_toml(config), end="")
    return 0


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand; returns the exit code. An `AgentError` is one line on stderr."""
    set_up_streams()
    args = build_parser().parse_args(argv)
    try:
        check_folder()
        code = _dispatch(args, own=argv is None)
        sys.stdout.flush()
        return code
    except AgentError as error:
        print(f"fleeting {args.verb}: {one_line(error)}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of stdout has closed it.
        drop_output()
        return 0
    except OSError as error:
        if (says := said(error)) is None:
            raise
        drop_output()
        with contextlib.suppress(OSError):
            print(f"fleeting {args.verb}: {says}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
