"""`fleeting plan`: how many days of noised numbers tell a difference."""
