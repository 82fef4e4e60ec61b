"""Classic BPF programs for seccomp(2): rules of one system call, and the search for its number.

Arguments are compared as 32-bit integers, as the kernel reads most of them; pointers in both
halves.

Sources: linux/seccomp.h, linux/audit.h, linux/bpf_common.h.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping, Sequence

from agent.host.sandbox._numbers import NEWEST, NUMBERS

Instruction = tuple[int, int, int, int]
"""struct sock_filter: code, jump if true, jump if false, k."""
Rule = tuple[Instruction, ...]
"""What happens to one system call; its last instruction returns."""

_LOAD, _AND, _JUMP, _RETURN = 0x20, 0x54, 0x05, 0x06
_EQUAL, _AT_LEAST, _ANY_BIT = 0x15, 0x35, 0x45
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16
"""Offsets in struct seccomp_data."""
_MAX_JUMP = 255
_ALLOWED = (_RETURN, 0, 0, 0x7FFF0000)
_REFUSED = (_RETURN, 0, 0, 0x00050000 | errno.EPERM)
_NOT_THERE = (_RETURN, 0, 0, 0x00050000 | errno.ENOSYS)
ALLOW: Rule = (_ALLOWED,)
REFUSE: Rule = (_REFUSED,)
"""EPERM."""
ABSENT: Rule = (_NOT_THERE,)
"""ENOSYS, as from an older kernel: the C library does without."""

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000
"""The x32 calls of x86_64 have numbers from here on; aarch64 has none there."""


def only(argument: int, *values: int) -> Rule:
    """Allowed where the argument is one of `values`."""
    return (*require(argument, *values), _ALLOWED)


def require(argument: int, *values: int) -> Rule:
    """Go on where the argument is one of `values`, else refuse. No whole rule."""
    return (_load(argument), *_require_loaded(values))


def require_null(argument: int) -> Rule:
    """Go on where the pointer is null in both halves, else refuse. No whole rule."""
    upper = (_LOAD, 0, 0, _ARGUMENTS + 8 * argument + 4)
    return (*require(argument, 0), upper, *_require_loaded([0]))


def require_masked(argument: int, mask: int, *values: int) -> Rule:
    """Go on where the argument's bits in `mask` are one of `values`. No whole rule."""
    return (_load(argument), (_AND, 0, 0, mask), *_require_loaded(values))


def refuse_values(argument: int, values: Sequence[int]) -> Rule:
    """Refuse where the argument is one of `values`, else go on. No whole rule."""
    checks = [each for value in values for each in ((_EQUAL, 0, 1, value), _REFUSED)]
    return (_load(argument), *checks)


def refuse_bits(argument: int, bits: int) -> Rule:
    """Refuse where the argument has one of `bits`, else go on. No whole rule."""
    return (_load(argument), (_ANY_BIT, 0, 1, bits), _REFUSED)


def branch(argument: int, cases: Mapping[int, Rule]) -> Rule:
    """One rule for each value of the argument; others are refused."""
    program: list[Instruction] = [_load(argument)]
    for value, rule in cases.items():
        program += [(_EQUAL, 0, len(rule), value), *rule]
    return (*program, _REFUSED)


def either(argument: int, values: Iterable[int], rest: Rule) -> Rule:
    """Allowed where the argument is one of `values`, else by `rest`."""
    checks = [each for value in values for each in ((_EQUAL, 0, 1, value), _ALLOWED)]
    return (_load(argument), *checks, *rest)


def assemble(machine: str, rules: Mapping[str, Rule]) -> list[Instruction]:
    """The filter. `rules`: by name of the call; names that this processor has not are passed over.

    A call without a rule, and a number without a name, is refused with EPERM; a number above the
    newest known fails with ENOSYS; calls of another architecture are refused.
    """
    numbers = NUMBERS[machine]
    by_number = {numbers[name]: rule for name, rule in rules.items() if name in numbers}
    verdicts: list[tuple[int, Rule]] = []
    """(first number, rule), up to the next first number."""
    for number in range(NEWEST + 1):
        rule = by_number.get(number, REFUSE)
        if not verdicts or verdicts[-1][1] != rule:
            verdicts.append((number, rule))
    verdicts.append((NEWEST + 1, ABSENT))
    if machine == "x86_64":
        verdicts.append((_X32, REFUSE))
    start: list[Instruction] = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, AUDIT_ARCH[machine]), _REFUSED]
    return [*start, (_LOAD, 0, 0, _NUMBER), *_search(verdicts)]


def _search(verdicts: Sequence[tuple[int, Rule]]) -> list[Instruction]:
    """A balanced tree, so that no call waits for the comparisons of all others. From Linux 5.11 the
    kernel does not run it at all for calls that are allowed whatever their arguments."""
    if len(verdicts) == 1:
        return list(verdicts[0][1])
    middle = len(verdicts) // 2
    below, above = _search(verdicts[:middle]), _search(verdicts[middle:])
    first = verdicts[middle][0]
    if len(below) <= _MAX_JUMP:
        return [(_AT_LEAST, len(below), 0, first), *below, *above]
    return [(_AT_LEAST, 0, 1, first), (_JUMP, 0, 0, len(below)), *below, *above]


def _load(argument: int) -> Instruction:
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * argument)


def _require_loaded(values: Sequence[int]) -> Rule:
    count = len(values)
    return (*((_EQUAL, count - i, 0, value) for i, value in enumerate(values)), _REFUSED)
