#version 330 core
layout(location = 0) in vec3 position;
uniform mat4 camera_from_mesh;
uniform mat4 clip_from_camera;

void main() {
    // The same two steps as in surface.vert.glsl, so that both rasterise the same pixels.
    vec4 in_camera = camera_from_mesh * vec4(position, 1.0);
    gl_Position = clip_from_camera * in_camera;
}
