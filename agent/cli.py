"""The command line `fleeting`; each subcommand imports its own libraries. Where a verb takes many
arguments, its room says them, in `arguments.py`."""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from agent import __version__
from agent.base.config import AgentConfig, as_toml, load
from agent.base.errors import AgentError, ConfigError, StoreError
from agent.base.names import one_line
from agent.desk.films import arguments as report_arguments
from agent.desk.plan import arguments as plan_arguments
from agent.desk.receipt import arguments as receipt_arguments
from agent.update import arguments as update_arguments
from agent.uplink.enrol import arguments as enrol_arguments

if TYPE_CHECKING:
    from agent.host.supervise import Updates

_EVENT_FILES = ".eaf (ELAN), .boris (BORIS), .tsv (BIDS) or .csv"
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
        verb = verbs.add_parser(name, help=text, description=text)
        _add_config(verb)

    demo = verbs.add_parser(
        "demo", help="play the bundled clip through everything, on this machine"
    )
    demo.add_argument("--plot", type=Path, default=Path("fleeting-demo.png"), metavar="OUT.png")
    demo.add_argument("--json", action="store_true", help="print what arrived as JSON")
    demo.add_argument(
        "--model-set",
        choices=("research", "clean"),
        default="research",
        help="clean: models trained only on sources whose terms allow any use",
    )

    replay = verbs.add_parser("replay", help="run a video file through perception; opens no socket")
    replay.add_argument("video", type=Path)
    replay.add_argument("--json", action="store_true", help="one summary per window, as published")
    replay.add_argument(
        "--events", action="store_true", help="with --json: also one line per micro-expression"
    )
    replay.add_argument(
        "--readings",
        action="store_true",
        help="with --json: also one line per tone of voice, and per reading of all channels",
    )
    replay.add_argument("--plot", type=Path, metavar="OUT.png", help="draw the timeline")
    replay.add_argument("--trace", type=Path, metavar="OUT.npz", help="write per-frame arrays")
    replay.add_argument(
        "--window", type=int, choices=(10, 60, 300, 900, 3600), help="seconds per summary"
    )
    _add_export(replay)
    replay.add_argument(
        "--frames",
        type=Path,
        metavar="OUT.csv",
        help="a row per face and frame, as OpenFace 2 names",
    )
    replay.add_argument(
        "--landmarks", action="store_true", help="with --frames: also the landmarks, which identify"
    )
    _add_config(replay)

    report = verbs.add_parser(
        "report", help="films, or folders of them, as pages, tables and an index; opens no socket"
    )
    report_arguments.add_arguments(report)
    _add_config(report)

    spot = verbs.add_parser("spot", help="micro-expressions in a landmark track of your own")
    spot.add_argument(
        "track",
        type=Path,
        metavar="TRACK",
        help=".npz: timestamps [T] in s, landmarks [T, 68, 2] in px, iBUG order, confidence [T]; "
        ".csv: of OpenFace 2 or py-feat",
    )
    _add_export(spot)
    spot.add_argument("--fps", type=float, metavar="X", help="of a table that counts in frames")
    spot.add_argument("--face", metavar="ID", help="of a table with several")
    spot.add_argument("--json", action="store_true", help="one line per event, the last: counts")
    spot.add_argument("--render", type=Path, metavar="OUT.png", help="draw channels and events")
    spot.add_argument(
        "--threshold", type=float, metavar="X", help="instead of micro.threshold's default"
    )

    convert = verbs.add_parser(
        "convert", help="coded facial events from one program's file to another's"
    )
    convert.add_argument("source", type=Path, metavar="IN")
    convert.add_argument("target", type=Path, metavar="OUT", help=_EVENT_FILES)
    convert.add_argument("--fps", type=float, metavar="X", help="of a table that counts in frames")
    convert.add_argument("--film", default="", help="name of the video that was coded")
    convert.add_argument("--json", action="store_true", help="print what was converted as JSON")

    listen = verbs.add_parser("listen", help="speech and tone of voice in a sound or video file")
    listen.add_argument("files", type=Path, nargs="+", metavar="FILE")
    listen.add_argument("--json", action="store_true", help="one line per stretch of speech")
    listen.add_argument("--plot", type=Path, metavar="OUT.png", help="draw the timeline")
    _add_config(listen)

    inspect = verbs.add_parser("inspect", help="what the models see in pictures")
    inspect.add_argument("paths", type=Path, nargs="+", metavar="IMAGE_OR_FOLDER")
    inspect.add_argument("--json", action="store_true", help="one JSON line per picture")
    inspect.add_argument("--crop", action="store_true", help="each picture is one cropped face")
    inspect.add_argument(
        "--min-score",
        type=float,
        metavar="S",
        help="list every face whose score is at least S; by default only the certain ones",
    )
    _add_config(inspect)

    check = verbs.add_parser(
        "check", help="camera, microphone, models, broker, clock, disk, sandbox"
    )
    check.add_argument("--json", action="store_true")
    _add_config(check)

    aim = verbs.add_parser(
        "aim", help="where to put the camera: faces drawn as lines, never pixels, and a score"
    )
    aim.add_argument("video", type=Path, nargs="?", help="a film in place of the camera")
    aim.add_argument("--seconds", type=float, metavar="S", help="end after so many seconds")
    aim.add_argument("--json", action="store_true", help="print the score as JSON at the end")
    _add_config(aim)

    audit = verbs.add_parser(
        "audit", help="play a video through both processes and search all that leaves for pictures"
    )
    audit.add_argument("video", type=Path)
    audit.add_argument("--json", action="store_true", help="print the report as JSON")
    audit.add_argument("--keep", type=Path, metavar="FOLDER", help="keep what was recorded")

    notice = verbs.add_parser(
        "notice", help="a sign for the door, and a page that says what leaves this box"
    )
    notice.add_argument("--out", type=Path, default=Path("fleeting-notice"), metavar="FOLDER")
    notice.add_argument("--language", choices=("en", "de", "fr", "es"))
    notice.add_argument("--json", action="store_true", help="print what was written as JSON")
    _add_config(notice)

    receipt = verbs.add_parser("receipt", help="the daily signed receipts")
    receipt_arguments.add_arguments(receipt)

    plan = verbs.add_parser("plan", help="how many days of noised numbers tell a difference")
    plan_arguments.add_arguments(plan)
    _add_config(plan)

    update = verbs.add_parser("update", help="signed updates of the package and its models")
    update_arguments.add_arguments(update)
    _add_config(update)

    enrol = verbs.add_parser("enrol", help="get this device its certificate, from its fleet")
    enrol_arguments.add_arguments(enrol)

    config = verbs.add_parser("config", help="the configuration")
    config.add_argument("action", choices=("show",), help="print every key with its value as TOML")
    _add_config(config)
    return parser


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--export",
        type=Path,
        metavar="OUT",
        help=f"the micro-expressions as coded events: {_EVENT_FILES}",
    )


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
    for stream in (sys.stdout, sys.stderr):
        # What the terminal's encoding lacks is escaped: a name must not end a run.
        with contextlib.suppress(AttributeError, io.UnsupportedOperation):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    args = build_parser().parse_args(argv)
    try:
        return _dispatch(args, own=argv is None)
    except AgentError as error:
        print(f"fleeting {args.verb}: {one_line(error)}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of stdout has closed it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0


if __name__ == "__main__":
    sys.exit(main())
