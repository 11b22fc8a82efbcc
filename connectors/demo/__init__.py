"""The bundled world: real CDNOW orders; simulated contacts, acquisition sources and spend."""
