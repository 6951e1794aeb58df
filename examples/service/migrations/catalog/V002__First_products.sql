INSERT INTO product (name, price) VALUES ('apple', 30);
INSERT INTO product (name, price) VALUES ('pear', 50);
