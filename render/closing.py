"""What holds memory of a driver, or a file, and gives it back."""

from __future__ import annotations

from typing import Self


class Closing:
    """Has a `close`, which `with` calls at the end whatever happens."""

    def close(self) -> None:
        """Give back what is held; for the class itself to say."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
