import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Db } from "../src/Db.js"
import * as DbKey from "../src/DbKey.js"
import * as DbTest from "../src/DbTest.js"
import { describePostgres, sharedPostgres } from "./kit/postgres.js"

/** Tables whose key is what `Db.info` says; keys go in and come back equal. */
const roundTrip = Effect.gen(function*() {
  const { primaryKey } = yield* Db.info
  yield* Db.query(`CREATE TABLE note (id ${primaryKey.type} PRIMARY KEY)`)
  const keys = yield* Effect.replicateEffect(primaryKey.make, 100)
  yield* Effect.forEach(keys, (id) => Db.query("INSERT INTO note VALUES (:id)", { id })).pipe(Db.transaction)
  const rows = yield* Db.query("SELECT id FROM note ORDER BY id")
  const read = yield* Schema.decodeUnknown(Schema.Array(Schema.Struct({ id: primaryKey.schema })))(rows)
  assert.deepStrictEqual(read.map(({ id }) => id), keys)
  return primaryKey.type
})

describe("DbKey", () => {
  it.effect("keys are UUIDs of version 7, and sort in the order in which they were made", () =>
    Effect.gen(function*() {
      const before = Date.now()
      const keys = yield* Effect.replicateEffect(DbKey.make, 10_000)
      assert.deepStrictEqual(keys, [...keys].sort())
      assert.strictEqual(new Set(keys).size, keys.length)
      for (const key of keys.slice(0, 10)) {
        assert.match(key, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
        assert.isTrue(Schema.is(DbKey.Key)(key))
        const millis = parseInt(key.replaceAll("-", "").slice(0, 12), 16)
        assert.isTrue(millis >= before && millis <= Date.now())
      }
      assert.isFalse(Schema.is(DbKey.Key)("nonsense"))
    }))

  it.live("are text on SQLite", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* roundTrip, "text")
    }).pipe(Effect.provide(DbTest.sqlite())))

  describePostgres("on PostgreSQL", () => {
    it.live("are uuid", () =>
      Effect.gen(function*() {
        assert.strictEqual(yield* roundTrip, "uuid")
      }).pipe(Effect.provide(DbTest.postgres({ url: sharedPostgres().url }))))
  })
})
