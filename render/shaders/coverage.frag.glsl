#version 330 core
layout(location = 0) out float covered;

void main() {
    covered = 1.0;
}
