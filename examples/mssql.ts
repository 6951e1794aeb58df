/**
 * The same face over SQL Server, and what is its own: IDENTITY, OUTPUT, snapshot isolation.
 *
 *     DATABASE_URL=mssql://user:password@localhost:1433/app npx tsx examples/mssql.ts
 *
 * The connection is encrypted and the certificate checked. Against a server with a certificate of its own making (the one in
 * the container image has such) add `?trustServerCertificate=true`, or name its authority by `DATABASE_SSLROOTCERT`.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect } from "effect"
import { Db, DbLive } from "../src/index.js"

const program = Effect.gen(function*() {
  const sql = yield* Db.sql
  yield* sql`DROP TABLE IF EXISTS dblive_example_event`
  yield* sql`CREATE TABLE dblive_example_event (id BIGINT IDENTITY PRIMARY KEY, kind NVARCHAR(50) NOT NULL, price DECIMAL(10, 2), CONSTRAINT one_of_a_kind UNIQUE (kind))`

  yield* sql`INSERT INTO dblive_example_event ${sql.insert({ kind: "login", price: "12.50" })}`.pipe(
    Db.transaction({ isolation: "serializable" })
  )
  const rows = yield* sql<{ kind: string; price: string }>`SELECT kind, price FROM dblive_example_event`
  yield* Console.log("written and read:", JSON.stringify(rows[0]))

  const error = yield* Effect.flip(
    Db.query("INSERT INTO dblive_example_event (kind) VALUES (:kind)", { kind: "login" })
  )
  yield* Console.log(`refused: ${error.reason}, ${error._tag === "QueryError" ? error.constraint : ""}`)

  const { serverVersion, uri } = yield* Db.info
  yield* Console.log(`${uri}, SQL Server ${serverVersion}`)
})

if (/^(?:mssql|sqlserver):/.test(process.env["DATABASE_URL"] ?? "")) {
  program.pipe(Effect.provide(DbLive), NodeRuntime.runMain)
} else {
  console.log("This example needs SQL Server: DATABASE_URL=mssql://user:password@localhost:1433/app")
}
