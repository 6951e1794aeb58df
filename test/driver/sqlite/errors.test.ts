import { describe, it } from "@effect/vitest"
import { assertInclude, assertTrue, deepStrictEqual, strictEqual } from "@effect/vitest/utils"
import * as Effect from "effect/Effect"
import { connectionReasons, QueryError, queryReasons } from "../../../src/DbError.js"
import { classify, codes } from "../../../src/internal/driver/sqlite/codes.js"
import { toError } from "../../../src/internal/driver/sqlite/errors.js"
import { execute, file, places, single } from "./harness.js"

const schema = `
  CREATE TABLE team(id INTEGER PRIMARY KEY, name TEXT NOT NULL CONSTRAINT team_name UNIQUE, size INTEGER CONSTRAINT small CHECK (size < 10));
  CREATE TABLE member(team INTEGER REFERENCES team(id), a, b, UNIQUE (a, b));
  CREATE UNIQUE INDEX member_lower ON member(lower(a));
  CREATE TABLE tag(a, b);
  CREATE UNIQUE INDEX "tag key" ON tag(a, b);
  INSERT INTO tag VALUES (1, 2);
  CREATE TABLE strict_one(n INTEGER) STRICT;
  CREATE TABLE "do.t"(c NOT NULL UNIQUE);
  INSERT INTO "do.t" VALUES (1);
  CREATE TABLE odd("x, y" UNIQUE, "a.b" CONSTRAINT "UNIQUE constraint failed: t.a" CHECK ("a.b" > 0));
  INSERT INTO odd VALUES (1, 1);
  CREATE TABLE guarded(a);
  CREATE TRIGGER guard BEFORE INSERT ON guarded BEGIN SELECT RAISE(ABORT, 'UNIQUE constraint failed: team.name'); END;
  INSERT INTO team VALUES (1, 'red', 1);
  INSERT INTO member VALUES (1, 'x', 'y');
`

interface Expected {
  readonly reason: string
  readonly outcome: "NotSent" | "RolledBack"
  readonly code?: string
  readonly constraint?: string
  readonly table?: string
  readonly column?: string
  readonly advice?: string
}

const cases: ReadonlyArray<readonly [text: string, expected: Expected]> = [
  // The parser's limits.
  [`SELECT ${"1 + ".repeat(3_000)}1`, { reason: "SqlSyntax", outcome: "NotSent" }],
  [`SELECT ${"1, ".repeat(40_000)}1`, { reason: "SqlSyntax", outcome: "NotSent" }],
  [`SELECT max(${"1, ".repeat(40_000)}1)`, { reason: "SqlSyntax", outcome: "NotSent" }],
  [`SELECT 1 FROM ${Array.from({ length: 70 }, (_, i) => `tag t${i}`).join(", ")}`, {
    reason: "SqlSyntax",
    outcome: "NotSent"
  }],
  [`SELECT 1 WHERE 'a' LIKE '${"%".repeat(60_000)}'`, { reason: "DataError", outcome: "RolledBack" }],
  ["INSERT INTO team VALUES (2, 'red', 1)", {
    reason: "UniqueViolation",
    outcome: "RolledBack",
    code: "SQLITE_CONSTRAINT_UNIQUE",
    constraint: "team.name",
    table: "team",
    column: "name"
  }],
  // Names that hold a dot, a comma, or words of the message.
  ["INSERT INTO \"do.t\" VALUES (1)", {
    reason: "UniqueViolation",
    outcome: "RolledBack",
    constraint: "do.t.c"
  }],
  ["INSERT INTO \"do.t\" VALUES (NULL)", { reason: "NotNullViolation", outcome: "RolledBack" }],
  ["INSERT INTO odd VALUES (1, 1)", {
    reason: "UniqueViolation",
    outcome: "RolledBack",
    constraint: "odd.x, y",
    table: "odd",
    column: "x, y"
  }],
  ["INSERT INTO odd VALUES (2, 0)", {
    reason: "CheckViolation",
    outcome: "RolledBack",
    constraint: "UNIQUE constraint failed: t.a"
  }],
  ["INSERT INTO guarded VALUES (1)", {
    reason: "CheckViolation",
    outcome: "RolledBack",
    code: "SQLITE_CONSTRAINT_TRIGGER"
  }],
  ["SELECT 1 \"has no column named\" \"has no column named\"", { reason: "SqlSyntax", outcome: "NotSent" }],
  ["INSERT INTO team VALUES (1, 'blue', 1)", {
    reason: "UniqueViolation",
    outcome: "RolledBack",
    code: "SQLITE_CONSTRAINT_PRIMARYKEY",
    constraint: "team.id",
    table: "team",
    column: "id"
  }],
  ["INSERT INTO member VALUES (1, 'x', 'y')", {
    reason: "UniqueViolation",
    outcome: "RolledBack",
    code: "SQLITE_CONSTRAINT_UNIQUE",
    constraint: "member_lower"
  }],
  ["DROP INDEX member_lower; INSERT INTO member VALUES (1, 'x', 'y')", {
    reason: "UniqueViolation",
    outcome: "RolledBack",
    constraint: "member.a, member.b",
    table: "member"
  }],
  ["INSERT INTO tag VALUES (1, 2)", {
    reason: "UniqueViolation",
    outcome: "RolledBack",
    constraint: "tag key",
    table: "tag"
  }],
  ["INSERT INTO team VALUES (2, NULL, 1)", {
    reason: "NotNullViolation",
    outcome: "RolledBack",
    table: "team",
    column: "name"
  }],
  ["INSERT INTO team VALUES (2, 'blue', 11)", {
    reason: "CheckViolation",
    outcome: "RolledBack",
    constraint: "small"
  }],
  ["INSERT INTO member VALUES (9, 'z', 'z')", { reason: "ForeignKeyViolation", outcome: "RolledBack" }],
  ["DELETE FROM team", { reason: "ForeignKeyViolation", outcome: "RolledBack" }],
  ["INSERT INTO strict_one VALUES ('x')", { reason: "DataError", outcome: "RolledBack" }],
  ["INSERT INTO team(id, name) VALUES ('x', 'y')", { reason: "DataError", outcome: "RolledBack" }],
  ["SELECT json('{')", { reason: "DataError", outcome: "RolledBack" }],
  ["SELECT sum(n) FROM (SELECT 9223372036854775807 AS n UNION ALL SELECT 1)", {
    reason: "DataError",
    outcome: "RolledBack"
  }],
  ["SELECT zeroblob(3000000000)", { reason: "DataError", outcome: "RolledBack" }],
  ["SELEC 1", { reason: "SqlSyntax", outcome: "NotSent" }],
  ["SELECT (", { reason: "SqlSyntax", outcome: "NotSent" }],
  ["SELECT 'abc", { reason: "SqlSyntax", outcome: "NotSent" }],
  ["SELECT abs()", { reason: "SqlSyntax", outcome: "NotSent" }],
  ["INSERT INTO team VALUES (1)", { reason: "SqlSyntax", outcome: "NotSent" }],
  ["SELECT id FROM team a, team b", { reason: "SqlSyntax", outcome: "NotSent" }],
  ["SELECT 1\0; DROP TABLE team", { reason: "SqlSyntax", outcome: "NotSent" }],
  ["SELECT * FROM nowhere", { reason: "UndefinedObject", outcome: "NotSent" }],
  ["SELECT absent FROM team", { reason: "UndefinedObject", outcome: "NotSent" }],
  ["INSERT INTO team(absent) VALUES (1)", { reason: "UndefinedObject", outcome: "NotSent" }],
  ["SELECT no_function(1)", { reason: "UndefinedObject", outcome: "NotSent" }],
  ["ROLLBACK TO nowhere", { reason: "UndefinedObject", outcome: "RolledBack" }],
  ["COMMIT", { reason: "Unknown", outcome: "RolledBack" }],
  ["DELETE FROM sqlite_master", {
    reason: "Unknown",
    outcome: "NotSent",
    advice: "restore a dump that sets PRAGMA writable_schema with the sqlite3 shell, or make its virtual tables by " +
      "CREATE VIRTUAL TABLE and insert their rows"
  }]
]

describe.each(places)("errors, %s", (_, workers) => {
  it.scoped("are classified", () =>
    Effect.gen(function*() {
      const connection = yield* single({ filename: yield* file, workers })
      yield* execute(connection, schema)
      for (const [text, expected] of cases) {
        const error = yield* Effect.flip(execute(connection, text))
        assertTrue(error instanceof QueryError, text)
        const { advice, code, column, constraint, outcome, reason, table } = error
        const actual: Record<string, unknown> = { reason, outcome, code, constraint, table, column, advice }
        for (const [name, value] of Object.entries(expected)) {
          strictEqual(actual[name], value, `${name} of: ${text}`)
        }
        strictEqual(error.database, "default")
        assertInclude(error.message, "database \"default\"")
        assertTrue(error.cause instanceof Error)
      }
      deepStrictEqual(yield* execute(connection, "SELECT count(*) AS n FROM team"), [{ n: 1 }])
    }))

  it.scoped("name the statement, without values", () =>
    Effect.gen(function*() {
      const connection = yield* single({ workers })
      yield* execute(connection, schema)
      const text = "INSERT INTO team VALUES (?, ?, ?)"
      const error = yield* Effect.flip(execute(connection, text, [7, "red", 777]))
      strictEqual(error.reason, "CheckViolation")
      assertTrue(error instanceof QueryError)
      strictEqual(error.statement, text)
      assertTrue(!JSON.stringify(error).includes("777"))
    }))

  it.scoped("a write that a pragma forbids is advised on by what SQLite has", () =>
    Effect.gen(function*() {
      const connection = yield* single({ workers })
      yield* execute(connection, schema)
      yield* execute(connection, "PRAGMA query_only = ON")
      const error = yield* Effect.flip(execute(connection, "DELETE FROM tag"))
      strictEqual(error.reason, "ReadOnly")
      strictEqual(error.outcome, "RolledBack")
      assertInclude(error.advice, "PRAGMA query_only=OFF")
    }))

  it.scoped("an automatic rollback shows", () =>
    Effect.gen(function*() {
      const connection = yield* single({ workers })
      yield* execute(connection, schema)
      yield* execute(connection, "SELECT 1", [], { begin: "BEGIN IMMEDIATE" })
      strictEqual(connection.transaction, "open")
      yield* Effect.flip(execute(connection, "INSERT INTO team VALUES (1, 'x', 1)"))
      strictEqual(connection.transaction, "open")
      yield* Effect.flip(execute(connection, "INSERT OR ROLLBACK INTO team VALUES (1, 'x', 1)"))
      strictEqual(connection.transaction, "idle")
    }))

  it.scoped("a full database", () =>
    Effect.gen(function*() {
      const connection = yield* single({ filename: yield* file, workers, settings: { max_page_count: "8" } })
      yield* execute(connection, "CREATE TABLE t(x)")
      const error = yield* Effect.flip(execute(connection, "INSERT INTO t VALUES (zeroblob(1000000))"))
      strictEqual(error.reason, "DiskFull")
      strictEqual(error.outcome, "RolledBack")
      deepStrictEqual(yield* execute(connection, "SELECT * FROM t"), [])
    }))
})

describe("the table of codes", () => {
  it("names reasons that exist, by SQLite's numbers", () => {
    for (const [name, code] of Object.entries(codes)) {
      assertTrue(code.reason in (code.error === "QueryError" ? queryReasons : connectionReasons), name)
      const primary = Object.entries(codes).find(([, other]) => other.number === (code.number & 0xff))
      assertTrue(primary !== undefined && name.startsWith(primary[0]), `${name} extends its primary code`)
    }
  })

  it("stands for the extended codes that it does not list", () => {
    const failed = (code: string) =>
      toError(classify({ database: "d" }, Object.assign(new Error("disk I/O error"), { code })))
    strictEqual(failed("SQLITE_IOERR_SHORT_READ").reason, "Lost")
    strictEqual(failed("SQLITE_IOERR_SHORT_READ").outcome, "Unknown")
    strictEqual(failed("SQLITE_CANTOPEN_ISDIR").reason, "CannotOpen")
    strictEqual(failed("SQLITE_CORRUPT_INDEX").reason, "NotADatabase")
    strictEqual(failed("SQLITE_SOMETHING_NEW").reason, "Unknown")
    strictEqual(failed("SQLITE_NOMEM").reason, "OutOfMemory")
    strictEqual(failed("SQLITE_BUSY_SNAPSHOT").reason, "Serialization")
    assertTrue(failed("SQLITE_BUSY_SNAPSHOT").isTransient)
  })
})
