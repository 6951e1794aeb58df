/** Migrations: in order, once, by one runner; what fails says where, and leaves what this database can undo undone. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as SqlClient from "@effect/sql/SqlClient"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { Db } from "../../src/Db.js"
import * as DbMigrator from "../../src/DbMigrator.js"
import { isWhole } from "./sessions.js"
import { describe, type Target, test } from "./target.js"

export const migrations = (target: Target): void => {
  describe("migrations", () => {
    const steps = {
      V1__Create: `CREATE TABLE note (id ${target.sql.id}, body ${target.sql.text} NOT NULL);\n` +
        "-- two; of them\nINSERT INTO note (body) VALUES ('a;b');",
      V2__Fill: Effect.flatMap(SqlClient.SqlClient, (sql) => sql`INSERT INTO note ${sql.insert({ body: "second" })}`)
    }
    const bodies = Effect.map(
      Db.query<{ body: string }>("SELECT body FROM note ORDER BY id"),
      (rows) => rows.map(({ body }) => body)
    )
    const run = (record: Readonly<Record<string, string | Effect.Effect<unknown, unknown, SqlClient.SqlClient>>>) =>
      DbMigrator.run(Db, { migrations: DbMigrator.fromRecord(record) })
    const within = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      effect.pipe(Effect.provide(NodeContext.layer), Logger.withMinimumLogLevel(LogLevel.Warning))

    if (target.sql.sessionless === true) {
      test(
        target,
        "are refused where no session can hold their lock",
        within(Effect.gen(function*() {
          const error = yield* Effect.flip(run(steps))
          assert.deepInclude(error, { _tag: "ConnectionError", reason: "Unsupported", outcome: "NotSent" })
          assert.include(error.message, "for migrations, use a direct URL")
          const missing = yield* Effect.flip(bodies)
          assert.deepInclude(missing, { _tag: "QueryError", reason: "UndefinedObject" })
          yield* isWhole
        }))
      )
      return
    }

    test(
      target,
      "run once, in order, also by several at a time",
      within(Effect.gen(function*() {
        const results = yield* Effect.all([run(steps), run(steps), run(steps)], { concurrency: "unbounded" })
        assert.deepStrictEqual(results.map(({ applied }) => applied.length).sort(), [0, 0, 2])
        assert.deepStrictEqual(yield* bodies, ["a;b", "second"])
        assert.deepStrictEqual(yield* run(steps), { applied: [], current: "2" })
        yield* isWhole
      }))
    )

    test(
      target,
      "that fail say so, are no success, and keep what went before",
      within(Effect.gen(function*() {
        const failing = {
          ...steps,
          V3__Bad: "INSERT INTO note (body) VALUES ('third');\nINSERT INTO nowhere VALUES (1);"
        }
        const error = yield* Effect.flip(run(failing))
        assert.deepInclude(error, { _tag: "MigrationError", reason: "Failed", line: 2 })
        assert.deepStrictEqual(yield* bodies, ["a;b", "second"])
        assert.deepInclude(yield* run({ ...steps, V3__Good: "INSERT INTO note (body) VALUES ('third')" }), {
          current: "3"
        })
        assert.deepStrictEqual(yield* bodies, ["a;b", "second", "third"])
        yield* isWhole
      }))
    )
  })
}
