"""Out of the database: tables for analysts, and receipts for whoever wants proof."""
