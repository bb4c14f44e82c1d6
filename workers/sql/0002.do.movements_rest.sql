-- What a clock far off puts outside the ranges the workers created is kept here rather than refused.
CREATE TABLE movements_rest PARTITION OF movements DEFAULT
