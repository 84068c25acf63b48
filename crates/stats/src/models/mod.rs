//! Regression models: logistic and Poisson regression by Newton steps that are mergeable summaries.
