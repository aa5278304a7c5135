"""From pixels to vectors: backbones and heads, and what their pixels look like."""
