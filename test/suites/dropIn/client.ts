/** The members of `SqlClient` beyond its constructor. */
import * as Reactivity from "@effect/experimental/Reactivity"
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Mailbox from "effect/Mailbox"
import * as Stream from "effect/Stream"
import { type DropIn, snake, test } from "./target.js"

const sqlClient = SqlClient.SqlClient

const numbers = Effect.gen(function*() {
  const sql = yield* sqlClient
  yield* sql`CREATE TABLE numbers (n INTEGER NOT NULL)`
  return {
    sql,
    add: (n: number) => sql`INSERT INTO numbers ${sql.insert({ n })}`,
    all: Effect.map(sql<{ n: number }>`SELECT n FROM numbers ORDER BY n`, (rows) => rows.map((row) => row.n))
  }
})

export const client = (target: DropIn): void => {
  describe("SqlClient", () => {
    test(
      target,
      "is what the tag gives, has its type id, and `safe` is a client too",
      Effect.gen(function*() {
        const sql = yield* sqlClient
        assert.isTrue(SqlClient.TypeId in sql)
        assert.deepStrictEqual(yield* sql.safe<{ one: number }>`SELECT 1 AS one`, [{ one: 1 }])
      })
    )

    test(
      target,
      "`withoutTransforms` leaves names alone, and is in the same transaction",
      Effect.gen(function*() {
        const sql = yield* sqlClient
        const plain = sql.withoutTransforms()
        yield* sql`CREATE TABLE person (first_name VARCHAR(20))`
        yield* sql.withTransaction(Effect.gen(function*() {
          yield* sql`INSERT INTO person ${sql.insert({ firstName: "ada" })}`
          assert.deepStrictEqual(yield* sql`SELECT ${sql("firstName")} FROM person`, [{ firstName: "ada" }])
          assert.deepStrictEqual(yield* plain`SELECT ${plain("first_name")} FROM person`, [{ first_name: "ada" }])
          yield* plain`UPDATE person SET ${plain.update({ first_name: "bob" })}`
        }))
        assert.deepStrictEqual(yield* plain`SELECT * FROM person`, [{ first_name: "bob" }])
        assert.deepStrictEqual(yield* plain.withoutTransforms()`SELECT * FROM person`, [{ first_name: "bob" }])
      }),
      snake
    )

    test(
      target,
      "`withTransaction` commits, rolls back on failure, defect and interrupt, and gives its value or error",
      Effect.gen(function*() {
        const { add, all, sql } = yield* numbers
        assert.strictEqual(yield* sql.withTransaction(Effect.as(add(1), "value")), "value")
        assert.strictEqual(yield* Effect.flip(sql.withTransaction(Effect.zipRight(add(2), Effect.fail("no")))), "no")
        const died = yield* Effect.exit(sql.withTransaction(Effect.zipRight(add(3), Effect.die("defect"))))
        assert.isTrue(Exit.isFailure(died))
        const entered = yield* Deferred.make<void>()
        const fiber = yield* Effect.fork(
          sql.withTransaction(
            Effect.zipRight(add(4), Effect.zipRight(Deferred.succeed(entered, undefined), Effect.never))
          )
        )
        yield* Deferred.await(entered)
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(yield* all, [1])
      })
    )

    test(
      target,
      "`withTransaction` inside another undoes what it did alone, and the outer one undoes all",
      Effect.gen(function*() {
        const { add, all, sql } = yield* numbers
        yield* sql.withTransaction(Effect.gen(function*() {
          yield* add(1)
          yield* Effect.ignore(sql.withTransaction(Effect.zipRight(add(2), Effect.fail("inner"))))
          yield* sql.withTransaction(add(3))
        }))
        assert.deepStrictEqual(yield* all, [1, 3])
        yield* Effect.ignore(
          sql.withTransaction(Effect.zipRight(sql.withTransaction(add(4)), Effect.fail("outer")))
        )
        assert.deepStrictEqual(yield* all, [1, 3])
      })
    )

    test(
      target,
      "a client that a service took when it was built follows the transaction of its caller",
      Effect.gen(function*() {
        const { add, all, sql } = yield* numbers
        const service = { add: (n: number) => add(n) }
        yield* Effect.ignore(sql.withTransaction(Effect.zipRight(service.add(1), Effect.fail("no"))))
        assert.deepStrictEqual(yield* all, [])
      })
    )

    test(
      target,
      "`reserve` gives a connection for as long as the scope lasts",
      Effect.gen(function*() {
        const { all, sql } = yield* numbers
        yield* Effect.scoped(Effect.gen(function*() {
          const connection = yield* sql.reserve
          yield* connection.executeUnprepared("BEGIN", [], undefined)
          yield* connection.executeUnprepared("INSERT INTO numbers VALUES (1)", [], undefined)
          yield* connection.executeUnprepared("ROLLBACK", [], undefined)
          yield* connection.execute("INSERT INTO numbers VALUES (2)", [], undefined)
        }))
        assert.deepStrictEqual(yield* all, [2])
      })
    )

    test(
      target,
      "`reactive` and `reactiveMailbox` run a query again when its keys are invalidated",
      Effect.gen(function*() {
        const { add, all, sql } = yield* numbers
        const reactivity = yield* Reactivity.Reactivity
        const mailbox = yield* sql.reactiveMailbox(["numbers"], all)
        assert.deepStrictEqual(yield* mailbox.take, [])
        const streamed = yield* Mailbox.make<ReadonlyArray<number>>()
        yield* Effect.forkScoped(Stream.runForEach(sql.reactive(["numbers"], all), (rows) => streamed.offer(rows)))
        assert.deepStrictEqual(yield* streamed.take, [])
        yield* reactivity.mutation(["numbers"], add(1))
        assert.deepStrictEqual(yield* mailbox.take, [1])
        assert.deepStrictEqual(yield* streamed.take, [1])
      })
    )
  })
}
