CREATE INDEX stock_by_partition ON stock (partition)
