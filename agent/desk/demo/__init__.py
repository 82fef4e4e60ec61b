"""The bundled clip through everything, on this machine."""
