import { SqlClient } from "@effect/sql"
import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, Exit, Schedule, Stream, TestClock } from "effect"
import { Db } from "../../src/Db.js"
import { ConnectionError } from "../../src/DbError.js"
import * as DbTest from "../../src/DbTest.js"

class Other extends Db.Tag("Other")<Other>() {}

describe("mock", () => {
  it.effect("answers by text, pattern and function", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      expect(
        yield* sql`SELECT id FROM note
        WHERE id = ${1}`
      ).toEqual([{ id: 1 }])
      expect(yield* sql`SELECT id FROM note WHERE id = ${2}`.values).toEqual([[2]])
      expect(yield* sql`INSERT INTO note ${sql.insert({ body: "x" })}`.raw).toMatchObject({ changes: 3 })
      expect(yield* Db.query("SELECT anything", [7])).toEqual([{ text: "SELECT anything", first: 7 }])
      expect(yield* Stream.runCollect(sql`SELECT many`.stream).pipe(Effect.map((rows) => [...rows]))).toEqual([
        { n: 1 },
        { n: 2 }
      ])
    }).pipe(Effect.provide(DbTest.mock([
      { statement: "SELECT id FROM note WHERE id = ?", params: [1], rows: [{ id: 1 }] },
      { statement: "SELECT id FROM note WHERE id = ?", rows: [{ id: 2 }] },
      { statement: /^insert into note/i, affected: 3 },
      { statement: "SELECT many", rows: [{ n: 1 }, { n: 2 }] },
      {
        statement: ({ text }) => text.endsWith("anything"),
        answer: ({ params, text }) => ({ rows: [{ text, first: params[0] }] })
      }
    ]))))

  it.effect("says what a statement has written", () =>
    Effect.gen(function*() {
      expect(yield* Db.execute("INSERT INTO note (body) VALUES ('x')")).toEqual({
        rows: [],
        rowsAffected: 1,
        lastInsertId: 7
      })
      expect(yield* Db.execute("UPDATE note RETURNING id")).toMatchObject({ rows: [{ id: 1 }], rowsAffected: 1 })
      expect(yield* Db.execute("SELECT id FROM note")).toMatchObject({ rows: [{ id: 1 }], rowsAffected: 0 })
      expect(yield* Db.scalar("SELECT id FROM note")).toBe(1)
      expect(yield* Effect.flip(Db.one("SELECT nothing"))).toMatchObject({ reason: "NotFound" })
    }).pipe(Effect.provide(DbTest.mock([
      { statement: /^INSERT/, affected: 1, lastInsertId: 7 },
      { statement: "SELECT nothing" },
      { statement: /id/, rows: [{ id: 1 }] }
    ]))))

  it.effect("speaks the dialect it is told", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      expect(yield* sql`SELECT ${1}`.raw).toMatchObject({ command: "SELECT", rowCount: 1 })
    }).pipe(Effect.provide(DbTest.mock([{ statement: "SELECT $1", rows: [{ x: 1 }] }], { dialect: "pg" }))))

  it.effect("fails with the errors it is told, and rolls back", () =>
    Effect.gen(function*() {
      const unique = yield* Db.query("INSERT 1").pipe(Db.transaction, Effect.flip)
      expect(unique).toMatchObject({
        _tag: "QueryError",
        reason: "UniqueViolation",
        outcome: "RolledBack",
        constraint: "note_body",
        database: "default",
        statement: "INSERT 1"
      })
      const lost = yield* Db.query("INSERT 2").pipe(Effect.flip)
      expect(lost).toMatchObject({ _tag: "ConnectionError", reason: "Lost", outcome: "Unknown" })
      // The connection that was lost is replaced.
      expect(yield* Db.query("SELECT 1")).toEqual([])
      expect((yield* DbTest.statements).map(({ text }) => text)).toEqual([
        "BEGIN",
        "INSERT 1",
        "ROLLBACK",
        "INSERT 2",
        "SELECT 1"
      ])
    }).pipe(Effect.provide(DbTest.mock([
      { statement: "INSERT 1", error: { reason: "UniqueViolation", constraint: "note_body" } },
      {
        statement: "INSERT 2",
        error: new ConnectionError({ what: "lost", reason: "Lost", outcome: "Unknown", database: "default" })
      },
      { statement: "SELECT 1" }
    ]))))

  it.effect("lets retries be seen", () =>
    Effect.gen(function*() {
      yield* Db.query("UPDATE account").pipe(Db.transaction({ retry: Schedule.recurs(3) }))
      expect((yield* DbTest.statements).filter(({ kind }) => kind === "query")).toHaveLength(3)
    }).pipe(Effect.provide(DbTest.mock([
      { statement: "UPDATE account", times: 2, error: { reason: "Serialization" } },
      { statement: "UPDATE account" }
    ]))))

  it.effect("records parameters", () =>
    Effect.gen(function*() {
      yield* Db.query("SELECT :a, :b", { a: 1, b: "two" })
      expect(yield* DbTest.statements).toMatchObject([{ text: "SELECT ?, ?", params: [1, "two"], kind: "query" }])
    }).pipe(Effect.provide(DbTest.mock([{ statement: /SELECT/ }]))))

  it.effect("an unexpected statement fails, and fails the test though its error was caught", () =>
    Effect.gen(function*() {
      let seen = ""
      const exit = yield* Effect.exit(
        Db.query("SELECT  other FROM note").pipe(
          Effect.catchAll((error) => Effect.sync(() => void (seen = error.message))),
          Effect.provide(DbTest.mock([
            { statement: "SELECT id\n  FROM note", times: 1 },
            { statement: /UPDATE/ }
          ]))
        )
      )
      const expected = "unexpected statement:\n  SELECT other FROM note\n" +
        "expected one of:\n  SELECT id FROM note\n  /UPDATE/"
      expect(seen).toContain(expected)
      const pretty = Exit.isFailure(exit) ? Cause.pretty(exit.cause) : ""
      expect(pretty).toContain(`MockError: ${expected}`)
      expect(pretty).toContain("expected once, came never:\n  SELECT id FROM note")
    }))

  it.effect("says why a statement that looks alike did not match", () =>
    Effect.gen(function*() {
      const say = (expectation: DbTest.Expectation) =>
        Effect.zipRight(Db.query("SELECT ?", [1]).pipe(Effect.ignore), Db.query("SELECT ?", [2])).pipe(
          Effect.flip,
          Effect.map(({ message }) => message),
          Effect.provide(DbTest.mock([expectation])),
          Effect.exit,
          Effect.map((exit) => Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "")
        )
      expect(yield* say({ statement: "SELECT ?", params: [1] })).toContain("SELECT ? (with other parameters)")
      expect(yield* say({ statement: "SELECT ?", times: 1 })).toContain("expected once, and came so often already")
    }))

  it.effect("answers health checks as it is told", () =>
    Effect.gen(function*() {
      let isHealthy = true
      yield* Effect.gen(function*() {
        expect([yield* Db.ping, (yield* Db.health).status]).toEqual([true, "healthy"])
        isHealthy = false
        // A report is given again for a while.
        yield* TestClock.adjust("2 seconds")
        expect([yield* Db.ping, (yield* Db.health).status]).toEqual([false, "unhealthy"])
      }).pipe(Effect.provide(DbTest.mock([], { health: () => isHealthy })))
    }))

  it.effect("stands in for a named database", () =>
    Effect.gen(function*() {
      expect(yield* Other.query("SELECT 1")).toEqual([{ x: 1 }])
      expect(yield* DbTest.statementsOf(Other)).toHaveLength(1)
    }).pipe(Effect.provide(DbTest.mock([{ statement: "SELECT 1", rows: [{ x: 1 }] }], { database: Other }))))
})
