"""The contract between compiler and applier: what a bundle is, and nothing of how it is made or loaded.

Lowest layer of the project and standard library only, so that a node that merely applies a bundle needs
neither pydantic nor jinja2 nor yaml.
"""

__version__ = "0.1.0"
