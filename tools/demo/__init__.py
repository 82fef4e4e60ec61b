"""The bundled demo clip and its ground truth."""
