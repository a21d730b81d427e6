"""Tests: unit/ is pure, netns/ needs root and works in network namespaces of its own, lab/ builds those."""
