#version 330 core
// Mean of the four pixels of the double-sized image.
uniform sampler2D doubled;
layout(location = 0) out float mean;

void main() {
    ivec2 first = ivec2(gl_FragCoord.xy) * 2;
    mean = 0.25 * (texelFetch(doubled, first, 0).r + texelFetch(doubled, first + ivec2(1, 0), 0).r
        + texelFetch(doubled, first + ivec2(0, 1), 0).r + texelFetch(doubled, first + ivec2(1, 1), 0).r);
}
