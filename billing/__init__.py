"""The money of the site: accounts and people, tariffs and charging, recharges, arrears, reports."""
