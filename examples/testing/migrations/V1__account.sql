CREATE TABLE account (
  name VARCHAR(50) PRIMARY KEY,
  balance INTEGER NOT NULL CHECK (balance >= 0)
);
