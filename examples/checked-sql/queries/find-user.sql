-- The user of an address, if there is one.
-- :option
SELECT id, name, email FROM users WHERE email = :email
