"""The generated pages: settings, RPCs, commands, metrics, error reasons."""
