"""The framebuffers that a view is drawn into, and reading them back."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

_SAMPLES = 4


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels: first column and row (0 is the top row), width and height."""

    left: int
    top: int
    width: int
    height: int

    @property
    def rows(self) -> slice:
        """The rows as a slice."""
        return slice(self.top, self.top + self.height)

    @property
    def columns(self) -> slice:
        """The columns as a slice."""
        return slice(self.left, self.left + self.width)

    def doubled(self) -> Box:
        """The same rectangle in an image of twice the size."""
        return Box(self.left * 2, self.top * 2, self.width * 2, self.height * 2)


class Targets:
    """Framebuffers for one resolution, in the context that is current.

    What is seen has R32UI (triangle numbers) with a 32-bit float depth; a side has RGBA8
    (albedo, reliability) and RGBA32F (normal, ray distance). Coverage is drawn at twice the
    resolution with several samples a pixel.
    """

    def __init__(self, gl: ModuleType, resolution: int) -> None:
        self.resolution = resolution
        self._gl = gl
        self._buffers: list[int] = []
        self._framebuffers: list[int] = []
        samples = min(_SAMPLES, int(gl.glGetIntegerv(gl.GL_MAX_SAMPLES)))
        self.visible_texture = self._texture(
            gl.GL_R32UI, gl.GL_RED_INTEGER, gl.GL_UNSIGNED_INT, resolution
        )
        self._visible = self._textured_framebuffer(self.visible_texture)
        depth = self._buffer(gl.GL_DEPTH_COMPONENT32F, resolution)
        gl.glFramebufferRenderbuffer(
            gl.GL_FRAMEBUFFER, gl.GL_DEPTH_ATTACHMENT, gl.GL_RENDERBUFFER, depth
        )
        self._check()
        self._side = self._framebuffer(
            self._buffer(gl.GL_RGBA8, resolution), self._buffer(gl.GL_RGBA32F, resolution)
        )
        self._check()
        self._samples = self._framebuffer(self._buffer(gl.GL_R8, resolution * 2, samples))
        self._check()
        self.doubled_texture = self._texture(
            gl.GL_R8, gl.GL_RED, gl.GL_UNSIGNED_BYTE, resolution * 2
        )
        self._doubled = self._textured_framebuffer(self.doubled_texture)
        self._check()
        self._coverage = self._framebuffer(self._buffer(gl.GL_R8, resolution))
        self._check()

    def begin_visible(self, box: Box, is_back: bool) -> None:
        """Clear the box and set the depth test for the nearest or the farthest surface."""
        gl = self._gl
        self._bind(self._visible, box, self.resolution)
        # Rows run downwards in our images, which turns the winding around.
        gl.glFrontFace(gl.GL_CW)
        gl.glEnable(gl.GL_DEPTH_TEST)
        gl.glDepthFunc(gl.GL_GREATER if is_back else gl.GL_LESS)
        gl.glClearBufferuiv(gl.GL_COLOR, 0, np.zeros(4, dtype=np.uint32))
        gl.glClearBufferfv(gl.GL_DEPTH, 0, np.array([0.0 if is_back else 1.0], np.float32))

    def begin_side(self, box: Box) -> None:
        """Clear the box for a pass over its pixels."""
        gl = self._gl
        self._bind(self._side, box, self.resolution)
        gl.glClear(gl.GL_COLOR_BUFFER_BIT)

    def read_side(self, box: Box) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Return (h, w, 4) uint8 and (h, w, 4) float32 of the box."""
        gl = self._gl
        gl.glBindFramebuffer(gl.GL_FRAMEBUFFER, self._side)
        albedo = np.empty((box.height, box.width, 4), dtype=np.uint8)
        geometry = np.empty((box.height, box.width, 4), dtype=np.float32)
        self._read(box, gl.GL_COLOR_ATTACHMENT0, gl.GL_RGBA, gl.GL_UNSIGNED_BYTE, albedo)
        self._read(box, gl.GL_COLOR_ATTACHMENT1, gl.GL_RGBA, gl.GL_FLOAT, geometry)
        return albedo, geometry

    def begin_coverage(self, box: Box) -> None:
        """Clear the samples of the box; what is drawn next covers them."""
        gl = self._gl
        self._bind(self._samples, box.doubled(), self.resolution * 2)
        gl.glEnable(gl.GL_MULTISAMPLE)
        gl.glClear(gl.GL_COLOR_BUFFER_BIT)

    def resolve_coverage(self, box: Box) -> None:
        """Average the samples, and prepare the pass that halves the image."""
        gl = self._gl
        wide = box.doubled()
        ends = (wide.left, wide.top, wide.left + wide.width, wide.top + wide.height)
        gl.glBindFramebuffer(gl.GL_READ_FRAMEBUFFER, self._samples)
        gl.glBindFramebuffer(gl.GL_DRAW_FRAMEBUFFER, self._doubled)
        gl.glBlitFramebuffer(*ends, *ends, gl.GL_COLOR_BUFFER_BIT, gl.GL_NEAREST)
        self._bind(self._coverage, box, self.resolution)

    def read_coverage(self, box: Box) -> NDArray[np.uint8]:
        """Return (h, w) uint8 of the box."""
        gl = self._gl
        gl.glBindFramebuffer(gl.GL_FRAMEBUFFER, self._coverage)
        coverage = np.empty((box.height, box.width), dtype=np.uint8)
        self._read(box, gl.GL_COLOR_ATTACHMENT0, gl.GL_RED, gl.GL_UNSIGNED_BYTE, coverage)
        return coverage

    def release(self) -> None:
        """Give the memory back."""
        gl = self._gl
        gl.glDeleteFramebuffers(len(self._framebuffers), self._framebuffers)
        gl.glDeleteRenderbuffers(len(self._buffers), self._buffers)
        gl.glDeleteTextures([self.visible_texture, self.doubled_texture])

    def _bind(self, framebuffer: int, box: Box, resolution: int) -> None:
        gl = self._gl
        gl.glBindFramebuffer(gl.GL_FRAMEBUFFER, framebuffer)
        gl.glViewport(0, 0, resolution, resolution)
        for switch in (gl.GL_CULL_FACE, gl.GL_BLEND, gl.GL_DEPTH_TEST):
            gl.glDisable(switch)
        gl.glEnable(gl.GL_SCISSOR_TEST)
        gl.glScissor(box.left, box.top, box.width, box.height)
        gl.glClearColor(0.0, 0.0, 0.0, 0.0)

    def _read(
        self, box: Box, attachment: int, layout: int, kind: int, into: NDArray[np.generic]
    ) -> None:
        gl = self._gl
        if not into.size:
            return
        gl.glReadBuffer(attachment)
        gl.glPixelStorei(gl.GL_PACK_ALIGNMENT, 1)
        gl.glReadPixels(box.left, box.top, box.width, box.height, layout, kind, into)

    def _buffer(self, layout: int, size: int, samples: int = 0) -> int:
        gl = self._gl
        buffer = int(gl.glGenRenderbuffers(1))
        self._buffers.append(buffer)
        gl.glBindRenderbuffer(gl.GL_RENDERBUFFER, buffer)
        gl.glRenderbufferStorageMultisample(gl.GL_RENDERBUFFER, samples, layout, size, size)
        return buffer

    def _texture(self, layout: int, channels: int, kind: int, size: int) -> int:
        gl = self._gl
        texture = int(gl.glGenTextures(1))
        gl.glBindTexture(gl.GL_TEXTURE_2D, texture)
        gl.glTexImage2D(gl.GL_TEXTURE_2D, 0, layout, size, size, 0, channels, kind, None)
        gl.glTexParameteri(gl.GL_TEXTURE_2D, gl.GL_TEXTURE_MIN_FILTER, gl.GL_NEAREST)
        gl.glTexParameteri(gl.GL_TEXTURE_2D, gl.GL_TEXTURE_MAG_FILTER, gl.GL_NEAREST)
        return texture

    def _textured_framebuffer(self, texture: int) -> int:
        gl = self._gl
        framebuffer = self._framebuffer()
        gl.glFramebufferTexture2D(
            gl.GL_FRAMEBUFFER, gl.GL_COLOR_ATTACHMENT0, gl.GL_TEXTURE_2D, texture, 0
        )
        return framebuffer

    def _framebuffer(self, *colours: int) -> int:
        gl = self._gl
        framebuffer = int(gl.glGenFramebuffers(1))
        self._framebuffers.append(framebuffer)
        gl.glBindFramebuffer(gl.GL_FRAMEBUFFER, framebuffer)
        attachments = [gl.GL_COLOR_ATTACHMENT0 + place for place in range(len(colours))]
        for attachment, buffer in zip(attachments, colours, strict=True):
            gl.glFramebufferRenderbuffer(gl.GL_FRAMEBUFFER, attachment, gl.GL_RENDERBUFFER, buffer)
        if attachments:
            gl.glDrawBuffers(len(attachments), attachments)
        return framebuffer

    def _check(self) -> None:
        gl = self._gl
        status = gl.glCheckFramebufferStatus(gl.GL_FRAMEBUFFER)
        if status != gl.GL_FRAMEBUFFER_COMPLETE:
            raise RuntimeError(f"framebuffer: expected it complete, got status {status:#x}")
