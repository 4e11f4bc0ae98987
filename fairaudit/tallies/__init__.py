"""Tallies beyond one scan: as files, added up, asked again with other flags, with small cells hidden."""
