/** `access: "read-only"`: writes are refused by the server or the driver, whichever way they come. */
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Db } from "../../src/Db.js"
import type * as DbConfig from "../../src/DbConfig.js"
import * as DbMigrator from "../../src/DbMigrator.js"
import { describeMssql, freshMssqlDatabase, mssqlOptions } from "../kit/mssql.js"
import { describeMysql, freshMysqlDatabase } from "../kit/mysql.js"
import { describePostgres, freshDatabase } from "../kit/postgres.js"
import { folder } from "./folder.js"

class Reports extends Db.Tag("Reports")<Reports, "read-only">() {}

const readOnly = (
  suite: (name: string, body: () => void) => void,
  name: string,
  fresh: Effect.Effect<DbConfig.Options, never, Scope.Scope>
) =>
  suite(`read-only access, ${name}`, () => {
    /** A database with one table of one row; runs the effect with read-only access to it. */
    const within = <A, E>(
      effect: Effect.Effect<A, E, Db | SqlClient.SqlClient | Scope.Scope>,
      more: DbConfig.Options = {}
    ) =>
      Effect.gen(function*() {
        const options = yield* fresh
        yield* Effect.provide(
          Effect.all([Db.query("CREATE TABLE note (body varchar(100))"), Db.query("INSERT INTO note VALUES ('kept')")]),
          Db.layer(options)
        )
        const result = yield* Effect.provide(effect, Db.layer({ ...options, ...more, access: "read-only" }))
        const rows = yield* Effect.provide(Db.query<{ body: string }>("SELECT body FROM note"), Db.layer(options))
        assert.deepStrictEqual(rows, [{ body: "kept" }])
        return result
      })

    const writes = [
      "INSERT INTO note VALUES ('lost')",
      "DELETE FROM note",
      "CREATE TABLE other (a integer)",
      "DROP TABLE note"
    ]

    const refused = <E, R>(write: Effect.Effect<unknown, E, R>) =>
      Effect.map(Effect.flip(write), (error) => {
        const { outcome, reason } = error as unknown as { readonly outcome: string; readonly reason: string }
        assert.strictEqual(reason, "ReadOnly")
        assert.notStrictEqual(outcome, "Unknown")
      })

    it.scopedLive("reads are answered", () =>
      Effect.gen(function*() {
        const read = Db.query<{ body: string }>("SELECT body FROM note")
        const answers = yield* within(Effect.all([read, read.pipe(Db.session), read.pipe(Db.transaction)]))
        assert.deepStrictEqual(answers.flat(), [{ body: "kept" }, { body: "kept" }, { body: "kept" }])
      }))

    it.scopedLive("writes are refused: alone, in a session, in a transaction, in one that asks to write", () =>
      within(Effect.gen(function*() {
        for (const text of writes) {
          const write = Db.query(text)
          yield* refused(write)
          yield* refused(write.pipe(Db.session))
          yield* refused(write.pipe(Db.transaction))
          yield* refused(write.pipe(Db.transaction({ readOnly: false })))
          yield* refused(write.pipe(Db.transaction, Db.transaction))
        }
      })))

    it.scopedLive("writes are refused in transactions of @effect/sql, and in those begun by hand", () =>
      within(Effect.gen(function*() {
        const write = Effect.flatMap(SqlClient.SqlClient, (sql) => sql`INSERT INTO note VALUES ('lost')`)
        const sql = yield* SqlClient.SqlClient
        yield* refused(write.pipe(sql.withTransaction, Db.session))
        yield* Effect.scoped(Effect.gen(function*() {
          const session = yield* Db.reserve
          for (const options of [{}, { readOnly: false }]) {
            yield* session.begin(options)
            yield* refused(session.use(write))
            yield* session.rollback
          }
        }))
      })))

    it.scopedLive("migrations are refused, and change nothing; looking at them is not", () =>
      within(Effect.gen(function*() {
        const options = { migrations: DbMigrator.fromRecord({ "V1__note.sql": "CREATE TABLE lost (a integer)" }) }
        const error = yield* Effect.flip(DbMigrator.run(Db, options))
        assert.deepStrictEqual([error._tag, error.reason], ["MigrationError", "ReadOnly"])
        assert.strictEqual((yield* DbMigrator.plan(Db, options)).length, 1)
        assert.strictEqual((yield* Effect.flip(Db.query("SELECT * FROM lost"))).reason, "UndefinedObject")
      })))

    it.scopedLive("a tag that is read-only reads, and what the types do not see is refused", () =>
      Effect.gen(function*() {
        const options = yield* fresh
        yield* Effect.provide(Db.query("CREATE TABLE note (body varchar(100))"), Db.layer(options))
        yield* Effect.gen(function*() {
          const rows = Reports.query("SELECT body FROM note")
          assert.deepStrictEqual(yield* Effect.all([rows, Reports.read(rows), Reports.session(rows)]), [[], [], []])
          const write = Reports.query("INSERT INTO note VALUES ('lost')")
          yield* refused(write)
          yield* refused(Reports.read(write))
          assert.deepStrictEqual(yield* rows, [])
        }).pipe(Effect.provide(Reports.layer({ ...options, access: "read-only" })))
      }))

    it.scopedLive("Db.info says so", () =>
      Effect.gen(function*() {
        assert.strictEqual((yield* within(Db.info)).access, "read-only")
      }))
  })

readOnly(describe, "sqlite", Effect.map(folder, (folder) => ({ filename: `${folder}/a.db` })))

readOnly(describe, "sqlite in processes", Effect.map(folder, (folder) => ({ filename: `${folder}/a.db`, workers: 1 })))

readOnly(describePostgres, "postgresql", Effect.map(freshDatabase, ({ url }) => ({ url })))

readOnly(describeMysql, "mysql", Effect.map(freshMysqlDatabase, ({ url }) => ({ url, ssl: false })))

readOnly(
  describeMssql,
  "sql server",
  Effect.map(freshMssqlDatabase, mssqlOptions)
)

describePostgres("read-only access, postgresql alone", () => {
  const setting = (options: DbConfig.Options) =>
    Effect.flatMap(
      freshDatabase,
      ({ url }) =>
        Db.query<{ value: string }>("SELECT current_setting('transaction_read_only') AS value").pipe(
          Db.transaction,
          Effect.provide(Db.layer({ url, ...options }))
        )
    )

  it.scopedLive("transactions begin read-only, and no setting takes that back", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* setting({}), [{ value: "off" }])
      assert.deepStrictEqual(yield* setting({ access: "read-only" }), [{ value: "on" }])
      const settings = { default_transaction_read_only: "off" }
      assert.deepStrictEqual(yield* setting({ access: "read-only", settings }), [{ value: "on" }])
    }))

  it.scopedLive("what one borrower has switched off is on again for the next", () =>
    Effect.gen(function*() {
      const { url } = yield* freshDatabase
      yield* Effect.gen(function*() {
        yield* Db.query("SET default_transaction_read_only = off").pipe(Db.session)
        const error = yield* Effect.flip(Db.query("CREATE TABLE note (a integer)"))
        assert.strictEqual(error.reason, "ReadOnly")
      }).pipe(Effect.provide(Db.layer({ url, access: "read-only", pool: { size: 1, overflow: 0 } })))
    }))
})
