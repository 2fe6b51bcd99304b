"""A headless OpenGL context, on pyrender's EGL or OSMesa platform.

Chosen in this order: a graphics card through EGL, software through EGL, OSMesa (software).
The environment overrides: PYOPENGL_PLATFORM=egl or osmesa, and EGL_DEVICE_ID=N for the N-th
device that EGL lists.

PyOpenGL binds itself to one platform at its first import, so nothing here imports it
before a context is asked for, and OpenGL is reached through `OffscreenContext.gl` alone.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import logging
import os
from types import ModuleType
from typing import Any

from render.closing import Closing
from render.errors import ContextError

LOGGER = logging.getLogger(__name__)

PLATFORM_VARIABLE = "PYOPENGL_PLATFORM"
DEVICE_VARIABLE = "EGL_DEVICE_ID"
APT_PACKAGES = "libegl1 libgl1 libgl1-mesa-dri libgles2"
_PLATFORMS = ("egl", "osmesa")
_EGL_PLATFORM_DEVICE = 0x313F
_EGL_EXTENSIONS = 0x3055
_SOFTWARE_DEVICE = b"EGL_MESA_device_software"
_MOST_DEVICES = 64


class OffscreenContext(Closing):
    """Owns an OpenGL context without a window; use it with `with`, or call `close`.

    Several may be open in one process; each user calls `make_current` before it draws.

    Attributes:
        gl: PyOpenGL's `OpenGL.GL` module, bound to the platform of this context.
        description: what draws, and through which platform, for logs.

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
        except ContextError:
            raise
        except Exception as error:  # PyOpenGL and drivers fail in many ways, all meaning the same
            raise ContextError(
                f"OpenGL: expected a headless context through {name.upper()}, got "
                f"{type(error).__name__}{f' ({error})' if str(error) else ''}; "
                f"on Debian or Ubuntu install it with: apt-get install {APT_PACKAGES}"
            ) from error
        self._is_egl = name == "egl"
        self._open = True
        self.description = f"{self.renderer} through {'EGL' if self._is_egl else 'OSMesa'}"
        LOGGER.info("OpenGL: %s", self.description)

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


def _choose_platform() -> str:
    """Return the platform the user asked for, else EGL where it has a device, else OSMesa."""
    asked = os.environ.get(PLATFORM_VARIABLE)
    if asked is None:
        name = "egl" if DEVICE_VARIABLE in os.environ or _egl_has_display() else "osmesa"
        if name == "osmesa" and not ctypes.util.find_library("OSMesa"):
            raise ContextError(
                "OpenGL: expected the system library EGL with a driver (or OSMesa), found "
                f"neither; on Debian or Ubuntu install it with: apt-get install {APT_PACKAGES}"
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


def _egl_has_display() -> bool:
    """Whether EGL can be started on a device; asked without PyOpenGL, which binds itself."""
    library = ctypes.util.find_library("EGL")
    if library is None:
        return False
    egl = ctypes.CDLL(library)
    egl.eglGetProcAddress.restype = egl.eglGetDisplay.restype = ctypes.c_void_p
    egl.eglInitialize.argtypes = [ctypes.c_void_p] * 3
    query = egl.eglGetProcAddress(b"eglQueryDevicesEXT")
    display_of = egl.eglGetProcAddress(b"eglGetPlatformDisplayEXT")
    if not query or not display_of:
        return bool(egl.eglInitialize(egl.eglGetDisplay(None), None, None))
    devices, count = (ctypes.c_void_p * _MOST_DEVICES)(), ctypes.c_int()
    pointer = ctypes.c_void_p
    list_devices = ctypes.CFUNCTYPE(ctypes.c_uint, ctypes.c_int, pointer, pointer)(query)
    get_display = ctypes.CFUNCTYPE(pointer, ctypes.c_int, pointer, pointer)(display_of)
    if not list_devices(_MOST_DEVICES, devices, ctypes.addressof(count)):
        return False
    return any(
        egl.eglInitialize(get_display(_EGL_PLATFORM_DEVICE, device, None), None, None)
        for device in devices[: count.value]
    )


def _open_egl() -> Any:
    from pyrender.platforms import egl

    devices = [egl.get_default_device()] if egl._eglQueryDevicesEXT is None else egl.query_devices()
    asked = os.environ.get(DEVICE_VARIABLE)
    if asked is not None:
        if not asked.isdecimal() or int(asked) >= len(devices):
            raise ContextError(
                f"{DEVICE_VARIABLE}: expected a number below {len(devices)}, the number of "
                f"devices that EGL lists, got {asked!r}"
            )
        devices = [devices[int(asked)]]
    failure: Exception = RuntimeError("no EGL device")
    # A machine can list graphics cards that this user may not open.
    for device in sorted(devices, key=_is_software):
        platform = egl.EGLPlatform(1, 1, device=device)
        try:
            platform.init_context()
            return platform
        except Exception as error:
            failure = error
    raise failure


def _is_software(device: Any) -> bool:
    from pyrender.platforms import egl

    if device._display is None or egl._eglQueryDeviceStringEXT is None:
        return False
    return _SOFTWARE_DEVICE in (
        egl._eglQueryDeviceStringEXT(device._display, _EGL_EXTENSIONS) or b""
    )


def _open_osmesa() -> Any:
    from pyrender.platforms.osmesa import OSMesaPlatform

    platform = OSMesaPlatform(1, 1)
    platform.init_context()
    platform.make_current()
    return platform
