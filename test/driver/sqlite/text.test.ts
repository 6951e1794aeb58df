import { describe, it } from "@effect/vitest"
import { deepStrictEqual, strictEqual } from "@effect/vitest/utils"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import { facts, mayWrite, split, together } from "../../../src/internal/driver/sqlite/text.js"
import { execute, single } from "./harness.js"

describe("splitting a text into statements", () => {
  it("takes texts apart where SQLite does", () => {
    const cases: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
      ["", []],
      [" ; -- x\n ; /* y */ ;", []],
      ["SELECT 1", ["SELECT 1"]],
      ["SELECT 1;", ["SELECT 1"]],
      ["SELECT 1; -- first\n SELECT 2 /* ; */ + 1", ["SELECT 1", "SELECT 2 /* ; */ + 1"]],
      ["SELECT ';', \";\", `;`, [;]; SELECT 'it''s;'", ["SELECT ';', \";\", `;`, [;]", "SELECT 'it''s;'"]],
      ["SELECT 1;;/* c */;SELECT 2", ["SELECT 1", "SELECT 2"]],
      [
        "CREATE TABLE e(x); CREATE TEMP TRIGGER g AFTER INSERT ON e BEGIN SELECT CASE 1 WHEN 1 THEN 2 END; SELECT 2; END; SELECT 3",
        [
          "CREATE TABLE e(x)",
          "CREATE TEMP TRIGGER g AFTER INSERT ON e BEGIN SELECT CASE 1 WHEN 1 THEN 2 END; SELECT 2; END",
          "SELECT 3"
        ]
      ],
      ["EXPLAIN QUERY PLAN SELECT 1; SELECT 2", ["EXPLAIN QUERY PLAN SELECT 1", "SELECT 2"]],
      ["SELECT 'unterminated; SELECT 2", ["SELECT 'unterminated; SELECT 2"]],
      ["SELECT 1 /* unterminated; SELECT 2", ["SELECT 1"]],
      ["BEGIN; END; SELECT 1", ["BEGIN", "END", "SELECT 1"]]
    ]
    for (const [text, statements] of cases) {
      deepStrictEqual(split(text), statements)
    }
  })

  it("gives back what was put together", () => {
    const statement = fc.constantFrom(
      "SELECT ';' AS \"a;b\"",
      "INSERT INTO t VALUES ('it''s')",
      "CREATE TRIGGER g DELETE ON t BEGIN DELETE FROM u; END",
      "SELECT [a;b] -- ; no end\n FROM t",
      "SELECT 1 /* ; */ + 2"
    )
    const gap = fc.constantFrom(";", " ; ", ";\n-- c;c\n", "; /* ; */ ;", ";;")
    fc.assert(fc.property(fc.array(fc.tuple(statement, gap)), (parts) => {
      deepStrictEqual(split(parts.map(([text, gap]) => text + gap).join("")), parts.map(([text]) => text))
    }))
  })
})

describe("the BEGIN of several statements", () => {
  it("is IMMEDIATE when one of them writes, and none when one cannot be in a transaction", () => {
    strictEqual(together(["SELECT 1", "VALUES (1)"]), "BEGIN")
    strictEqual(together(["SELECT 1", "DELETE FROM t"]), "BEGIN IMMEDIATE")
    for (const apart of ["BEGIN", "commit", "/* c */ PRAGMA x", "VACUUM", "ATTACH 'x' AS y", "SAVEPOINT a"]) {
      strictEqual(together(["SELECT 1", apart]), undefined)
    }
  })
})

const texts: ReadonlyArray<readonly [text: string, writes: boolean]> = [
  ["SELECT 1", false],
  ["-- c\n select replace('a', 'b', 'c') from t", false],
  ["VALUES (1)", false],
  ["EXPLAIN DELETE FROM t", false],
  ["WITH r AS (SELECT replace(x, 'a', 'b') FROM t) SELECT * FROM r", false],
  ["WITH r AS (SELECT 1) INSERT INTO t SELECT * FROM r", true],
  ["WITH r AS (SELECT 1) DELETE FROM t", true],
  ["WITH r AS (SELECT 1) UPDATE t SET x = 1", true],
  ["INSERT INTO t VALUES (1)", true],
  ["REPLACE INTO t VALUES (1)", true],
  ["UPDATE t SET x = 1", true],
  ["DELETE FROM t", true],
  ["CREATE TABLE u(x)", true],
  ["CREATE INDEX i ON t(x)", true],
  ["DROP TABLE t", true],
  ["ALTER TABLE t ADD COLUMN y", true],
  ["REINDEX", true],
  ["ANALYZE", true],
  ["VACUUM", true],
  ["BEGIN", false],
  ["BEGIN DEFERRED", false],
  ["BEGIN IMMEDIATE", true],
  ["begin exclusive transaction", true],
  ["SAVEPOINT a", false],
  ["PRAGMA user_version", false],
  ["PRAGMA user_version = 4", true],
  ["PRAGMA table_info(t)", false],
  ["PRAGMA main.table_info('t')", false],
  ["PRAGMA wal_checkpoint", true],
  ["PRAGMA optimize", true],
  ["SELECT 1; DELETE FROM t", true],
  ["SELECT 1; SELECT 2", false],
  ["CREATE TABLE w(x); INSERT INTO w VALUES (1)", true],
  ["", false],
  ["SELEC", false]
]

describe("whether a statement writes", () => {
  it.scoped("is the same by its text and by SQLite", () =>
    Effect.gen(function*() {
      const connection = yield* single({})
      yield* execute(connection, "CREATE TABLE t(x UNIQUE)")
      for (const [text, writes] of texts) {
        strictEqual(connection.writes(text), writes, text)
        if (text !== "SELEC") {
          // A text that is no statement: without SQLite it may be one that writes.
          strictEqual(mayWrite(text), writes, text)
        }
      }
    }))
})

describe("what a statement leaves behind in its session", () => {
  it("is known by the text", () => {
    const left = (text: string) => {
      const { change } = facts(text)
      return change?._tag === "Pragma" ? `${change.schema ?? ""}.${change.name}` : change?._tag
    }
    strictEqual(left("CREATE TABLE t(x)"), undefined)
    strictEqual(left("create /* c */ temp table t(x)"), "Temp")
    strictEqual(left("CREATE VIRTUAL TABLE temp.t USING fts5(x)"), "Temp")
    strictEqual(left("ATTACH 'x' AS y"), "Attach")
    strictEqual(left("PRAGMA foreign_keys"), undefined)
    strictEqual(left("PRAGMA foreign_keys = 0"), ".FOREIGN_KEYS")
    strictEqual(left("PRAGMA main.cache_size(3)"), "MAIN.CACHE_SIZE")
    strictEqual(left("PRAGMA user_version = 3"), undefined)
    strictEqual(left("PRAGMA table_info(t)"), undefined)
  })
})
