//! Properties that must hold whatever stands in a file.
