"""The embedded demo people: generated, textured, free for any use."""
