"""A virtual campus: real Modbus servers driven by appliance models and recorded traces."""
