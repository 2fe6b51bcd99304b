"""A headless OpenGL context, on pyrender's EGL or OSMesa platform.

PyOpenGL binds itself to one platform at its first import, so nothing here imports it
before a context is asked for, and OpenGL is reached through `OffscreenContext.gl` alone.
"""

from __future__ import annotations

import ctypes.util
import os
from types import ModuleType, TracebackType
from typing import Any

from render.errors import ContextError

PLATFORM_VARIABLE = "PYOPENGL_PLATFORM"
APT_PACKAGES = "libegl1 libgl1 libgl1-mesa-dri libgles2"
_PLATFORMS = ("egl", "osmesa")


class OffscreenContext:
    """Owns an OpenGL context without a window; use it with `with`, or call `close`.

    Several may be open in one process; each user calls `make_current` before it draws.

    Attributes:
        gl: PyOpenGL's `OpenGL.GL` module, bound to the platform of this context.

    Raises:
        ContextError: no context can be made.
    """

    def __init__(self) -> None:
        name = _choose_platform()
        try:
            self._platform = _open_egl() if name == "egl" else _open_osmesa()
            from OpenGL import GL

            self.gl: ModuleType = GL
            self.renderer = GL.glGetString(GL.GL_RENDERER).decode()
        except Exception as error:  # PyOpenGL and drivers fail in many ways, all meaning the same
            raise ContextError(
                f"OpenGL: expected a headless context through {name.upper()}, got "
                f"{type(error).__name__}{f' ({error})' if str(error) else ''}; "
                f"on Debian or Ubuntu install it with: apt-get install {APT_PACKAGES}"
            ) from error
        self._is_egl = name == "egl"
        self._open = True

    def make_current(self) -> None:
        """Make this the context that OpenGL calls of this thread go to.

        Raises:
            ContextError: the context was closed.
        """
        if not self._open:
            raise ContextError("OpenGL: expected an open context, got one that was closed")
        self._platform.make_current()

    def close(self) -> None:
        """Give the context back; closing twice is harmless."""
        if not self._open:
            return
        self._open = False
        if not self._is_egl:
            self._platform.delete_context()
            return
        # pyrender's delete_context also terminates the display, which would end
        # every other context of this process.
        from OpenGL import EGL

        display, context = self._platform._egl_display, self._platform._egl_context
        EGL.eglMakeCurrent(display, EGL.EGL_NO_SURFACE, EGL.EGL_NO_SURFACE, EGL.EGL_NO_CONTEXT)
        EGL.eglDestroyContext(display, context)

    def __enter__(self) -> OffscreenContext:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _choose_platform() -> str:
    """Return the platform the user asked for, else EGL where the library is, else OSMesa."""
    asked = os.environ.get(PLATFORM_VARIABLE)
    if asked is None:
        name = "egl" if ctypes.util.find_library("EGL") else "osmesa"
        if name == "osmesa" and not ctypes.util.find_library("OSMesa"):
            raise ContextError(
                "OpenGL: expected the system library EGL (or OSMesa), found neither; "
                f"on Debian or Ubuntu install it with: apt-get install {APT_PACKAGES}"
            )
        os.environ[PLATFORM_VARIABLE] = name
        return name
    if asked not in _PLATFORMS:
        raise ContextError(
            f"{PLATFORM_VARIABLE}: expected egl or osmesa for a headless OpenGL context, "
            f"got {asked!r}; unset it, and on Debian or Ubuntu "
            f"install the libraries with: apt-get install {APT_PACKAGES}"
        )
    return asked


def _open_egl() -> Any:
    from pyrender.platforms import egl

    devices = [egl.get_default_device()] if egl._eglQueryDevicesEXT is None else egl.query_devices()
    failure: Exception = RuntimeError("no EGL device")
    # A machine can list graphics cards that this user may not open before the software device.
    for device in devices:
        platform = egl.EGLPlatform(1, 1, device=device)
        try:
            platform.init_context()
            return platform
        except Exception as error:
            failure = error
    raise failure


def _open_osmesa() -> Any:
    from pyrender.platforms.osmesa import OSMesaPlatform

    platform = OSMesaPlatform(1, 1)
    platform.init_context()
    platform.make_current()
    return platform
