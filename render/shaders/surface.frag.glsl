#version 330 core
// One side of the G-buffer: albedo with reliability in alpha, normal with ray distance in alpha.
const int TEXTURED = 1;
const int VERTEX_COLOURED = 2;
const float LEAST_FACING = 1e-3;
in vec3 camera_position;
in vec3 camera_normal;
in vec2 texture_uv;
in vec3 linear_colour;
uniform int colour_source;
uniform vec3 base_colour;
uniform sampler2D colour_texture;
uniform bool is_back;
layout(location = 0) out vec4 albedo;
layout(location = 1) out vec4 normal_and_distance;

vec3 srgb_from_linear(vec3 c) {
    c = clamp(c, 0.0, 1.0);
    return mix(1.055 * pow(c, vec3(1.0 / 2.4)) - 0.055, c * 12.92, vec3(lessThanEqual(c, vec3(0.0031308))));
}

void main() {
    vec3 colour = base_colour;
    if (colour_source == TEXTURED) colour = texture(colour_texture, texture_uv).rgb;
    if (colour_source == VERTEX_COLOURED) colour = linear_colour;
    bool reliable = gl_FrontFacing != is_back;
    albedo = vec4(srgb_from_linear(colour), reliable ? 1.0 : 0.5);

    float ray_distance = length(camera_position);
    vec3 wanted = camera_position / (is_back ? ray_distance : -ray_distance);
    vec3 normal = normalize(reliable ? camera_normal : -camera_normal);
    // Interpolated normals lean over the horizon close to the silhouette.
    float facing = dot(normal, wanted);
    if (!(facing >= LEAST_FACING)) {
        vec3 level = normal - facing * wanted;
        float size = length(level);
        normal = size > 0.0 ? normalize(level / size + LEAST_FACING * wanted) : wanted;
    }
    normal_and_distance = vec4(normal, ray_distance);
}
