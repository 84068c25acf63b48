//! Description of variables and of care: quantiles, hospital stays, comorbidity, table one.

pub mod comorbidity;
pub mod kll;
pub mod quantile;
pub mod stays;
pub mod table_one;
