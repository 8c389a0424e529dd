"""Reading industrial serial numbers, from pictures of marked parts to an audited table."""

__version__ = "0.2.0"
