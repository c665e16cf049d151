"""Rooms and people as CSV and XLSX files: read with every fault, planned, applied, written."""
