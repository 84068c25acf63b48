-- How do drug exposures run month by month, and in total up to each month?
SELECT month, exposures, sum(exposures) OVER (ORDER BY month ROWS UNBOUNDED PRECEDING) AS running,
       avg(exposures) OVER (ORDER BY month ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS three_months
FROM (
    SELECT CAST(date_trunc('month', drug_exposure_start_date) AS DATE) AS month, count(*) AS exposures
    FROM drug_exposure
    GROUP BY CAST(date_trunc('month', drug_exposure_start_date) AS DATE)
) AS months
ORDER BY month
