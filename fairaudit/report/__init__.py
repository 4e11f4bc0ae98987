"""Renderers: an audit or a comparison in, text out. One page of facts, one renderer a file.

`audit_page` and `comparison_page` decide *what* is said, as blocks; `text` and `markdown` only decide how a
block looks. A new format is one more file over the same blocks.
"""
