//! Description of variables and of care: quantiles, hospital stays, eras, comorbidity, table one.

pub mod comorbidity;
pub mod eras;
pub mod kll;
pub mod quantile;
pub mod stays;
pub mod table_one;
