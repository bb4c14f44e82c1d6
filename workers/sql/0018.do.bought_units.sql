-- Units of limited items that buyers have bought, where no record says so any more: every deduction (an order id may be used again
-- by somebody else once its record is forgotten), and reservations whose id was used again. (S8)
CREATE TABLE bought_units (
  units bigint NOT NULL,
  partition integer NOT NULL,
  ref text COLLATE "C" NOT NULL,
  buyer text COLLATE "C" NOT NULL,
  PRIMARY KEY (partition, ref, buyer)
) WITH (fillfactor = 80)
