"""Who is asking: users, passwords, sessions, tokens, single sign-on, limits on tries."""
