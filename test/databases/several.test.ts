/** Several databases in one program: none of them ever sees what is meant for another. */
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import { Db } from "../../src/Db.js"
import { describePostgres, freshDatabase, query } from "../kit/postgres.js"
import { folder } from "./folder.js"

class North extends Db.Tag("north")<North>() {}
class South extends Db.Tag("south")<South>() {}

const create = Effect.flatMap(SqlClient.SqlClient, (sql) => sql`CREATE TABLE note (body varchar(100) NOT NULL)`)

const write = (body: string) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) => sql`INSERT INTO note ${sql.insert({ body })}`)

const read = Effect.flatMap(
  SqlClient.SqlClient,
  (sql) => Effect.map(sql<{ body: string }>`SELECT body FROM note ORDER BY body`, (rows) => rows.map((_) => _.body))
)

const fibers = 6

const databases = Effect.gen(function*() {
  const north = yield* freshDatabase
  const south = yield* freshDatabase
  const file = `${yield* folder}/default.db`
  // Enough that a fiber which holds one connection never waits for one that is held by another such fiber.
  const pool = { size: fibers }
  const layer = Layer.mergeAll(
    Db.layer({ filename: file, pool }),
    North.layer({ url: north.url, pool }),
    South.layer({ url: south.url, pool })
  )
  yield* Effect.all([create.pipe(Db.session), create.pipe(North.session), create.pipe(South.session)]).pipe(
    Effect.provide(layer)
  )
  return { north, south, layer }
})

const contents = Effect.all({
  sqlite: read.pipe(Db.session),
  north: read.pipe(North.session),
  south: read.pipe(South.session)
})

describePostgres("two PostgreSQL databases and one SQLite", () => {
  it.scopedLive("in one fiber: each statement goes to the database whose session it is in", () =>
    Effect.gen(function*() {
      const { layer, north, south } = yield* databases
      yield* Effect.gen(function*() {
        yield* write("s1").pipe(Db.session)
        yield* write("n1").pipe(North.session)
        yield* write("x1").pipe(South.session)
        // A client belongs to its database, wherever it is used.
        const northern = yield* North.sql
        yield* northern`INSERT INTO note VALUES ('n2')`.pipe(South.session)
        yield* South.query("INSERT INTO note VALUES (:body)", { body: "x2" }).pipe(North.transaction)
        // Without a session around it, the plain client is the default database's.
        yield* write("s2")
        assert.deepStrictEqual(yield* contents, { sqlite: ["s1", "s2"], north: ["n1", "n2"], south: ["x1", "x2"] })
        assert.deepStrictEqual((yield* Effect.all([Db.info, North.info, South.info])).map((_) => _.name), [
          "default",
          "north",
          "south"
        ])
      }).pipe(Effect.provide(layer))
      // By the servers' own word.
      const rows = (url: string) => query(url, "SELECT body FROM note ORDER BY body")
      assert.deepStrictEqual(yield* rows(north.url), [{ body: "n1" }, { body: "n2" }])
      assert.deepStrictEqual(yield* rows(south.url), [{ body: "x1" }, { body: "x2" }])
    }))

  it.scopedLive("a transaction around another database's: each ends by itself, the inner one's first", () =>
    Effect.gen(function*() {
      const { layer } = yield* databases
      yield* Effect.gen(function*() {
        const failed = yield* Effect.gen(function*() {
          yield* write("n-undone")
          yield* Effect.gen(function*() {
            yield* write("x-kept")
            // The outer transaction is reached from within the inner one, and is still the same.
            yield* write("n-undone-too").pipe(North.transaction)
            const seen = yield* read.pipe(North.session)
            assert.deepStrictEqual(seen, ["n-undone", "n-undone-too"])
            yield* write("s-kept").pipe(Db.transaction)
          }).pipe(South.transaction)
          yield* write("s-undone").pipe(
            Effect.zipRight(Effect.fail("inner")),
            Db.transaction,
            Effect.catchAll(() => Effect.void)
          )
          return yield* Effect.fail("outer")
        }).pipe(North.transaction, Effect.flip)
        assert.strictEqual(failed, "outer")
        assert.deepStrictEqual(yield* contents, { sqlite: ["s-kept"], north: [], south: ["x-kept"] })
      }).pipe(Effect.provide(layer))
    }))

  it.scopedLive("savepoints of one in transactions of the others undo what is theirs alone", () =>
    Effect.gen(function*() {
      const { layer } = yield* databases
      const attempt = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.ignore(effect)
      yield* Effect.gen(function*() {
        yield* write("n1")
        yield* write("x1").pipe(South.transaction)
        yield* Effect.gen(function*() {
          yield* write("x2")
          // A savepoint of north, inside a transaction of south, inside one of north.
          yield* write("n2").pipe(Effect.zipRight(Effect.fail("no")), North.transaction, attempt)
          yield* write("n3").pipe(North.transaction)
          yield* write("x3").pipe(Effect.zipRight(Effect.fail("no")), South.transaction, attempt)
          yield* write("x4").pipe(South.transaction)
        }).pipe(South.transaction)
        yield* write("n4")
      }).pipe(
        North.transaction,
        Effect.zipRight(contents),
        Effect.provide(layer),
        Effect.map((found) =>
          assert.deepStrictEqual(found, { sqlite: [], north: ["n1", "n3", "n4"], south: ["x1", "x2", "x4"] })
        )
      )
    }))

  it.scopedLive("from many fibers at once, in transactions open at the same time", () =>
    Effect.gen(function*() {
      const { layer } = yield* databases
      const tags: ReadonlyArray<Pick<Db.Tag<Db | North | South>, "transaction">> = [Db, North, South]
      const letters = ["s", "n", "x"]
      yield* Effect.gen(function*() {
        // All three are open before any of them writes.
        const open = [yield* Deferred.make<void>(), yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        yield* Effect.all(
          tags.map((tag, index) =>
            Effect.gen(function*() {
              yield* read
              yield* Deferred.succeed(open[index]!, void 0)
              yield* Effect.forEach(open, (latch) => Deferred.await(latch))
              yield* write(`${letters[index]}0`)
            }).pipe(tag.transaction)
          ),
          { concurrency: "unbounded" }
        )
        yield* Effect.forEach(
          Array.from({ length: 60 }, (_, index) => index),
          (number) =>
            Effect.gen(function*() {
              const [outer, inner] = [yield* Random.nextIntBetween(0, 3), yield* Random.nextIntBetween(0, 3)]
              const [around, within] = [tags[outer]!, tags[inner]!]
              yield* Effect.gen(function*() {
                yield* write(`${letters[outer]}-${number}-a`)
                yield* Effect.yieldNow()
                yield* write(`${letters[inner]}-${number}-b`).pipe(within.transaction)
                yield* write(`${letters[outer]}-${number}-c`)
              }).pipe(around.transaction)
            }),
          { concurrency: fibers }
        )
        const { north, south, sqlite } = yield* contents
        assert.isTrue(sqlite.every((body) => body.startsWith("s")), sqlite.join())
        assert.isTrue(north.every((body) => body.startsWith("n")), north.join())
        assert.isTrue(south.every((body) => body.startsWith("x")), south.join())
        assert.strictEqual(sqlite.length + north.length + south.length, 3 + 60 * 3)
      }).pipe(Effect.provide(layer))
    }))
})
