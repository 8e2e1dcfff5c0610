//! The one integration binary: golden histories, planted anomalies, hostile input.

mod generate;
mod golden;
mod hostile;
mod online;
mod planted;
