"""What a shell hands over, and may lack: standard streams, a working folder, room to write."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys

from agent.base.errors import ConfigError

_FULL = "There is no room for what is written ({}). Make room, or write elsewhere."
_OPEN = "Too many files are open ({}). Allow more, as by `ulimit -n 1024`."
_SAYS = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: _FULL,
    errno.EMFILE: _OPEN,
    errno.ENFILE: _OPEN,
}


def set_up_streams() -> None:
    """Before anything is opened: a standard stream that is closed leads to /dev/null, else the
    next file that is opened would get its number and what is printed. What a terminal's encoding
    lacks is escaped."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
        if getattr(sys, name) is None:
            mode = "r" if number == 0 else "w"
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115
        if number:
            with contextlib.suppress(AttributeError, io.UnsupportedOperation):
                getattr(sys, name).reconfigure(errors="backslashreplace")


def check_folder() -> None:
    """Raises `ConfigError` where the working folder was deleted: relative paths lead nowhere."""
    try:
        os.getcwd()
    except FileNotFoundError:
        raise ConfigError(
            "The folder that this was started in no longer exists. Change to another one (`cd`)."
        ) from None


def drop_output() -> None:
    """What is still to be printed goes nowhere: Python would try again at its end."""
    with contextlib.suppress(OSError):  # there may be no number left
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, 1)
        os.close(descriptor)


def said(error: OSError) -> str | None:
    """What happened and what to do, of errors of the machine that can strike anywhere."""
    says = _SAYS.get(error.errno or 0)
    return says.format(error.strerror) if says else None
