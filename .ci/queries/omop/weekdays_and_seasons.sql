-- On which weekdays and in which quarters do conditions start?
SELECT extract(dow FROM condition_start_date) AS weekday, extract(quarter FROM condition_start_date) AS quarter,
       count(*) AS records, min(condition_start_date) AS earliest, max(condition_start_date) AS latest
FROM condition_occurrence
GROUP BY extract(dow FROM condition_start_date), extract(quarter FROM condition_start_date)
ORDER BY weekday, quarter
