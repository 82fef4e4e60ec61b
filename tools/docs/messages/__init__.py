"""Every sentence that the programs may say when something is wrong, found in their source."""
