CREATE TABLE movement_kinds (
  kind smallint PRIMARY KEY,
  name text NOT NULL UNIQUE
)
