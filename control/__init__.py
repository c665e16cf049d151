"""The relay supervisor: trip causes give a desired state, commands close the difference."""
