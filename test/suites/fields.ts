/** Columns by `DbSchema`: the same value from every database. */
import * as Model from "@effect/sql/Model"
import { assert } from "@effect/vitest"
import * as BigDecimal from "effect/BigDecimal"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Db } from "../../src/Db.js"
import type { DatabaseType } from "../../src/DbConfig.js"
import * as DbSchema from "../../src/DbSchema.js"
import { describe, type Target, test } from "./target.js"

const mysql = "id BIGINT, big BIGINT, amount DECIMAL(65, 20), active TINYINT(1), opened DATETIME(3), settings JSON"

const tables: Readonly<Record<DatabaseType, string>> = {
  sqlite: "id INTEGER, big INTEGER, amount TEXT, active INTEGER, opened TEXT, settings TEXT",
  postgresql: "id bigserial, big bigint, amount numeric, active boolean, opened timestamptz, settings jsonb",
  mysql,
  mariadb: mysql,
  mssql: "id BIGINT, big BIGINT, amount DECIMAL(38, 10), active BIT, opened DATETIME2(3), settings NVARCHAR(4000)"
}

const Settings = Schema.Struct({
  theme: Schema.String,
  since: Schema.DateFromString,
  sizes: Schema.Array(Schema.Number)
})

class Account extends Model.Class<Account>("Account")({
  id: DbSchema.field(DbSchema.Int),
  big: DbSchema.field(DbSchema.BigInt),
  amount: DbSchema.field(DbSchema.Decimal),
  active: DbSchema.field(DbSchema.Boolean),
  opened: DbSchema.field(DbSchema.DateTime),
  settings: DbSchema.field(DbSchema.Json(Settings))
}) {}

const accounts: ReadonlyArray<typeof Account.insert.Type> = [
  {
    id: 1,
    big: 2n ** 63n - 1n,
    amount: BigDecimal.unsafeFromString("123456789012345678.1234567"),
    active: true,
    opened: DateTime.unsafeMake("2026-02-03T04:05:06.789Z"),
    settings: { theme: "däрk \"", since: new Date("2001-01-01T00:00:00.000Z"), sizes: [1, 2.5] }
  },
  {
    id: 2,
    big: -7n,
    amount: BigDecimal.unsafeFromString("-0.0000001"),
    active: false,
    opened: DateTime.unsafeMake("1999-12-31T23:59:59.000Z"),
    settings: { theme: "", since: new Date(0), sizes: [] }
  },
  {
    id: 3,
    big: 0n,
    amount: BigDecimal.normalize(BigDecimal.unsafeFromString("12000000000000000000")),
    active: true,
    opened: DateTime.unsafeMake("2026-06-30T12:00:00.001Z"),
    settings: { theme: "{\"a\":1}", since: new Date(1), sizes: [0] }
  }
]

export const fields = (target: Target): void => {
  describe("columns by schema", () => {
    test(
      target,
      "what is written by a model is read by it, the same from every database",
      Effect.gen(function*() {
        const { type } = yield* Db.info
        yield* Db.query(`CREATE TABLE account (${tables[type]})`)
        const sql = yield* Db.sql
        for (const account of accounts) {
          const row = yield* Schema.encode(Account.insert)(Account.insert.make(account))
          yield* Db.execute(sql`INSERT INTO account ${sql.insert(row)}`)
        }
        const read = yield* Db.query("SELECT * FROM account ORDER BY id", {}, { schema: Account })
        assert.deepStrictEqual(read.map((account) => ({ ...account })), accounts)
        const json = yield* Schema.encode(Schema.parseJson(Schema.Array(Account.json)))(read)
        const again = yield* Schema.decode(Schema.parseJson(Schema.Array(Account.json)))(json)
        assert.deepStrictEqual(
          again.map(({ amount, ...rest }) => ({ ...rest, amount: BigDecimal.normalize(amount) })),
          [
            ...accounts
          ]
        )
      })
    )

    test(
      target,
      "are found by the values that they were given",
      Effect.gen(function*() {
        const { type } = yield* Db.info
        yield* Db.query(`CREATE TABLE account (${tables[type]})`)
        const sql = yield* Db.sql
        const account = accounts[0]!
        yield* Db.execute(
          sql`INSERT INTO account ${sql.insert(yield* Schema.encode(Account.insert)(Account.insert.make(account)))}`
        )
        const { active, big, opened } = yield* Schema.encode(Account.insert)(Account.insert.make(account))
        const found = yield* Db.query(
          "SELECT id FROM account WHERE big = :big AND active = :active AND opened = :opened",
          {
            active: active as boolean,
            big,
            opened
          },
          { schema: Schema.Struct({ id: DbSchema.Int }) }
        )
        assert.deepStrictEqual(found, [{ id: 1 }])
        assert.strictEqual(yield* Db.scalar("SELECT count(*) FROM account", {}, { schema: DbSchema.Count }), 1)
        if (type !== "mssql") {
          // The stand-in has no SUM.
          assert.strictEqual(yield* Db.scalar("SELECT sum(id) FROM account", {}, { schema: DbSchema.Count }), 1)
        }
      })
    )
  })
}
