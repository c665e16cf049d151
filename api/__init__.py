"""The HTTP face: routes by audience over the ports."""
