//! Floor 4: one file a step. Steps never import steps.
