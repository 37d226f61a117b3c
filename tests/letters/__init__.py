"""A seeded generator of official letters: PDF with text layer, truth, boxes, and degraded images of each."""
