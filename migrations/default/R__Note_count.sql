DROP VIEW IF EXISTS note_count;
CREATE VIEW note_count AS SELECT COUNT(*) AS notes FROM note;
