import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { scan } from "../../../src/internal/driver/pg/text.js"

const cleanTexts = [
  "SELECT 1",
  "select a.b, count(*), sum(x) over (partition by y order by z) from a join b on (a.id = b.id) where c in ($1, $2)",
  "INSERT INTO \"note\" (\"body\", \"author\") VALUES ($1, $2) RETURNING *",
  "INSERT INTO public.note (body) VALUES (lower($1)) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
  "UPDATE t SET a = $1 WHERE id = $2",
  "UPDATE people SET name = data.name FROM (values ($1,$2),($3,$4)) AS data(name,id) WHERE people.id = data.id",
  "DELETE FROM t USING u WHERE t.id = u.id",
  "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x WHERE n < 10) SELECT max(n) FROM x",
  "SELECT CAST(a AS numeric(10, 2)), b::varchar(10), extract(year from c), date_trunc('day', d) FROM t",
  "SELECT 'set_config(1)', $$pg_advisory_lock(1)$$, $tag$ SET x $tag$ -- set_config(\n/* nested /* set_config( */ */",
  "SELECT pg_advisory_xact_lock($1)",
  "SELECT 1 FOR UPDATE SKIP LOCKED",
  "CREATE TABLE IF NOT EXISTS note (id int4 PRIMARY KEY, body varchar(20) NOT NULL DEFAULT '', UNIQUE (body))",
  "CREATE UNIQUE INDEX i ON note (lower(body))",
  "CREATE INDEX i ON note USING btree (body)",
  "ALTER TABLE note ADD COLUMN x int4",
  "SET LOCAL statement_timeout = 5",
  "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
  "SET CONSTRAINTS ALL DEFERRED",
  "BEGIN",
  "START TRANSACTION READ ONLY",
  "SAVEPOINT \"a\"",
  "ROLLBACK TO SAVEPOINT a",
  "RELEASE a",
  "COMMIT",
  "SELECT temp, temporary FROM weather WHERE temp > 3",
  "NOTIFY a, 'b'",
  "SELECT pg_notify($1, $2)",
  "SHOW statement_timeout",
  "EXPLAIN (ANALYZE) SELECT 1",
  "(SELECT 1) UNION (SELECT 2)",
  ""
]

const dirtyTexts = [
  "SET search_path TO x",
  "set session characteristics as transaction read only",
  "/* a */ -- b\n SET x = 1",
  "SELECT 1; SET x = 1",
  "RESET x",
  "SELECT set_config('a', 'b', false)",
  "SELECT pg_catalog.set_config('a', 'b', false)",
  "SELECT set_config /* c */ ('a', 'b', false)",
  "SELECT \"set_config\"('a', 'b', false)",
  "SELECT U&\"set_config\"('a', 'b', false)",
  "SELECT pg_advisory_lock(1)",
  "SELECT 'a' 'b', pg_try_advisory_lock(1)",
  "SELECT E'it\\'s', my_function()",
  "SELECT 'a\\', set_config('a', 'b', false), '",
  "SELECT 'a\\'', set_config('a', 'b', false)",
  "INSERT INTO t SELECT my_function()",
  "INSERT INTO t (a) SELECT public.lower(1)",
  "WITH x AS (SELECT my_function()) SELECT * FROM x",
  "SELECT * FROM my_function()",
  "SELECT * FROM t JOIN my_function() AS f ON (true)",
  "SELECT * FROM t JOIN u ON my_function(t.a)",
  "SELECT DISTINCT ON (a) my_function(b) FROM t",
  "CREATE TEMP TABLE x (id int4)",
  "CREATE LOCAL TEMPORARY TABLE x (id int4)",
  "CREATE OR REPLACE TEMP VIEW v AS SELECT 1",
  "CREATE TABLE pg_temp.x (id int4)",
  "CREATE TABLE \"pg_temp\".x (id int4)",
  "SELECT 1 INTO TEMP x",
  "select 1 into temporary table x",
  "SELECT 1 INTO LOCAL TEMP x",
  "EXPLAIN ANALYZE EXECUTE x",
  "LISTEN a",
  "UNLISTEN *",
  "PREPARE a AS SELECT 1",
  "EXECUTE a",
  "DEALLOCATE ALL",
  "DISCARD ALL",
  "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
  "FETCH 1 FROM c",
  "CLOSE c",
  "LOAD 'x'",
  "DO $$ BEGIN END $$",
  "CALL p()",
  "COPY t TO '/x'",
  "BEGIN; SET x = 1; COMMIT",
  "CREATE EXTENSION x"
]

describe("reading a statement's text", () => {
  for (const text of cleanTexts) {
    it(`leaves nothing behind: ${JSON.stringify(text)}`, () => assert.isFalse(scan(text).dirty))
  }
  for (const text of dirtyTexts) {
    it(`may leave something behind: ${JSON.stringify(text)}`, () => assert.isTrue(scan(text).dirty))
  }

  // Whatever stands around it: a call that leaves something behind is never overlooked.
  const noise = fc.constantFrom(
    "'text'",
    "E'it\\'s'",
    "''''",
    "$$ body $$",
    "$a$ $$ ' $a$",
    "$1",
    "\"Quoted \"\" name\"",
    "-- comment '\n",
    "/* /* ' */ */",
    "a.b",
    "1.5e3",
    "lower(a)",
    "(1, 2)",
    "::int4",
    "B'01'",
    ";",
    "é",
    "x'ff'",
    "U&'d\\0061t'"
  )
  const call = fc.constantFrom(
    "set_config('a','b',false)",
    "SET_CONFIG ('a','b',false)",
    "pg_catalog.set_config\n(1)",
    "pg_advisory_lock/**/(1)",
    "dblink_connect('x')",
    "my_schema.f()"
  )
  it("never overlooks a call between any other tokens", () => {
    fc.assert(
      fc.property(fc.array(noise), call, fc.array(noise), (before, call, after) => {
        assert.isTrue(scan(["SELECT", ...before, ",", call, ...after].join(" ")).dirty)
      }),
      { numRuns: 2000 }
    )
  })
  it("never overlooks a SET after any other statement", () => {
    fc.assert(
      fc.property(fc.array(noise), fc.array(noise), (before, after) => {
        assert.isTrue(scan(["SELECT", ...before, ";", "SET x TO 1", ...after].join(" ")).dirty)
      }),
      { numRuns: 2000 }
    )
  })
  it("never fails, whatever the text", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => typeof scan(text).dirty === "boolean"))
    for (const open of ["'", "\"", "$$", "/*", "E'\\", "--", "$", "\"a", "a.", "."]) scan(`SELECT ${open}`)
  })

  it("sees several statements, but not the semicolon of a string, a comment or the end", () => {
    assert.isTrue(scan("SELECT 1; SELECT 2").several)
    assert.isTrue(scan("SELECT 1;;; ;SELECT 2").several)
    for (
      const text of ["SELECT 1;", "SELECT 1; -- two", "SELECT ';a'", "SELECT 1 /* ; */ ;\n ;", "SELECT $$;a$$", "", ";"]
    ) {
      assert.isFalse(scan(text).several, text)
    }
  })

  it("knows the ends of transactions", () => {
    for (
      const text of ["COMMIT", "commit and chain", "END", " /* */ Commit", "PREPARE TRANSACTION 'x'", "BEGIN; COMMIT"]
    ) {
      assert.isTrue(scan(text).commits, text)
    }
    for (const text of ["ROLLBACK", "SELECT commit FROM t", "SELECT CASE WHEN a THEN b END"]) {
      assert.isFalse(scan(text).commits, text)
    }
    assert.isTrue(scan("ROLLBACK TO a").rollsBack)
    assert.isTrue(scan("abort").rollsBack)
  })

  it("knows what may stay in part", () => {
    for (const text of ["CALL p()", "DO $$ $$", "CREATE INDEX CONCURRENTLY i ON t (a)", "VACUUM", "REINDEX TABLE t"]) {
      assert.isTrue(scan(text).partial, text)
    }
    assert.isFalse(scan("INSERT INTO t VALUES (1)").partial)
  })

  it("says why a text cannot be sent", () => {
    assert.include(scan("SELECT '\0'").fault!, "NUL")
    assert.include(scan("SELECT '\ud800'").fault!, "surrogate")
    assert.isUndefined(scan("SELECT '😀'").fault)
  })

  it("what outlasts its transaction is seen, and what does not is not taken for it", () => {
    const lasting = [
      "SET x TO 1",
      "/* a */ set role y",
      "SELECT 1; RESET ALL",
      "SELECT pg_catalog.pg_advisory_lock(1)",
      "SELECT set_config('a', 'b', false)",
      "SELECT set_config('a', 'true)', $1)",
      "CREATE OR REPLACE TEMP VIEW v AS SELECT 1",
      "CREATE TEMPORARY TABLE x (id int); COMMIT; DROP TABLE y",
      "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
      "PREPARE x AS SELECT 1"
    ]
    for (const text of lasting) assert.isDefined(scan(text).lasting, text)
    const local = [
      "SET LOCAL x TO 1",
      "PREPARE TRANSACTION 'x'",
      "SELECT set_config('a', 'b''(', TRUE)",
      "SELECT set_config('a', (SELECT f(1)), is_local => true)",
      "CREATE TEMP TABLE x (id int) ON COMMIT DROP",
      "UPDATE t SET listen = 1",
      "SELECT \"listen\", 'LISTEN', $$ SET x TO 1 $$ FROM t -- LISTEN",
      "DECLARE c CURSOR WITHOUT HOLD FOR SELECT 1",
      "SELECT pg_try_advisory_xact_lock(1)"
    ]
    for (const text of local) assert.isUndefined(scan(text).lasting, text)
  })

  it("what runs in no transaction is seen", () => {
    const alone = [
      "VACUUM t",
      "CREATE DATABASE x",
      "DROP INDEX CONCURRENTLY i",
      "ALTER SYSTEM SET a TO 1",
      "REINDEX SCHEMA s"
    ]
    for (const text of alone) assert.isTrue(scan(text).alone, text)
    const others = [
      "CREATE TABLE t (vacuum int)",
      "REFRESH MATERIALIZED VIEW CONCURRENTLY v",
      "REINDEX TABLE t",
      "SELECT 1"
    ]
    for (const text of others) assert.isFalse(scan(text).alone, text)
  })
})
