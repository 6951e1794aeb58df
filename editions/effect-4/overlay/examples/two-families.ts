/**
 * Two databases of different families in one program: it reads SQL Server (or MySQL) and writes PostgreSQL.
 *
 *     LEGACY_DATABASE_URL=mssql://user:password@localhost:1433/shop DATABASE_URL=postgres://user:password@localhost:5432/app \
 *       npx tsx examples/two-families.ts
 */
import { NodeRuntime } from "@effect/platform-node"
import { Array as Arr, Console, Effect, Layer, Stream } from "effect"
import { SqlClient } from "effect/sql"
import { Db, DbLive } from "../src/index.js"

/** The old shop. Its family is a matter of its URL. */
class Legacy extends Db.Tag("Legacy")<Legacy>() {}

interface Order {
  readonly id: number
  readonly customer: string
  readonly total: string
}

const table = (name: string) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`DROP TABLE IF EXISTS ${sql(name)}`
    yield* sql`CREATE TABLE ${
      sql(name)
    } (id INT PRIMARY KEY, customer VARCHAR(50) NOT NULL, total DECIMAL(10, 2) NOT NULL)`
  })

/** Orders for the old shop, so that there is something to read. */
const fill = Effect.gen(function*() {
  yield* table("dblive_example_order")
  const sql = yield* SqlClient.SqlClient
  const orders = Arr.makeBy(250, (i) => ({ id: i + 1, customer: `customer ${i % 7}`, total: `${i}.50` }))
  yield* sql`INSERT INTO dblive_example_order ${sql.insert(orders)}`
}).pipe(Legacy.session)

const copy = Effect.gen(function*() {
  yield* table("dblive_example_copy").pipe(Db.session)
  const legacy = yield* Legacy.sql

  // Read as they are asked for, written a hundred at a time: a transaction of PostgreSQL each.
  yield* legacy<Order>`SELECT id, customer, total FROM dblive_example_order ORDER BY id`.stream.pipe(
    Stream.grouped(100),
    Stream.runForEach((orders) =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* sql`INSERT INTO dblive_example_copy ${sql.insert(Arr.map(orders, (order) => ({ ...order })))}`
      }).pipe(Db.transaction)
    )
  )
  const [row] = yield* Db.query<{ n: number; sum: string }>(
    "SELECT count(*)::int AS n, sum(total) AS sum FROM dblive_example_copy"
  )
  const from = yield* Legacy.info
  const to = yield* Db.info
  yield* Console.log(`copied ${row!.n} orders of ${row!.sum} from ${from.type} to ${to.type}`)
})

const isSet = (name: string, families: RegExp) => families.test(process.env[name] ?? "")

if (isSet("LEGACY_DATABASE_URL", /^(?:mssql|sqlserver|mysql|mariadb):/) && isSet("DATABASE_URL", /^postgres/)) {
  Effect.andThen(fill, copy).pipe(Effect.provide(Layer.merge(DbLive, Legacy.layerEnv)), NodeRuntime.runMain)
} else {
  console.log(
    "This example needs two databases: LEGACY_DATABASE_URL of SQL Server or MySQL, and DATABASE_URL of PostgreSQL"
  )
}
