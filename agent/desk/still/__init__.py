"""Still pictures as people have them: told by content, bounded before they are decoded, and read as
a viewer shows them."""
