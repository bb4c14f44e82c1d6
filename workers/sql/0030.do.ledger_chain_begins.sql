-- What was persisted before there was a chain.
INSERT INTO ledger_chain (partition, first_seq, last_seq, hash) SELECT partition, 1, seq, '' FROM positions WHERE seq > 0
