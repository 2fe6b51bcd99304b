// What rays hit, one hit a fragment: linear albedo with reliability in alpha, normal with ray
// distance in alpha. Hits lie one after the other in the target, wherever in the picture they
// are. Rays and surface meet in the frame of the mesh.
// Colours come from vertices where VERTEX_COLOURED is defined, and else from textures.
const float LEAST_FACING = 1e-3;
uniform usamplerBuffer hits;      // number of the face; back side, row and column of the pixel
uniform usamplerBuffer faces;     // rows of the corners in `vertices`; layer of the texture
uniform samplerBuffer vertices;   // position with u and normal with v, one after the other
uniform samplerBuffer colours;
uniform sampler2DArray colour_textures;
uniform mat3 starts;              // of rays; what they start from for a pixel (x, y, 1)
uniform mat3 directions;          // likewise, not of unit length
uniform float middle;             // of the picture, pixels; x and y are counted from there
uniform mat3 camera_from_mesh;    // rotation
uniform float scale;              // length of a unit of the mesh before the camera
uniform int width;
layout(location = 0) out vec4 albedo;
layout(location = 1) out vec4 normal_and_distance;

// Weights of the second and third corner where a ray meets the triangle's plane, the first
// corner being seen from where the ray starts; z is above 0 where it meets the front.
vec3 weights(vec3 ray, vec3 corner, vec3 edge_a, vec3 edge_b) {
    vec3 crossed = cross(ray, edge_b);
    float volume = dot(edge_a, crossed);
    float divisor = abs(volume) < 1e-30 ? 1e-30 : volume;
    return vec3(vec2(-dot(corner, crossed), dot(ray, cross(edge_a, corner))) / divisor, volume);
}

vec2 inside(vec2 w) {
    w = clamp(w, 0.0, 1.0);
    return w / max(1.0, w.x + w.y);
}

void main() {
    uvec2 hit = texelFetch(hits, int(gl_FragCoord.y) * width + int(gl_FragCoord.x)).rg;
    bool is_back = hit.y >> 31 == 1u;
    vec3 pixel = vec3(vec2(hit.y & 32767u, (hit.y >> 15) & 32767u) + (0.5 - middle), 1.0);
    vec3 ray = directions * pixel;
    uvec4 face = texelFetch(faces, int(hit.x));
    // Position and u of the corners, then normal and v.
    vec4 first = texelFetch(vertices, int(face.x) * 2);
    vec4 edges_a = texelFetch(vertices, int(face.y) * 2) - first;
    vec4 edges_b = texelFetch(vertices, int(face.z) * 2) - first;
    vec4 first_normal = texelFetch(vertices, int(face.x) * 2 + 1);
    vec4 second_normal = texelFetch(vertices, int(face.y) * 2 + 1);
    vec4 third_normal = texelFetch(vertices, int(face.z) * 2 + 1);
    vec3 corner = first.xyz - starts * pixel;
    vec3 edge_a = edges_a.xyz;
    vec3 edge_b = edges_b.xyz;
    vec3 exact = weights(ray, corner, edge_a, edge_b);
    bool reliable = (exact.z > 0.0) != is_back;
    vec2 w = inside(exact.xy);
    float rest = 1.0 - w.x - w.y;

#ifdef VERTEX_COLOURED
    vec3 colour = texelFetch(colours, int(face.x)).rgb * rest
        + texelFetch(colours, int(face.y)).rgb * w.x + texelFetch(colours, int(face.z)).rgb * w.y;
#else
    vec2 uv = vec2(first.w, first_normal.w);
    mat2 uv_edges = mat2(edges_a.w, second_normal.w - uv.y, edges_b.w, third_normal.w - uv.y);
    vec3 right = weights(ray + directions[0], corner - starts[0], edge_a, edge_b);
    vec3 down = weights(ray + directions[1], corner - starts[1], edge_a, edge_b);
    vec2 at = uv + uv_edges * w;
    // Row 0 of the texture is the top row.
    const vec2 turned = vec2(1.0, -1.0);
    vec3 colour = textureGrad(colour_textures, vec3(at.x, 1.0 - at.y, float(face.w)),
        turned * (uv_edges * (right.xy - exact.xy)), turned * (uv_edges * (down.xy - exact.xy))).rgb;
#endif
    albedo = vec4(colour, reliable ? 1.0 : 0.0);

    vec3 seen = corner + edge_a * w.x + edge_b * w.y;
    vec3 wanted = normalize(is_back ? ray : -ray);
    vec3 mixed = first_normal.xyz * rest + second_normal.xyz * w.x + third_normal.xyz * w.y;
    vec3 normal = reliable ? mixed : -mixed;
    float size = length(normal);
    normal = size > 0.0 ? normal / size : wanted;
    // Interpolated normals lean over the horizon close to the silhouette.
    float facing = dot(normal, wanted);
    if (facing < LEAST_FACING) {
        vec3 level = normal - facing * wanted;
        float level_size = length(level);
        normal = level_size > 0.0 ? normalize(level / level_size + LEAST_FACING * wanted) : wanted;
    }
    normal_and_distance = vec4(camera_from_mesh * normal, length(seen) * scale);
}
