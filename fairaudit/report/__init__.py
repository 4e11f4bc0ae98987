"""One renderer a file: an audit or a comparison in, text out."""
