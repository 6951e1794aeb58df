/** `SqlClient.TransactionConnection` is what it is in every client: requests are kept apart by it, and programs may look at it. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import * as SqlClient from "@effect/sql/SqlClient"
import * as SqlResolver from "@effect/sql/SqlResolver"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Request from "effect/Request"
import * as RequestResolver from "effect/RequestResolver"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Db } from "../../src/Db.js"
import { describePostgres, freshDatabase } from "../kit/postgres.js"

class Ask extends Request.TaggedClass("Ask")<number, never, { readonly n: number }> {}

const answers = RequestResolver.makeBatched((asked: ReadonlyArray<Ask>) =>
  Effect.forEach(asked, (ask) => Request.succeed(ask, ask.n), { discard: true })
)

const batched = { concurrency: "unbounded", batching: true } as const

/** A table, and a resolver that writes into it and counts its batches. */
const setUp = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE b (n INTEGER PRIMARY KEY)`
  const batches: Array<ReadonlyArray<number>> = []
  const add = yield* SqlResolver.void("Add", {
    Request: Schema.Number,
    execute: (numbers) => {
      batches.push(numbers)
      return sql`INSERT INTO b ${sql.insert(numbers.map((n) => ({ n })))}`
    }
  })
  const kept = Effect.map(
    sql<{ n: number }>`SELECT n FROM b ORDER BY n`,
    (rows) => rows.map(({ n }) => n)
  )
  return { sql, add, batches, kept }
})

const suite = (layer: Layer.Layer<Db | SqlClient.SqlClient, unknown, Scope.Scope>) => {
  const test = (name: string, body: Effect.Effect<void, unknown, Db | SqlClient.SqlClient | Scope.Scope>) =>
    it.scopedLive(name, () => Effect.provide(body, layer))

  test(
    "requests of concurrent transactions are resolved each in its own",
    Effect.gen(function*() {
      const { add, batches, kept, sql } = yield* setUp
      const exits = yield* Effect.forEach([1, 2, 3], (n) =>
        Effect.either(sql.withTransaction(
          Effect.zipRight(add.execute(n), n === 1 ? Effect.fail("meant") : Effect.void)
        )), batched)
      assert.deepStrictEqual(exits, [Either.left("meant"), Either.right(undefined), Either.right(undefined)])
      assert.deepStrictEqual(batches, [[1], [2], [3]])
      assert.deepStrictEqual(yield* kept, [2, 3])
    })
  )

  test(
    "requests of one transaction are one batch, and see what it has written",
    Effect.gen(function*() {
      const { add, batches, kept, sql } = yield* setUp
      const count = yield* SqlResolver.ordered("Count", {
        Request: Schema.Void,
        Result: Schema.Number,
        execute: (asked) => Effect.map(kept, (rows) => asked.map(() => rows.length))
      })
      const seen = yield* sql.withTransaction(
        Effect.zipRight(Effect.forEach([1, 2, 3], (n) => add.execute(n), batched), count.execute(undefined))
      )
      assert.strictEqual(seen, 3)
      assert.deepStrictEqual(batches, [[1, 2, 3]])
    })
  )

  test(
    "a batched request leaves the fiber around where it was",
    Effect.gen(function*() {
      const { kept, sql } = yield* setUp
      const frames = [sql.withTransaction, Db.session, Db.transaction] as ReadonlyArray<
        <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, unknown, Db>
      >
      for (const frame of frames) {
        const body = (n: number) =>
          frame(Effect.zipRight(sql`SELECT 1 AS one`, Effect.request(new Ask({ n }), answers)))
        assert.deepStrictEqual(yield* Effect.forEach([1, 2], body, batched), [1, 2])
        assert.isTrue(Option.isNone(yield* Effect.serviceOption(SqlClient.TransactionConnection)))
        assert.deepStrictEqual(yield* kept, [])
      }
    })
  )

  test(
    "a transaction does not wait for the requests of the fibers beside it",
    Effect.gen(function*() {
      const { add, kept, sql } = yield* setUp
      // Savepoints of one transaction come one after the other. Were each to wait for the requests of all, none would end.
      const nested = yield* sql.withTransaction(
        Effect.forEach([1, 2, 3], (n) =>
          Effect.either(sql.withTransaction(
            Effect.zipRight(add.execute(n), n === 2 ? Effect.fail("meant") : Effect.void)
          )), batched)
      )
      assert.deepStrictEqual(nested.map(Either.isRight), [true, false, true])
      assert.deepStrictEqual(yield* kept, [1, 3])
      // The same with more transactions than there are connections.
      yield* Effect.forEach(
        Array.from({ length: 50 }, (_, i) => 10 + i),
        (n) => Db.transaction(Effect.zipRight(Effect.request(new Ask({ n }), answers), add.execute(n))),
        batched
      )
      assert.lengthOf(yield* kept, 52)
    })
  )

  test(
    "an interrupt while a request is resolved rolls back, and stops the request",
    Effect.gen(function*() {
      const { add, kept, sql } = yield* setUp
      const asked = yield* Deferred.make<void>()
      const stopped = yield* Deferred.make<void>()
      const never = RequestResolver.makeBatched((_: ReadonlyArray<Ask>) =>
        Effect.zipRight(Deferred.succeed(asked, undefined), Effect.never).pipe(
          Effect.onInterrupt(() => Deferred.succeed(stopped, undefined))
        )
      )
      const writing = Effect.asVoid(
        sql.withTransaction(Effect.zipRight(add.execute(1), Effect.request(new Ask({ n: 1 }), never)))
      )
      const failing = Effect.zipRight(Deferred.await(asked), Effect.fail("meant"))
      const exit = yield* Effect.exit(
        Effect.forEach([writing, failing], (one): Effect.Effect<void, unknown> => one, batched)
      )
      assert.isTrue(Exit.isFailure(exit))
      yield* Deferred.await(stopped)
      assert.deepStrictEqual(yield* kept, [])
      assert.strictEqual((yield* Db.pool).inUse, 0)
    })
  )

  test(
    "without the service, an effect is outside of the transaction",
    Effect.gen(function*() {
      const { kept, sql } = yield* setUp
      const leave = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
        Effect.mapInputContext(
          effect,
          (context: Context.Context<never>) => Context.omit(SqlClient.TransactionConnection)(context)
        )
      const insert = sql`INSERT INTO b VALUES (1)`
      assert.deepStrictEqual(yield* sql.withTransaction(Effect.zipRight(insert, leave(kept))), [])
      assert.deepStrictEqual(yield* sql.withTransaction(kept), [1])
      assert.deepStrictEqual(yield* Db.session(leave(kept)), [1])
    })
  )

  test(
    "the service counts as other clients do, and its connection runs in the transaction",
    Effect.gen(function*() {
      const { kept, sql } = yield* setUp
      const service = Effect.map(Effect.serviceOption(SqlClient.TransactionConnection), Option.getOrUndefined)
      assert.strictEqual(yield* service, undefined)
      const depths = yield* sql.withTransaction(Effect.gen(function*() {
        const outer = (yield* service)!
        const [connection, depth] = outer
        // One and the same for all of its fibers: resolvers compare it.
        const all = yield* Effect.all([service, service, Db.session(service)], { concurrency: "unbounded" })
        assert.isTrue(all.every((one) => one === outer))
        yield* connection.execute("INSERT INTO b VALUES (1)", [], undefined)
        assert.deepStrictEqual(yield* connection.executeValues("SELECT n FROM b", []), [[1]])
        assert.deepStrictEqual(yield* connection.executeUnprepared("SELECT n FROM b", [], undefined), [{ n: 1 }])
        const rows = yield* Stream.runCollect(connection.executeStream("SELECT n FROM b", [], undefined))
        assert.deepStrictEqual([...rows], [{ n: 1 }])
        assert.isDefined(yield* connection.executeRaw("SELECT n FROM b", []))
        const inner = (yield* sql.withTransaction(service))!
        assert.notStrictEqual(inner[0], connection)
        return [depth, inner[1]]
      }))
      assert.deepStrictEqual(depths, [0, 1])
      assert.deepStrictEqual(yield* kept, [1])
    })
  )

  test(
    "a transaction made of the service and our connection begins in a session, and nests in a transaction",
    Effect.gen(function*() {
      const { kept, sql } = yield* setUp
      const within = SqlClient.makeWithTransaction({
        transactionTag: SqlClient.TransactionConnection,
        spanAttributes: [],
        acquireConnection: Effect.flatMap(
          Scope.make(),
          (scope) => Effect.map(Scope.extend(sql.reserve, scope), (connection) => [scope, connection] as const)
        ),
        begin: (connection) => connection.executeUnprepared("BEGIN", [], undefined),
        savepoint: (connection, id) => connection.executeUnprepared(`SAVEPOINT other_${id}`, [], undefined),
        commit: (connection) => connection.executeUnprepared("COMMIT", [], undefined),
        rollback: (connection) => connection.executeUnprepared("ROLLBACK", [], undefined),
        rollbackSavepoint: (connection, id) =>
          connection.executeUnprepared(`ROLLBACK TO SAVEPOINT other_${id}`, [], undefined)
      })
      yield* Db.session(within(sql`INSERT INTO b VALUES (1)`))
      yield* Effect.ignore(Db.session(within(Effect.zipRight(sql`INSERT INTO b VALUES (2)`, Effect.fail("meant")))))
      yield* sql.withTransaction(Effect.gen(function*() {
        yield* Effect.ignore(within(Effect.zipRight(sql`INSERT INTO b VALUES (3)`, Effect.fail("meant"))))
        yield* within(sql`INSERT INTO b VALUES (4)`)
      }))
      assert.deepStrictEqual(yield* kept, [1, 4])
    })
  )
}

describe("SqlClient.TransactionConnection and requests, SQLite", () =>
  suite(
    Layer.unwrapScoped(
      Effect.map(
        Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped({ prefix: "dblive-" })),
        (folder) => Db.layer({ type: "sqlite", filename: `${folder}/test.db`, environment: "test" })
      )
    ).pipe(Layer.provide(NodeContext.layer))
  ))

describePostgres("SqlClient.TransactionConnection and requests, PostgreSQL", () =>
  suite(
    Layer.unwrapScoped(Effect.map(freshDatabase, ({ url }) => Db.layer({ url, pool: { size: 4, overflow: 0 } })))
  ))
