/** What a text is sure to leave in its session, as each driver reads it. */
import { assert, describe, it } from "@effect/vitest"
import { leftBehind as mssql } from "../../src/internal/driver/mssql/texts.js"
import { leftBehind as mysql } from "../../src/internal/driver/mysql/script.js"
import { leftBehind as pg } from "../../src/internal/driver/pg/text.js"
import { leftBehind as sqlite } from "../../src/internal/driver/sqlite/text.js"

const cases = (
  name: string,
  leftBehind: (text: string) => string | undefined,
  left: ReadonlyArray<string>,
  nothing: ReadonlyArray<string>
) => {
  describe(`leftBehind, ${name}`, () => {
    it("tells what a text leaves in its session", () => {
      for (const text of left) assert.isString(leftBehind(text), text)
    })
    it("tells nothing of texts that leave nothing that is lost", () => {
      for (const text of nothing) assert.isUndefined(leftBehind(text), text)
    })
  })
}

cases("PostgreSQL", pg, [
  "SET search_path = a",
  "LISTEN x",
  "PREPARE p AS SELECT 1",
  "CREATE TEMP TABLE t (a int)",
  "SELECT pg_advisory_lock(1)",
  "SELECT set_config('a.b', 'c', false);",
  "SELECT 1; SET a.b = 'c'; -- end"
], [
  "RESET ALL",
  "DISCARD ALL",
  "UNLISTEN *",
  "SELECT 'SET a = b'",
  "SET search_path = a; SELECT 1",
  "CREATE TEMP TABLE t (a int); INSERT INTO t VALUES (1); SELECT * FROM t",
  "SELECT pg_advisory_xact_lock(1)",
  "SELECT my_function()"
])

cases("MySQL", mysql, [
  "SET @x = 1",
  "SET NAMES utf8mb4",
  "SET SESSION sql_mode = ''",
  "/* c */ USE other",
  "PREPARE p FROM 'SELECT 1'",
  "CREATE TEMPORARY TABLE t (a int)",
  "CREATE OR REPLACE TEMPORARY TABLE t (a int)",
  "LOCK TABLES t READ",
  "SELECT GET_LOCK('a', 1)",
  "SELECT 1 INTO @x",
  "SELECT 1; SET @x = 1"
], [
  "SET GLOBAL max_connections = 1",
  "SET PERSIST max_connections = 1",
  "SET PASSWORD = 'x'",
  "SELECT ':='",
  "SET @x = 1; SELECT @x",
  "CREATE PROCEDURE p() SET @x = 1",
  "UNLOCK TABLES",
  "CALL p()"
])

cases("SQL Server", mssql, [
  "SET NOCOUNT ON",
  "USE other",
  "CREATE TABLE #t (a int)",
  "SELECT 1 AS a INTO #t",
  "EXECUTE AS USER = 'x'",
  "EXEC sp_set_session_context N'a', N'b'",
  "EXEC sp_getapplock @Resource = 'a', @LockMode = 'Exclusive', @LockOwner = 'Session'"
], [
  "SET NOCOUNT ON; SELECT 1",
  "DECLARE @x int; SET @x = 1",
  "UPDATE t SET a = 1",
  "INSERT INTO #t SELECT 1",
  "EXEC p"
])

cases("SQLite", sqlite, [
  "PRAGMA foreign_keys = OFF",
  "PRAGMA main.cache_size(10);",
  "ATTACH 'a' AS b",
  "CREATE TEMP TABLE t (a)",
  "CREATE TEMPORARY VIEW v AS SELECT 1",
  "CREATE TABLE temp.t (a)",
  "PRAGMA journal_mode = DELETE"
], [
  "PRAGMA foreign_keys",
  "PRAGMA user_version = 3",
  "PRAGMA journal_mode = WAL",
  "CREATE TABLE temp (a)",
  "CREATE TEMP TABLE t (a); INSERT INTO t VALUES (1)"
])
