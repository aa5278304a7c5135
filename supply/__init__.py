"""What the project depends on and what it ships: bill of materials, licences, checksums. `python -m supply --help`."""
