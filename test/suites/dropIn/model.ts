/** `Model`: its repositories and data loaders. */
import * as Model from "@effect/sql/Model"
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { type DropIn, snake, test } from "./target.js"

class User extends Model.Class<User>("User")({
  id: Model.Generated(Schema.Int),
  fullName: Schema.String,
  nickname: Model.FieldOption(Schema.String),
  admin: Model.BooleanFromNumber,
  tags: Model.JsonFromString(Schema.Array(Schema.String)),
  createdAt: Model.DateTimeInsert
}) {}

const ada = User.insert.make({
  fullName: "Ada L.",
  nickname: Option.none(),
  admin: true,
  tags: ["a", "b"],
  createdAt: undefined
})

export const model = (target: DropIn): void => {
  const { id, text } = target.words
  const options = { tableName: "users", idColumn: "id", spanPrefix: "User" } as const

  const table = Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql.unsafe(
      `CREATE TABLE users (id ${id}, full_name ${text}, nickname ${text}, admin INTEGER, tags ${text}, created_at ${text})`
    )
    return Effect.map(sql<{ n: number | string }>`SELECT COUNT(*) AS n FROM users`, ([row]) => Number(row?.n))
  })

  describe("Model", () => {
    test(
      target,
      "a repository inserts, updates, finds and deletes",
      Effect.gen(function*() {
        const count = yield* table
        const users = yield* Model.makeRepository(User, options)
        const inserted = yield* users.insert(ada)
        assert.deepInclude(inserted, { id: 1, fullName: "Ada L.", admin: true, tags: ["a", "b"] })
        assert.strictEqual(yield* users.insertVoid(ada), undefined)
        const changed = yield* users.update({ ...inserted, fullName: "Ada", nickname: Option.some("x") })
        assert.deepInclude(changed, { id: 1, fullName: "Ada", nickname: Option.some("x") })
        yield* users.updateVoid({ ...inserted, id: 2, admin: false })
        assert.deepStrictEqual(Option.map(yield* users.findById(2), (_) => _.admin), Option.some(false))
        assert.deepStrictEqual(yield* users.findById(9), Option.none())
        yield* users.delete(1)
        assert.strictEqual(yield* count, 1)
      }),
      snake
    )

    test(
      target,
      "a repository's writes are part of the transaction around them",
      Effect.gen(function*() {
        const count = yield* table
        const sql = yield* SqlClient.SqlClient
        const users = yield* Model.makeRepository(User, options)
        yield* Effect.ignore(sql.withTransaction(Effect.zipRight(users.insert(ada), Effect.fail("no"))))
        assert.strictEqual(yield* count, 0)
      }),
      snake
    )

    test(
      target,
      "data loaders gather what is asked for in their window",
      Effect.gen(function*() {
        const count = yield* table
        const users = yield* Model.makeDataLoaders(User, { ...options, window: "20 millis", maxBatchSize: 10 })
        const [one, two] = yield* Effect.all(
          [users.insert(ada), users.insert({ ...ada, fullName: "Bob" })],
          { concurrency: "unbounded" }
        )
        assert.sameMembers([one.fullName, two.fullName], ["Ada L.", "Bob"])
        yield* Effect.all([users.insertVoid(ada), users.insertVoid(ada)], { concurrency: "unbounded" })
        assert.strictEqual(yield* count, 4)
        const found = yield* Effect.forEach([one.id, 99, two.id], users.findById, { concurrency: "unbounded" })
        assert.deepStrictEqual(found.map(Option.map((_) => _.fullName)), [
          Option.some(one.fullName),
          Option.none(),
          Option.some(two.fullName)
        ])
        yield* Effect.forEach([one.id, two.id], users.delete, { concurrency: "unbounded" })
        assert.strictEqual(yield* count, 2)
      }),
      snake
    )
  })
}
