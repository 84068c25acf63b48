-- Do the datetimes of measurements agree with their dates?
SELECT CAST(measurement_datetime AS DATE) = measurement_date AS agrees, extract(hour FROM measurement_datetime) AS hour,
       count(*) AS records, min(measurement_datetime) AS earliest, max(measurement_datetime) AS latest
FROM measurement
GROUP BY CAST(measurement_datetime AS DATE) = measurement_date, extract(hour FROM measurement_datetime)
ORDER BY agrees, hour NULLS LAST
