"""The exceptions and warnings of the package. A message names the value, what was expected, and what to do.

Messages are data: their parameters are `Setting` objects. Python writes them as ``n_clusters=0``, the command line as
``--n-clusters 0``.
"""

__all__ = [
    "CallbackError",
    "FileError",
    "FitInterrupted",
    "InputError",
    "Message",
    "MissingExtraError",
    "PerformanceWarning",
    "PythonOnly",
    "RankLostError",
    "Setting",
    "SharedError",
    "warn",
]

import sys
import warnings
from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple, Self


class _Missing(Enum):
    NO_VALUE = "no value"


_NO_VALUE: Any = _Missing.NO_VALUE  # None may be a value


class _Text(str):
    """The text of a value of another process, which is not quoted again."""

    __repr__ = str.__str__


_PLAIN = (str, bool, int, float, type(None), _Missing)  # types of values that can be sent to other processes


class Setting(NamedTuple):
    """A parameter in a message, with or without its value."""

    name: str
    value: Any = _NO_VALUE

    @property
    def has_value(self) -> bool:
        """True if the message gives the value, too."""
        return self.value is not _NO_VALUE

    def __str__(self) -> str:
        return f"{self.name}={self.value!r}" if self.has_value else self.name


class PythonOnly(NamedTuple):
    """A piece of a message for users of Python, such as a choice that only Python has.

    Attributes
    ----------
    text : str
        What Python shows.
    elsewhere : str or Setting
        What the command line shows in its place; by default nothing.
    """

    text: str
    elsewhere: str | Setting = ""

    def __str__(self) -> str:
        return self.text


class Message(str):
    """A text that keeps its parameters as data; as a string, it is the text that Python users see.

    Parameters
    ----------
    *parts : str, Setting, PythonOnly or Message
        The pieces of the text, in order.

    Examples
    --------
    >>> message = Message("lower ", Setting("n_clusters"), " or set ", Setting("init", "random"))
    >>> print(message)
    lower n_clusters or set init='random'
    >>> message.render(lambda setting: f"--{setting.name}")
    'lower --n_clusters or set --init'
    >>> Message("give a number", PythonOnly(" or an array")).render(str)
    'give a number'
    """

    parts: tuple[str | Setting | PythonOnly, ...]

    def __new__(cls, *parts: "str | Setting | PythonOnly") -> Self:  # noqa: D102 -- documented by the class
        flat = [inner for part in parts for inner in (part.parts if isinstance(part, Message) else (part,))]
        message = super().__new__(cls, "".join(map(str, flat)))
        message.parts = tuple(flat)
        return message

    def __reduce__(self) -> tuple[Any, ...]:
        return Message, self.parts

    def render(self, write_setting: Callable[[Setting], str]) -> str:
        """Return the text for the command line, with its parameters written by a function."""
        parts = [part.elsewhere if isinstance(part, PythonOnly) else part for part in self.parts]
        return "".join(write_setting(part) if isinstance(part, Setting) else part for part in parts)


class InputError(ValueError):
    """Invalid data or an invalid parameter.

    The message has the form ``parameter=value problem, expected ...: hint``, without the parts that are not given.

    Parameters
    ----------
    problem : str
        What is wrong.
    parameter : str, optional
        Name of the parameter.
    value : object, optional
        Value of the parameter.
    expected : str, optional
        What was expected.
    hint : str, optional
        What to do.

    Examples
    --------
    >>> print(InputError("is more than the 5 rows", parameter="n_clusters", value=8, hint="lower it"))
    n_clusters=8 is more than the 5 rows: lower it
    """

    def __init__(
        self,
        problem: str = "",
        *,
        parameter: str = "",
        value: Any = _NO_VALUE,
        expected: str = "",
        hint: str = "",
    ) -> None:
        self.parameter, self.value, self.problem, self.expected, self.hint = parameter, value, problem, expected, hint
        super().__init__(self.message)

    @property
    def message(self) -> Message:
        """The message as data, for the command line."""
        parts: list[str | Setting] = [Setting(self.parameter, self.value)] if self.parameter else []
        parts += [" ", self.problem] if parts and self.problem else [self.problem]
        if self.expected:
            parts += [", expected " if self.problem else ": expected ", self.expected]
        if self.hint:
            parts += [": ", self.hint]
        return Message(*parts)

    def about(self, parameter: str) -> Self:
        """Return the same error with another name for what it is about."""
        return type(self)(self.problem, parameter=parameter, value=self.value, expected=self.expected, hint=self.hint)

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors travel between processes. Of values that may not, the text does.
        value = self.value if isinstance(self.value, _PLAIN) else _Text(repr(self.value))
        fields = {"parameter": self.parameter, "value": value, "expected": self.expected, "hint": self.hint}
        return _input_error, (type(self), self.problem, fields)


class FileError(InputError):
    """A file that can't be used. The hint follows a semicolon, as a colon follows the name of the file."""

    @property
    def message(self) -> Message:
        """The message as data, for the command line."""
        problem = InputError(self.problem, parameter=self.parameter, value=self.value, expected=self.expected)
        return Message(problem.message, "; ", self.hint) if self.hint else problem.message


def _input_error(kind: type[InputError], problem: str, fields: dict[str, Any]) -> InputError:
    """Build an error from its fields, when it is unpickled."""
    return kind(problem, **fields)


class SharedError(InputError):
    """An error of one rank that was raised on all ranks."""


class RankLostError(RuntimeError):
    """Another rank ended or did not answer in time."""

    def __str__(self) -> str:
        cause = super().__str__()
        return f"another rank has ended, or did not answer within the timeout ({cause}): restart all ranks"


class MissingExtraError(ImportError):
    """A feature needs a package that is not installed; the message names what to install, an extra if there is one."""

    def __init__(self, feature: str, package: str, extra: str) -> None:
        super().__init__(feature, package, extra)

    def __str__(self) -> str:
        feature, package, extra = self.args
        return f"{feature} needs {package}: pip install " + (f"'softkmeans[{extra}]'" if extra else package)


class FitInterrupted(KeyboardInterrupt):
    """A fit was interrupted by Ctrl-C; ``result`` holds the best centers so far."""

    def __init__(self, result: Any) -> None:
        super().__init__(result)
        self.result = result

    def __str__(self) -> str:
        return "the fit was interrupted; the best centers so far are kept"


class CallbackError(RuntimeError):
    """A callback raised an exception, ``__cause__``, which stopped the fit; ``result`` is the best result so far."""

    def __init__(self, result: Any) -> None:
        super().__init__(result)
        self.result = result

    def __str__(self) -> str:
        return "a callback raised an exception, which stopped the fit; the best centers so far are kept"


class PerformanceWarning(UserWarning):
    """An operation is slower than it could be; issued once per process."""


def warn(message: str, category: type[Warning]) -> None:
    """Issue a warning that points to the line of the user's code that called the library."""
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] in ("softkmeans", "torch", "sklearn"):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
