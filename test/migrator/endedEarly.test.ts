/**
 * A migration whose own statements end its transaction: what the error says of it is what the database holds.
 */
import { NodeContext } from "@effect/platform-node"
import * as SqlClient from "@effect/sql/SqlClient"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { Db } from "../../src/Db.js"
import * as DbMigrator from "../../src/DbMigrator.js"
import { describeMssql, freshMssqlDatabase, mssqlOptions } from "../kit/mssql.js"
import { describeMariadb } from "../kit/mysql.js"
import { describePostgres } from "../kit/postgres.js"
import { withFixture } from "./databases.js"

type Body = string | Effect.Effect<unknown, unknown, SqlClient.SqlClient>

const failed = (body: Body) =>
  Effect.flip(DbMigrator.run(Db, { migrations: DbMigrator.fromRecord({ V1__Note: body }) }))

const notes = Effect.map(Db.query<{ x: number }>("SELECT x FROM note ORDER BY x"), (rows) => rows.map(({ x }) => x))

const ended = { _tag: "MigrationError", reason: "Failed", outcome: "Unknown" }
const undone = { _tag: "MigrationError", reason: "Failed", outcome: "RolledBack" }

describeMssql("a migration that commits by itself, on SQL Server", () => {
  const run = <A, E>(body: Effect.Effect<A, E, Db | NodeContext.NodeContext>) =>
    Effect.gen(function*() {
      const options = mssqlOptions(yield* freshMssqlDatabase)
      return yield* Effect.zipRight(Db.query("CREATE TABLE note (x INT)"), body).pipe(
        Effect.provide(Layer.merge(Layer.orDie(Db.layer(options)), NodeContext.layer)),
        Logger.withMinimumLogLevel(LogLevel.Warning)
      )
    })
  // Not seen as a COMMIT by its text, as that of a procedure is not.
  const hidden = "IF @@TRANCOUNT > 0 COMMIT TRANSACTION"

  for (const commit of ["COMMIT TRANSACTION", hidden]) {
    it.scopedLive(`${commit}: a statement behind it is not run, and what was done before is not said to be undone`, () =>
      run(Effect.gen(function*() {
        const error = yield* failed(`INSERT INTO note VALUES (1);\nGO\n${commit};\nGO\nINSERT INTO note VALUES (2);`)
        expect(error).toMatchObject({ ...ended, line: 5 })
        expect(error.message).toContain("whether the migration was rolled back is not known")
        expect(error.message).toContain("look what is")
        expect(error.message).not.toContain("nothing of this migration is left")
        expect(yield* notes).toEqual([1])
      })))
  }

  it.scopedLive("at the end of the file: it is not recorded, and not said to be committed with its row", () =>
    run(Effect.gen(function*() {
      const error = yield* failed(`INSERT INTO note VALUES (1);\n${hidden};`)
      expect(error).toMatchObject(ended)
      expect(error.message).toContain("it is not recorded")
      expect(error.message).not.toContain("does not run twice")
      expect(yield* notes).toEqual([1])
      expect(yield* Db.query("SELECT version FROM schema_version")).toEqual([])
    })))

  it.scopedLive("in the statement that fails", () =>
    run(Effect.gen(function*() {
      const error = yield* failed(`INSERT INTO note VALUES (1);\n${hidden} INSERT INTO nowhere VALUES (1);`)
      expect(error).toMatchObject({ ...ended, line: 2, code: "208" })
      expect(yield* notes).toEqual([1])
    })))

  it.scopedLive("in an effect, also in one that fails with an error of its own", () =>
    run(Effect.gen(function*() {
      const effect = Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* sql`INSERT INTO note VALUES (1)`
        yield* sql.unsafe(hidden)
        yield* Effect.ignore(sql`INSERT INTO note VALUES (2)`)
        return yield* Effect.fail("mine")
      })
      const error = yield* failed(effect)
      expect(error).toMatchObject({ ...ended, serverMessage: "mine" })
      expect(error.message).toContain("whether the migration was rolled back is not known")
      expect(yield* notes).toEqual([1])
    })))

  it.scopedLive("without one: nothing is left, and it is said", () =>
    run(Effect.gen(function*() {
      const error = yield* failed("INSERT INTO note VALUES (1);\nINSERT INTO nowhere VALUES (1);")
      expect(error).toMatchObject({ ...undone, line: 2 })
      expect(error.message).toContain("the migration was rolled back")
      expect(yield* notes).toEqual([])
    })))
})

describeMariadb("a migration that commits by itself, on MariaDB", () => {
  const procedure =
    "CREATE PROCEDURE keep() BEGIN INSERT INTO note VALUES (2); COMMIT; INSERT INTO nowhere VALUES (1); END"

  it.scopedLive("in a procedure that fails behind its COMMIT, and in a prepared statement", () =>
    withFixture("mysql", () =>
      Effect.gen(function*() {
        for (
          const failing of ["CALL keep()", "EXECUTE IMMEDIATE 'CREATE TABLE t (x INT)'; INSERT INTO nowhere VALUES (1)"]
        ) {
          yield* Db.script("DROP TABLE IF EXISTS note, t, schema_version; CREATE TABLE note (x INT)")
          yield* Db.query("DROP PROCEDURE IF EXISTS keep")
          yield* Db.query(procedure)
          const error = yield* failed(`INSERT INTO note VALUES (1);\n${failing};`)
          expect(error).toMatchObject(ended)
          expect(error.message).toContain("stay")
          expect(error.message).not.toContain("rolled back")
          expect((yield* notes)[0]).toBe(1)
        }
      })))

  it.scopedLive("in a procedure that is the whole file", () =>
    withFixture("mysql", () =>
      Effect.gen(function*() {
        yield* Db.query("CREATE TABLE note (x INT)")
        yield* Db.query(procedure)
        expect(yield* failed("CALL keep()")).toMatchObject({ ...ended, line: 1 })
        expect(yield* notes).toEqual([2])
      })))
})

describePostgres("a migration that commits by itself, on PostgreSQL", () => {
  const procedure = "CREATE PROCEDURE keep() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO note VALUES (2); COMMIT; " +
    "INSERT INTO nowhere VALUES (1); END $$"

  it.scopedLive("is refused in its transaction, and nothing is left", () =>
    withFixture("pg", () =>
      Effect.gen(function*() {
        yield* Db.script(`CREATE TABLE note (x INT); ${procedure}`)
        const error = yield* failed("INSERT INTO note VALUES (1);\nCALL keep();")
        expect(error).toMatchObject({ ...undone, line: 2, code: "2D000" })
        expect(error.message).toContain("the migration was rolled back")
        expect(yield* notes).toEqual([])
      })))

  it.scopedLive("commits where the file has no transaction", () =>
    withFixture("pg", () =>
      Effect.gen(function*() {
        yield* Db.script(`CREATE TABLE note (x INT); ${procedure}`)
        const error = yield* failed("-- dblive: no-transaction\nCALL keep();")
        expect(error).toMatchObject({ ...ended, line: 2, code: "42P01" })
        expect(yield* notes).toEqual([2])
      })))
})
