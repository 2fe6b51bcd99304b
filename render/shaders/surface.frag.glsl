#version 330 core
// One side of the G-buffer, from the triangle seen in each pixel: albedo with reliability in
// alpha, normal with ray distance in alpha. Done once per pixel and not once per triangle,
// because scans have about as many triangles as the image has pixels.
const int VERTEX_COLOURED = 1;
const float LEAST_FACING = 1e-3;
uniform usampler2D visible;
uniform usamplerBuffer indices;
uniform usamplerBuffer layers;
uniform samplerBuffer positions;
uniform samplerBuffer normals;
uniform samplerBuffer uvs;
uniform usamplerBuffer colours;
uniform sampler2DArray colour_textures;
uniform mat4 camera_from_mesh;
uniform float resolution;
uniform float focal_px;
uniform bool orthographic;
uniform bool is_back;
uniform int colour_source;
uniform uint first_triangle;
uniform uint end_triangle;
layout(location = 0) out vec4 albedo;
layout(location = 1) out vec4 normal_and_distance;

vec3 fetch3(samplerBuffer source, int row) {
    return vec3(texelFetch(source, row * 3).r, texelFetch(source, row * 3 + 1).r,
        texelFetch(source, row * 3 + 2).r);
}

vec2 fetch2(samplerBuffer source, int row) {
    return vec2(texelFetch(source, row * 2).r, texelFetch(source, row * 2 + 1).r);
}

vec3 linear_from_srgb(vec3 c) {
    return mix(pow((c + 0.055) / 1.055, vec3(2.4)), c / 12.92, vec3(lessThanEqual(c, vec3(0.04045))));
}

vec3 srgb_from_linear(vec3 c) {
    c = clamp(c, 0.0, 1.0);
    return mix(1.055 * pow(c, vec3(1.0 / 2.4)) - 0.055, c * 12.92, vec3(lessThanEqual(c, vec3(0.0031308))));
}

vec3 colour_at(int row) {
    uint bytes4 = texelFetch(colours, row).r;
    return linear_from_srgb(vec3(bytes4 & 255u, (bytes4 >> 8) & 255u, (bytes4 >> 16) & 255u) / 255.0);
}

// Weights of the second and third corner where the ray of a pixel meets the triangle's plane.
vec2 weights(vec2 pixel, vec3 corner, vec3 edge_a, vec3 edge_b) {
    vec2 centred = (pixel - 0.5 * resolution) / focal_px;
    vec3 ray = vec3(centred.x, -centred.y, -1.0);
    if (orthographic) {
        corner.xy -= ray.xy;
        ray.xy = vec2(0.0);
    }
    vec3 crossed = cross(ray, edge_b);
    float volume = dot(edge_a, crossed);
    volume = abs(volume) < 1e-30 ? 1e-30 : volume;
    return vec2(-dot(corner, crossed), dot(ray, cross(edge_a, corner))) / volume;
}

vec2 inside(vec2 w) {
    w = clamp(w, 0.0, 1.0);
    return w / max(1.0, w.x + w.y);
}

void main() {
    uint seen = texelFetch(visible, ivec2(gl_FragCoord.xy), 0).r;
    uint triangle = (seen & 0x7fffffffu) - 1u;
    if (seen == 0u || triangle < first_triangle || triangle >= end_triangle) discard;
    bool reliable = (seen >> 31 == 1u) != is_back;

    ivec3 rows = ivec3(texelFetch(indices, int(triangle) * 3).r,
        texelFetch(indices, int(triangle) * 3 + 1).r, texelFetch(indices, int(triangle) * 3 + 2).r);
    vec3 corner = (camera_from_mesh * vec4(fetch3(positions, rows.x), 1.0)).xyz;
    vec3 edge_a = (camera_from_mesh * vec4(fetch3(positions, rows.y), 1.0)).xyz - corner;
    vec3 edge_b = (camera_from_mesh * vec4(fetch3(positions, rows.z), 1.0)).xyz - corner;
    vec2 exact = weights(gl_FragCoord.xy, corner, edge_a, edge_b);
    vec2 w = inside(exact);

    vec3 colour;
    if (colour_source != VERTEX_COLOURED) {
        vec2 uv = fetch2(uvs, rows.x);
        mat2 uv_edges = mat2(fetch2(uvs, rows.y) - uv, fetch2(uvs, rows.z) - uv);
        vec2 right = weights(gl_FragCoord.xy + vec2(1.0, 0.0), corner, edge_a, edge_b);
        vec2 down = weights(gl_FragCoord.xy + vec2(0.0, 1.0), corner, edge_a, edge_b);
        vec2 at = uv + uv_edges * w;
        // Row 0 of the texture is the top row.
        const vec2 turned = vec2(1.0, -1.0);
        float layer = float(texelFetch(layers, int(triangle)).r);
        colour = textureGrad(colour_textures, vec3(at.x, 1.0 - at.y, layer),
            turned * (uv_edges * (right - exact)), turned * (uv_edges * (down - exact))).rgb;
    } else {
        colour = colour_at(rows.x) * (1.0 - w.x - w.y) + colour_at(rows.y) * w.x + colour_at(rows.z) * w.y;
    }
    albedo = vec4(srgb_from_linear(colour), reliable ? 1.0 : 0.5);

    vec3 position = corner + edge_a * w.x + edge_b * w.y;
    float ray_distance = orthographic ? -position.z : length(position);
    vec3 ray = orthographic ? vec3(0.0, 0.0, -1.0) : position / ray_distance;
    vec3 wanted = is_back ? ray : -ray;
    vec3 mixed = fetch3(normals, rows.x) * (1.0 - w.x - w.y) + fetch3(normals, rows.y) * w.x
        + fetch3(normals, rows.z) * w.y;
    vec3 normal = mat3(camera_from_mesh) * (reliable ? mixed : -mixed);
    float size = length(normal);
    normal = size > 0.0 ? normal / size : wanted;
    // Interpolated normals lean over the horizon close to the silhouette.
    float facing = dot(normal, wanted);
    if (facing < LEAST_FACING) {
        vec3 level = normal - facing * wanted;
        float level_size = length(level);
        normal = level_size > 0.0 ? normalize(level / level_size + LEAST_FACING * wanted) : wanted;
    }
    normal_and_distance = vec4(normal, ray_distance);
}
