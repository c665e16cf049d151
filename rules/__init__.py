"""Recent windows in, verdicts out: pure rules over the samples of meters."""
