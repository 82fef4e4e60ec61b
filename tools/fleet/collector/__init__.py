"""What devices say, into the database: each message once, acknowledged when it is stored."""
