"""The errors that are the user's to mend, as opposed to bugs.

Command lines print them as one sentence and exit with status 2; anything else
is a defect of the toolkit and keeps its traceback.
"""

from __future__ import annotations


class UserInputError(ValueError):
    """Something the user gave is not usable; the message names it, what was expected and found."""


class ScanError(UserInputError):
    """A scan, its texture or its joints cannot be used."""


class OutputError(UserInputError):
    """A folder cannot be written to; what comes after would fail as well."""


class ContextError(UserInputError):
    """No OpenGL context can be made on this machine."""
