import * as MssqlClient from "@effect/sql-mssql/MssqlClient"
import * as Procedure from "@effect/sql-mssql/Procedure"
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Tedious from "tedious"
import { expect } from "vitest"
import { Db } from "../../../src/Db.js"
import type * as DbConfig from "../../../src/DbConfig.js"
import { make, withClient } from "../../../src/driver/Mssql.js"
import { describeMssql, freshMssqlDatabase, type MssqlDatabase, mssqlOptions } from "../../kit/mssql.js"

/** `@effect/sql-mssql` is compiled against another version of tedious: its types are the same, but not to TypeScript. */
const type = (name: "NVarChar" | "Decimal") => Tedious.TYPES[name] as never

const remember = Procedure.make("sp_set_session_context").pipe(
  Procedure.param<string>()("key", type("NVarChar")),
  Procedure.param<string>()("value", type("NVarChar"))
)

const withDb = <A, E>(
  body: (database: MssqlDatabase) => Effect.Effect<A, E, Db | MssqlClient.MssqlClient>,
  options: DbConfig.Options = {}
) =>
  Effect.flatMap(
    freshMssqlDatabase,
    (database) =>
      Effect.provide(body(database), Db.layerDriver({ ...mssqlOptions(database), ...options }, make).pipe(withClient))
  )

describeMssql("MssqlClient of a SQL Server database", () => {
  it.scopedLive("is there, with parameters of a named type", () =>
    withDb(({ password }) =>
      Effect.gen(function*() {
        const sql = yield* MssqlClient.MssqlClient
        yield* sql`CREATE TABLE t (id INT IDENTITY, amount DECIMAL(30, 10))`
        yield* sql`INSERT INTO t (amount) VALUES (${
          sql.param(type("Decimal"), "12345678901234567890.0123456789", {
            precision: 30,
            scale: 10
          })
        })`
        expect(yield* sql`SELECT * FROM t`).toEqual([{ id: 1, amount: "12345678901234567890.0123456789" }])
        expect(JSON.stringify(sql.config)).not.toContain(password)
      })
    ))

  it.scopedLive("calls procedures in the session that it is used in", () =>
    withDb(
      () =>
        Effect.gen(function*() {
          const sql = yield* MssqlClient.MssqlClient
          const seen = sql<{ v: string | null }>`SELECT CAST(SESSION_CONTEXT(N'who') AS NVARCHAR(20)) AS v`
          yield* Effect.gen(function*() {
            expect(yield* sql.call(Procedure.compile(remember)({ key: "who", value: "mé" }))).toEqual({
              output: {},
              rows: []
            })
            expect(yield* seen).toEqual([{ v: "mé" }])
          }).pipe(Db.session)
          // The next borrower does not see it.
          expect(yield* seen).toEqual([{ v: null }])
        }),
      { pool: { size: 1, overflow: 0 } }
    ))

  it.scopedLive("writes rows with the helpers of its compiler", () =>
    withDb(() =>
      Effect.gen(function*() {
        const sql = yield* MssqlClient.MssqlClient
        yield* sql`CREATE TABLE t (id INT PRIMARY KEY, v NVARCHAR(20) NULL)`
        expect(yield* sql`INSERT INTO t ${sql.insert([{ id: 1, v: "a" }, { id: 2, v: null }]).returning("*")}`).toEqual(
          [
            { id: 1, v: "a" },
            { id: 2, v: null }
          ]
        )
        yield* sql`UPDATE t SET ${sql.update({ id: 1, v: "b" }, ["id"])} WHERE id = 1`
        yield* sql`UPDATE t SET v = data.v ${sql.updateValues([{ id: 2, v: "c" }], "data")} WHERE t.id = data.id`
        expect(yield* sql`SELECT v FROM t WHERE ${sql.in("id", [1, 2])} ORDER BY id`).toEqual([{ v: "b" }, { v: "c" }])
      })
    ))
})
