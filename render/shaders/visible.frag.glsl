#version 330 core
// Which triangle is seen: its number from 1 on, and its geometric facing in the highest bit.
layout(location = 0) out uint visible;

void main() {
    visible = uint(gl_PrimitiveID + 1) | (gl_FrontFacing ? 0x80000000u : 0u);
}
