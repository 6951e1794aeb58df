-- What the examples write.
CREATE TABLE note (
  body VARCHAR(200) NOT NULL
);
