"""Order and spend models, one file each, behind the small protocols of `clv_core.models.base`."""
