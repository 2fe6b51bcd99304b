#version 330 core
// Camera-frame attributes of the surface; colours are interpolated in linear light.
layout(location = 0) in vec3 position;
layout(location = 1) in vec3 normal;
layout(location = 2) in vec2 uv;
layout(location = 3) in vec3 colour;
uniform mat4 camera_from_mesh;
uniform mat3 normal_from_mesh;
uniform mat4 clip_from_camera;
out vec3 camera_position;
out vec3 camera_normal;
out vec2 texture_uv;
out vec3 linear_colour;

vec3 linear_from_srgb(vec3 c) {
    return mix(pow((c + 0.055) / 1.055, vec3(2.4)), c / 12.92, vec3(lessThanEqual(c, vec3(0.04045))));
}

void main() {
    vec4 in_camera = camera_from_mesh * vec4(position, 1.0);
    camera_position = in_camera.xyz;
    camera_normal = normal_from_mesh * normal;
    texture_uv = vec2(uv.x, 1.0 - uv.y);
    linear_colour = linear_from_srgb(colour);
    gl_Position = clip_from_camera * in_camera;
}
