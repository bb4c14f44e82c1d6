-- One link for every batch of a partition: hash = sha256(hash of the link before ‖ sha256(the batch's rows of the ledger as text)), the first
-- one after an empty hash (workers/drain/chain.ts). Whoever changes a movement afterwards has to change every link behind it as well. A link
-- with an empty hash stands for movements that are older than the chain.
CREATE TABLE ledger_chain (
  first_seq bigint NOT NULL,
  last_seq bigint NOT NULL,
  partition integer NOT NULL,
  hash bytea NOT NULL CHECK (octet_length(hash) IN (0, 32)),
  PRIMARY KEY (partition, last_seq),
  CHECK (first_seq BETWEEN 1 AND last_seq)
)
