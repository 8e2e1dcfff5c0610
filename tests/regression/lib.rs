//! Placeholder until the integration binary lands.
