ALTER TABLE note ADD COLUMN author VARCHAR(100);
UPDATE note SET author = 'nobody';
