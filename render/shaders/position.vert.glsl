#version 330 core
layout(location = 0) in vec3 position;
uniform mat4 camera_from_mesh;
uniform mat4 clip_from_camera;

void main() {
    // One program text for both passes, so that they rasterise the same silhouette.
    vec4 in_camera = camera_from_mesh * vec4(position, 1.0);
    gl_Position = clip_from_camera * in_camera;
}
