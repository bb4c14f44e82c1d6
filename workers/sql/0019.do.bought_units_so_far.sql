-- What was counted with the id records until now.
INSERT INTO bought_units (partition, ref, buyer, units)
SELECT partition, ref, buyer, sum(counted) FROM id_records WHERE counted > 0 GROUP BY partition, ref, buyer
