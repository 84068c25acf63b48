-- How do drugs and vaccines since 2015 run month by month, and in total up to each month?
SELECT month, records, sum(records) OVER (ORDER BY month ROWS UNBOUNDED PRECEDING) AS running
FROM (
    SELECT CAST(date_trunc('month', drug_exposure_start_date) AS DATE) AS month, count(*) AS records
    FROM drug_exposure
    WHERE drug_exposure_start_date >= DATE '2015-01-01'
    GROUP BY CAST(date_trunc('month', drug_exposure_start_date) AS DATE)
) AS months
ORDER BY month
-- @source
SELECT month, records, sum(records) OVER (ORDER BY month ROWS UNBOUNDED PRECEDING) AS running
FROM (
    SELECT CAST(date_trunc('month', day) AS DATE) AS month, count(*) AS records
    FROM (
        SELECT CAST(left(start, 10) AS DATE) AS day FROM medications
        UNION ALL
        SELECT CAST(left(date, 10) AS DATE) FROM immunizations
    )
    WHERE day >= DATE '2015-01-01'
    GROUP BY month
)
ORDER BY month
