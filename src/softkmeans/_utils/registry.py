"""Registries: the members of an extension point, by name."""

from __future__ import annotations

__all__ = ["Registry", "one_of"]

import inspect
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any, Generic, TypeVar, cast

from ..errors import InputError, Message, PythonOnly

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """The members of an extension point, such as the solvers, by name.

    Parameters
    ----------
    parameter : str
        The parameter that takes these names.
    interface : str
        The class of the members, as ``module:name``.
    members : dict of str to str
        The library's own members, as ``module:name``. The module is imported when the member is used, so that the names
        can be listed without importing anything.
    instances : bool, default=True
        If True, members are objects: a registered class is replaced by an object of it. If False, they are classes.
    unique : str, optional
        An attribute that is a collection of values, none of which two members may share.

    Examples
    --------
    >>> from softkmeans.distances import DISTANCES, Distance
    >>> class Cauchy(Distance):
    ...     name = "cauchy"
    ...     power = None
    ...     def of_squared(self, squared):
    ...         return squared.log1p()
    >>> DISTANCES.register("cauchy", Cauchy)
    >>> list(DISTANCES)
    ['sqeuclidean', 'euclidean', 'cosine', 'cauchy']
    >>> DISTANCES.unregister("cauchy")
    """

    def __init__(
        self,
        parameter: str,
        interface: str,
        members: Mapping[str, str],
        *,
        instances: bool = True,
        unique: str | None = None,
    ) -> None:
        self.parameter, self.interface, self.instances, self.unique = parameter, interface, instances, unique
        self._paths = dict(members)
        self._members = dict[str, T]()

    def register(self, name: str, member: Any) -> None:
        """Add a member; its name is then valid wherever the parameter is.

        Parameters
        ----------
        name : str
            A new name, without spaces, commas and colons. A new version of the same class may have the same name.
        member : object or class
            The member. If members are objects, a class is called without arguments.

        Raises
        ------
        InputError
            If the name is not valid or belongs to another class, or if the member is of another type or not unique.
        """
        if not isinstance(name, str) or not name or set(name) & set(" ,:\n\t"):
            raise InputError(
                f"can't be called {name!r}",
                parameter=self.parameter,
                hint="use a name without spaces, commas and colons",
            )
        checked = self._checked(name, member)
        if name in self and not (inspect.isclass(member) and self._is_new_version(name, member)):
            hint = "use another name" + ("" if name in self._paths else ", or unregister it first")
            raise InputError("is registered already", parameter=self.parameter, value=name, hint=hint)
        self._check_unique(name, checked)
        self._members[name] = checked

    def _check_unique(self, name: str, member: T) -> None:
        """Raise an InputError if another member has one of the values that must be unique."""
        if self.unique is None:
            return
        for other, known in self.items():
            shared = set(getattr(member, self.unique)) & set(getattr(known, self.unique))
            if shared and other != name:
                problem, hint = f"has {min(shared)!r}, which belongs to {other!r}", "use another one"
                raise InputError(problem, parameter=self.parameter, value=name, hint=hint)

    def _is_new_version(self, name: str, member: Any) -> bool:
        """Return whether a class is the same one again, as when a cell of a notebook is run twice."""
        if name in self._paths:
            return False
        known = self._members[name]
        kind = known if inspect.isclass(known) else type(known)
        return (kind.__module__, kind.__qualname__) == (member.__module__, member.__qualname__)

    def unregister(self, name: str) -> None:
        """Remove a member that was registered, for example at the end of a test.

        Parameters
        ----------
        name : str
            Name of a member that does not belong to the library.
        """
        if name in self._paths:
            problem, hint = "belongs to the library", "unregister only what was registered"
            raise InputError(problem, parameter=self.parameter, value=name, hint=hint)
        self._members.pop(name, None)

    def find(self, name: Any, otherwise: str = "") -> T:
        """Return the member with a name.

        Parameters
        ----------
        name : str
            The name.
        otherwise : str
            Other values that are valid in Python, for the message.

        Raises
        ------
        InputError
            If no member has this name.
        """
        if not isinstance(name, str) or name not in self:
            hint = Message(f"choose one of {', '.join(self)}", PythonOnly(otherwise))
            raise InputError("is not known", parameter=self.parameter, value=name, hint=hint)
        return self[name]

    def resolve(self, member: Any, otherwise: str = "") -> T:
        """Return a member as it is, or the one with a name.

        Parameters
        ----------
        member : str or object
            A name, or a member, registered or not.
        otherwise : str
            Other values that are valid in Python, for the message.

        Raises
        ------
        InputError
            If no member has this name.
        """
        if isinstance(member, str):  # first, as PyTorch traces this function
            return self.find(member, otherwise)
        interface = _imported(self.interface)
        if inspect.isclass(member) and issubclass(member, interface):
            hint = f"give an object of it, such as {member.__name__}(), or a registered name"
            raise InputError(f"is the class {member.__name__}", parameter=self.parameter, hint=hint)
        return member if isinstance(member, interface) else self.find(member, otherwise)

    def choices(self) -> str:
        """Return the names as part of a sentence: "adam, em or lbfgs"."""
        return one_of(self)

    def quoted(self) -> str:
        """Return the names as docstrings list them: ``{"adam", "em", "lbfgs"}``."""
        names = ", ".join(f'"{name}"' for name in self)
        return f"{{{names}}}"

    def name_of(self, member: object) -> str | None:
        """Return the name under which an object, or an equal one, is registered; None if it is not."""
        for name, known in self.items():
            if known is member or (type(known) is type(member) and _have_equal_fields(known, member)):
                return name
        return None

    def _checked(self, name: str, member: Any) -> T:
        interface = _imported(self.interface)
        is_class = inspect.isclass(member)
        if not (issubclass(member, interface) if is_class else isinstance(member, interface) and self.instances):
            got = f"the class {member.__name__}" if is_class else f"of type {type(member).__name__}"
            expected = f"a {interface.__name__}" if self.instances else f"a subclass of {interface.__name__}"
            raise InputError(f"is {got}", parameter=self.parameter, value=name, expected=expected)
        if not (is_class and self.instances):
            return cast(T, member)
        try:
            return cast(T, member())
        except TypeError as error:
            raise InputError(
                f"can't be made from the class {member.__name__} ({error})",
                parameter=self.parameter,
                value=name,
                hint=f"define its abstract methods, and register an object such as {member.__name__}(...)",
            ) from None

    def __getitem__(self, name: str) -> T:
        if name not in self._members:
            self._members[name] = self._checked(name, _imported(self._paths[name]))
        return self._members[name]

    def __contains__(self, name: object) -> bool:
        return name in self._paths or name in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self._paths, *self._members)))

    def __len__(self) -> int:
        return len({*self._paths, *self._members})


def one_of(names: Iterable[str]) -> str:
    """Return names as part of a sentence: "a, b or c"."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def _have_equal_fields(one: object, other: object) -> bool:
    """Return whether the fields of two objects are equal; fields that can't be compared, such as arrays, are not."""
    try:
        return bool(vars(one) == vars(other))
    except (RuntimeError, TypeError, ValueError):
        return False


def _imported(path: str) -> Any:
    """Return an attribute of a module of this package, given as ``module:name``."""
    module, name = path.split(":")
    return getattr(import_module(module), name)
