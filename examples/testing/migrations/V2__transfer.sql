CREATE TABLE transfer (
  payer VARCHAR(50) NOT NULL REFERENCES account (name),
  payee VARCHAR(50) NOT NULL REFERENCES account (name),
  amount INTEGER NOT NULL
);
