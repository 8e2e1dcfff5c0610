//! Pure planners: from what is to what should be next, for somebody else to carry out.

pub mod membership;
pub mod placement;
pub mod rebalance;

#[cfg(test)]
mod tests;
