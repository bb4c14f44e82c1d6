-- A reservation that was sold is about to be overwritten by another one under its id, or removed: its buyer keeps the units.
CREATE FUNCTION keep_bought() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO bought_units AS b (partition, ref, buyer, units)
  SELECT OLD.partition, line.ref, OLD.buyer, sum(line.quantity - line.returned)
  FROM unnest(OLD.refs, OLD.quantities, OLD.returned, OLD.counted) AS line(ref, quantity, returned, counted)
  WHERE line.counted = 1 AND line.quantity > line.returned
  GROUP BY line.ref
  ON CONFLICT (partition, ref, buyer) DO UPDATE SET units = b.units + excluded.units;
  RETURN NULL;
END
$$
