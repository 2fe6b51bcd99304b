"""One process at a time changes a shard set, or several that agreed to share it."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from pathlib import Path

from dataset.shard_codec import ShardError
from render.closing import Closing
from render.errors import OutputError

LOGGER = logging.getLogger(__name__)

LOCK_NAME = ".lock"
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


class SetLock(Closing):
    """Holds the lock of a shard set; a context manager.

    The system gives the lock back when a process ends, however it ends. The file is removed by
    the last holder. On a file system without locks a warning is logged and nothing is refused.
    """

    def __init__(self, root: Path, *, shared: bool = False) -> None:
        """Take the lock.

        Args:
            root: the folder; made if missing.
            shared: whether others that share may hold it too.

        Raises:
            ShardError: another process holds it.
            OutputError: the folder cannot be written to.
        """
        self._path, self._root = root / LOCK_NAME, root
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        self._file = self._opened()
        try:
            fcntl.flock(self._file, kind | fcntl.LOCK_NB)
            # Whoever held it may have removed the file between opening and locking.
            while not self._is_current():
                os.close(self._file)
                self._file = self._opened()
                fcntl.flock(self._file, kind | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                LOGGER.warning("%s: file system without locks; start one process only", root)
                return
            os.close(self._file)
            raise ShardError(
                f"{root}: expected a shard set that no other process writes, found one that does "
                "(wait for it, or give another folder)"
            ) from error

    def _opened(self) -> int:
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            return os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise OutputError(
                f"{self._root}: expected a folder that can be written to, got: {error.strerror}"
            ) from error

    def _is_current(self) -> bool:
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        mine = os.fstat(self._file)
        return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)

    def close(self) -> None:
        """Give the lock back."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._path.unlink(missing_ok=True)
        except OSError:  # others hold it still
            pass
        finally:
            os.close(self._file)
