/**
 * The same face over MySQL and MariaDB, and what is theirs: DDL commits by itself, isolation levels, AUTO_INCREMENT.
 *
 *     DATABASE_URL=mysql://user:password@localhost:3306/app npx tsx examples/mysql.ts
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect } from "effect"
import { Db, DbLive } from "../src/index.js"

const program = Effect.gen(function*() {
  const sql = yield* Db.sql
  // Outside the transaction: a statement of DDL would commit it.
  yield* sql`CREATE TABLE IF NOT EXISTS dblive_example_event (id BIGINT AUTO_INCREMENT PRIMARY KEY, kind VARCHAR(50) UNIQUE, price DECIMAL(10, 2))`
  yield* sql`TRUNCATE TABLE dblive_example_event`

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
  yield* Console.log(`${uri}, ${serverVersion}`)
})

if (/^(?:mysql|mariadb):/.test(process.env["DATABASE_URL"] ?? "")) {
  program.pipe(Effect.provide(DbLive), NodeRuntime.runMain)
} else {
  console.log("This example needs MySQL or MariaDB: DATABASE_URL=mysql://user:password@localhost:3306/app")
}
