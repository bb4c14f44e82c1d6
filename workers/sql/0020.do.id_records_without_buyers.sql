ALTER TABLE id_records DROP COLUMN buyer, DROP COLUMN counted
