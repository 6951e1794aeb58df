import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import { scan } from "../../../src/internal/driver/pg/text.js"
import { describePostgres, freshDatabase, observer } from "../../kit/postgres.js"

const reads = [
  "SELECT 1",
  "select a, count(*) from t where b = $1 group by a order by 2 limit 10",
  "(SELECT 1) UNION ALL (SELECT 2)",
  "VALUES (1, lower('A')), ($1, $2)",
  "TABLE t",
  "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x WHERE n < 10) SELECT max(n) FROM x",
  "WITH x AS MATERIALIZED (SELECT 1), y AS NOT MATERIALIZED (SELECT 2) SELECT * FROM x, y",
  "SELECT 'x'::regclass, '1'::int8, CAST($1 AS character varying(10)), b::timestamptz(3), bit varying(3) '1' FROM t",
  "SELECT now(), random(), current_setting('work_mem'), version()",
  "SELECT sum(a) FILTER (WHERE b > 1) OVER (PARTITION BY (c) ORDER BY (d)) FROM t",
  "SELECT sum(a) OVER w FROM t WINDOW w AS (ORDER BY b)",
  "SELECT a FROM t GROUP BY CUBE (a, b), c",
  "SELECT a FROM t GROUP BY GROUPING SETS ((a), ())",
  "SELECT * FROM t JOIN (SELECT 1) u ON (true) LEFT JOIN (t v CROSS JOIN (SELECT 2) w) USING (a)",
  "SELECT * FROM (SELECT 1) JOIN (SELECT 2) ON true",
  "SELECT * FROM t WHERE a IN ($1, $2) AND b LIKE ('a') AND c ILIKE ('b') AND d NOT ILIKE ('c') AND EXISTS (SELECT 1)",
  "SELECT left(a, 1), right(a, 1), coalesce(a, b), extract(year FROM c), date(d), \"if\" FROM t",
  "SELECT 'pg_sleep(1)', $$nextval('s')$$, $a$ FOR UPDATE $a$ -- INSERT INTO t",
  "SELECT /* DELETE FROM /* t */ ; */ 1;",
  "SELECT -- pg_sleep(1)\r 1",
  "SELECT name, setting FROM pg_settings"
]

const writes = [
  "INSERT INTO t VALUES (1)",
  "INSERT INTO t (a) VALUES ($1) ON CONFLICT (a) DO UPDATE SET (a, b) = (1, 2) RETURNING *",
  "UPDATE t SET a = 1",
  "UPDATE t SET (a, b) = ROW (1, 2) FROM u JOIN (SELECT 1) v ON true",
  "DELETE FROM t USING u WHERE t.a = u.a",
  "MERGE INTO t USING u ON (t.a = u.a) WHEN NOT MATCHED THEN INSERT VALUES (1) WHEN MATCHED THEN DELETE",
  "WITH x AS (INSERT INTO t VALUES (1) RETURNING a) SELECT * FROM x",
  "WITH x AS (DELETE FROM t RETURNING *) SELECT count(*) FROM x",
  "SELECT * INTO u FROM t",
  "SELECT 1 INTO TABLE u",
  "SELECT nextval('s')",
  "VALUES (nextval('s'))",
  "SELECT setval('s', 1)",
  "SELECT pg_notify($1, $2)",
  "SELECT txid_current()"
]

const never = [
  // In capitals they would be functions of PostgreSQL's own.
  "SELECT ab\u017F(1)",
  "SELECT \u017Fum(a) FROM t",
  // Locks, and what waits.
  "SELECT * FROM t FOR UPDATE",
  "SELECT * FROM t FOR NO KEY UPDATE",
  "SELECT * FROM t for /* */ share skip locked",
  "SELECT * FROM t FOR KEY SHARE NOWAIT",
  "SELECT * FROM (SELECT * FROM t FOR UPDATE) u",
  "TABLE t FOR UPDATE",
  "SELECT pg_advisory_lock(1)",
  "SELECT pg_try_advisory_lock(1)",
  "SELECT pg_advisory_xact_lock(1)",
  "SELECT pg_advisory_unlock_all()",
  "SELECT pg_sleep(1)",
  "SELECT pg_sleep/**/ (1)",
  "SELECT * FROM pg_sleep(1)",
  "SELECT * FROM ROWS FROM (pg_sleep(1))",
  "SELECT pg_catalog.pg_sleep(1)",
  "SELECT pg_catalog . \"pg_sleep\" (1)",
  "SELECT \"pg_sleep\"(1)",
  "SELECT U&\"pg_sl\\0065ep\"(1)",
  "SELECT U&\"pg!005fsleep\" UESCAPE '!' (1)",
  "SELECT pg_sleep_for('1 s')",
  "SELECT pg_cancel_backend(1)",
  "SELECT pg_terminate_backend(1)",
  // What is left behind, or was.
  "SELECT set_config('a.b', 'c', false)",
  "SELECT set_config('a.b', 'c', true)",
  "UPDATE pg_settings SET setting = '1MB' WHERE name = 'work_mem'",
  "UPDATE pg_catalog.\"pg_settings\" SET setting = '1MB'",
  "SELECT setseed(0.5)",
  "SELECT currval('s')",
  "SELECT lastval()",
  "SELECT 1 INTO TEMP u",
  "CREATE TEMP TABLE u (a int4)",
  "SELECT 1 AS statement_timeout",
  "SELECT set_config($1, $2, false) -- 'x'",
  // Functions that are not known.
  "SELECT f()",
  "SELECT public.lower('A')",
  "SELECT \"lower\"('A')",
  "SELECT * FROM dblink('x', 'SELECT 1') AS x(a int4)",
  "SELECT query_to_xml('DELETE FROM t', true, true, '')",
  "SELECT lo_unlink(1)",
  "SELECT 1 OPERATOR(pg_catalog.+) 2",
  "INSERT INTO t SELECT f()",
  ...["add(1, 2)", "hash('a')", "if(true, 1, 2)", "isnull(a, 0)", "key('a')", "view()", "set(1)", "by(1)", "over(1)"]
    .flatMap((call) => [`SELECT ${call}`, `SELECT 1, ${call} FROM t`, `SELECT * FROM t WHERE ${call}`]),
  ...["filter(1)", "join(1)", "ilike('a', 'b')", "conflict(1)", "cube(1)", "rollup(1)", "sets(1)", "varying(1)"]
    .flatMap((call) => [`SELECT ${call}`, `SELECT 1, ${call} FROM t`, `SELECT * FROM t WHERE ${call}`]),
  // Other statements.
  "EXPLAIN SELECT 1",
  "EXPLAIN ANALYZE DELETE FROM t",
  "SHOW work_mem",
  "COPY t TO STDOUT",
  "CALL p()",
  "DO $$ BEGIN END $$",
  "FETCH 1 FROM c",
  "DECLARE c CURSOR FOR SELECT 1",
  "CLOSE c",
  "PREPARE p AS SELECT 1",
  "EXECUTE p",
  "LISTEN a",
  "NOTIFY a",
  "LOCK TABLE t",
  "CREATE TABLE u (a int4)",
  "BEGIN",
  "COMMIT",
  "SAVEPOINT a",
  "SET work_mem TO '1MB'",
  "VACUUM",
  // What is not one statement, or may be another one than it seems.
  "SELECT 1; SELECT 2",
  "SELECT 'a\\'",
  "SELECT 'a\\', pg_sleep(1), '",
  "SELECT E'a'\n'b\\', ' , pg_sleep(1) , 'c'",
  "SELECT -- \r pg_sleep(1)",
  "SELECT '\0'",
  "SELECT '\ud800'",
  "",
  ";"
]

describe("which texts may share a connection", () => {
  const check = (texts: ReadonlyArray<string>, expected: "read" | "write" | undefined) => {
    for (const text of texts) {
      it(`${expected ?? "never"}: ${JSON.stringify(text)}`, () => assert.strictEqual(scan(text).sharing, expected))
    }
  }
  check(reads, "read")
  check(writes, "write")
  check(never, undefined)

  const fragment = fc.constantFrom(
    "a",
    "\"a \"\" b\"",
    "'text'",
    "E'it\\'s'",
    "$$ ' $$",
    "$a$ \" $a$",
    "$1",
    "1.5e3",
    "-- comment '\n",
    "-- comment '\r",
    "/* /* ' */ */",
    "lower(a)",
    "count(*) FILTER (WHERE a) OVER (ORDER BY b)",
    "(SELECT 1)",
    "::int4",
    "AS x",
    "FROM t",
    "JOIN (SELECT 1) u ON (true)",
    "WHERE",
    "AND",
    ",",
    "(",
    ")",
    "GROUP BY CUBE (a)",
    "é"
  )
  const harmful = fc.constantFrom(
    ", pg_sleep(1)",
    ", pg_catalog.pg_sleep (1)",
    ", \"pg_sleep\"(1)",
    ", U&\"pg_sl!0065ep\" UESCAPE '!' (1)",
    ", nextval('s')",
    ", set_config('a.b', 'c', false)",
    ", pg_advisory_xact_lock/* */(1)",
    ", f(1)",
    ", s.lower(a)",
    ", add(1, 2)",
    ", if(a, b, c)",
    ", 1 OPERATOR(s.+) 2",
    " FOR UPDATE",
    " FOR /* */ KEY SHARE",
    " INTO u",
    " ; DELETE FROM t",
    " UNION (WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x)",
    ", currval('s')",
    ", 'a\\'"
  )
  const seed = Number(process.env["DBLIVE_SEED"] ?? Date.now() % 2 ** 31)
  it(`a text with anything harmful in it is never a read (DBLIVE_SEED=${seed})`, () => {
    fc.assert(
      fc.property(fc.array(fragment), harmful, fc.array(fragment), (before, middle, after) => {
        assert.notStrictEqual(scan(["SELECT", ...before, middle, ...after].join(" ")).sharing, "read")
      }),
      { numRuns: 5_000, seed }
    )
  })
})

describePostgres("which texts PostgreSQL runs in a read-only transaction", () => {
  it.scoped("each that is called a read", () =>
    Effect.gen(function*() {
      const ask = yield* observer((yield* freshDatabase).url)
      yield* ask("CREATE TABLE t (a int4, b text, c timestamptz, d date)")
      yield* ask("BEGIN READ ONLY")
      for (const text of reads) {
        yield* ask("SAVEPOINT s")
        // Columns differ from text to text: what counts is that none is refused because it writes.
        const exit = yield* Effect.exit(ask(text))
        if (exit._tag === "Failure") assert.notInclude(String(exit.cause), "read-only", text)
        yield* ask("ROLLBACK TO s")
      }
    }))
})
