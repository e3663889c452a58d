"""Live connectors: what chat platforms send when something happens, in; activities, out."""
