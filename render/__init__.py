"""One mesh becomes pixels: mesh, camera, two-sided rasteriser, lights, backgrounds."""
