"""From a scan to its mask: slices, neighbours, parts, files."""
