/** A request as a unit of work: what its response says has happened, has happened; anything else has not. */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Db } from "../../src/Db.js"
import type * as DbConfig from "../../src/DbConfig.js"
import * as DbHttp from "../../src/DbHttp.js"
import { folder } from "../databases/folder.js"
import { describePostgres, eventually, freshDatabase } from "../kit/postgres.js"
import { send, serve } from "./serve.js"

const insert = (id: string) => Effect.flatMap(SqlClient.SqlClient, (sql) => sql`INSERT INTO note (id) VALUES (${id})`)

const created = HttpServerResponse.empty({ status: 201 })

/** A handler comes here and waits until the test lets it go on. */
interface Gate {
  readonly reached: Deferred.Deferred<void>
  readonly open: Deferred.Deferred<void>
}

const makeGate: Effect.Effect<Gate> = Effect.all({ reached: Deferred.make<void>(), open: Deferred.make<void>() })

/** The rows of a table that holds one, as a body; and a failure in the middle of it, if wanted. */
const rows = (table: string) =>
  Effect.map(SqlClient.SqlClient, (sql) =>
    sql<{ id: string }>`SELECT id FROM ${sql(table)} ORDER BY id`.stream.pipe(
      Stream.map((row) => `${row.id}\n`),
      Stream.encodeText
    ))

const routes = (gate: Gate) =>
  HttpLayerRouter.addAll([
    HttpLayerRouter.route("POST", "/created", Effect.as(insert("created"), created)),
    HttpLayerRouter.route("POST", "/moved", Effect.as(insert("moved"), HttpServerResponse.redirect("/elsewhere"))),
    HttpLayerRouter.route(
      "POST",
      "/refused",
      Effect.as(insert("refused"), HttpServerResponse.text("no", { status: 422 }))
    ),
    HttpLayerRouter.route("POST", "/broken", Effect.as(insert("broken"), HttpServerResponse.empty({ status: 500 }))),
    HttpLayerRouter.route("POST", "/dead", Effect.zipRight(insert("dead"), Effect.die(new Error("a bug")))),
    // A failure that is a response of success is a failure all the same.
    HttpLayerRouter.route(
      "POST",
      "/failed",
      Effect.zipRight(insert("failed"), Effect.fail(HttpServerResponse.text("")))
    ),
    HttpLayerRouter.route("POST", "/twice", Effect.as(Effect.zipRight(insert("twice"), insert("twice")), created)),
    HttpLayerRouter.route(
      "POST",
      "/defect",
      Effect.orDie(Effect.as(Effect.zipRight(insert("twice"), insert("twice")), created))
    ),
    HttpLayerRouter.route(
      "POST",
      "/undefined",
      Effect.flatMap(SqlClient.SqlClient, (sql) => Effect.as(sql`SELECT secret_column FROM nowhere`, created))
    ),
    // What it violates is looked at by COMMIT.
    HttpLayerRouter.route(
      "POST",
      "/deferred",
      Effect.flatMap(
        SqlClient.SqlClient,
        (sql) => Effect.as(sql`INSERT INTO child (id, note_id) VALUES ('c', 'nobody')`, created)
      )
    ),
    HttpLayerRouter.route(
      "POST",
      "/slow",
      Effect.gen(function*() {
        yield* insert("slow")
        yield* Deferred.succeed(gate.reached, undefined)
        yield* Deferred.await(gate.open)
        return created
      })
    ),
    // Read when the handler has returned.
    HttpLayerRouter.route(
      "POST",
      "/streamed",
      Effect.zipRight(
        insert("streamed"),
        Effect.map(rows("note"), (body) => HttpServerResponse.stream(body, { contentType: "text/plain" }))
      )
    ),
    HttpLayerRouter.route(
      "POST",
      "/torn",
      Effect.zipRight(
        insert("torn"),
        Effect.map(
          rows("nowhere"),
          (body) => HttpServerResponse.stream(Stream.concat(Stream.encodeText(Stream.make("first\n")), body))
        )
      )
    ),
    HttpLayerRouter.route(
      "POST",
      "/endless",
      Effect.as(
        insert("endless"),
        HttpServerResponse.stream(Stream.forever(Stream.make(new Uint8Array(1024))))
      )
    )
  ])

const schema = Effect.gen(function*() {
  yield* Db.query("CREATE TABLE note (id varchar(40) PRIMARY KEY)")
  yield* Db.query(
    "CREATE TABLE child (id varchar(40) PRIMARY KEY, " +
      "note_id varchar(40) REFERENCES note (id) DEFERRABLE INITIALLY DEFERRED)"
  )
})

const ids = Effect.map(Db.query<{ id: string }>("SELECT id FROM note ORDER BY id"), (rows) => rows.map((_) => _.id))

const idle = eventually(Db.pool, (pool) => pool.inUse === 0 && pool.waiting === 0)

/** A served database with its table. */
const served = (
  options: DbConfig.Options,
  middleware: Layer.Layer<
    | HttpLayerRouter.Request<"Requires", Db>
    | HttpLayerRouter.Request<"Requires", SqlClient.SqlClient>,
    never,
    Db
  >
) =>
  Effect.gen(function*() {
    const gate = yield* makeGate
    const context = yield* Layer.build(Db.layer(options))
    const database = Layer.succeedContext(context)
    yield* Effect.provide(schema, database)
    const url = yield* serve(routes(gate).pipe(Layer.provide(middleware), Layer.provide(database)))
    return { url, gate, database: Context.get(context, Db), context }
  })

const post = (url: string, path: string) => send(`${url}/${path}`, { method: "POST", redirect: "manual" })

const suite = (name: string, options: Effect.Effect<DbConfig.Options, never, Scope.Scope>) => {
  const test = (
    promise: string,
    body: (server: Effect.Effect.Success<ReturnType<typeof served>>) => Effect.Effect<void, unknown, Db>,
    transaction: DbHttp.RequestTransactionOptions = {}
  ) =>
    it.scopedLive(promise, () =>
      Effect.gen(function*() {
        const server = yield* served(yield* options, DbHttp.transaction(Db, transaction).layer)
        yield* Effect.provide(body(server), server.context)
      }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger))))

  describe(`a request in a transaction, ${name}`, () => {
    test("is committed on 2xx and 3xx, before the client has its answer", ({ url }) =>
      Effect.gen(function*() {
        assert.strictEqual((yield* post(url, "created")).status, 201)
        assert.deepStrictEqual(yield* ids, ["created"])
        assert.strictEqual((yield* post(url, "moved")).status, 302)
        assert.deepStrictEqual(yield* ids, ["created", "moved"])
        yield* idle
      }))

    test("is rolled back on an error status, a failure and a defect, and the answer is the handler's", ({ url }) =>
      Effect.gen(function*() {
        assert.include(yield* post(url, "refused"), { status: 422, body: "no" })
        assert.strictEqual((yield* post(url, "broken")).status, 500)
        assert.strictEqual((yield* post(url, "dead")).status, 500)
        assert.strictEqual((yield* post(url, "failed")).status, 200)
        assert.deepStrictEqual(yield* ids, [])
        yield* idle
      }))

    test("is rolled back when the client goes away, and the connection is free again", ({ gate, url }) =>
      Effect.gen(function*() {
        const client = yield* Effect.fork(post(url, "slow"))
        yield* Deferred.await(gate.reached)
        yield* Fiber.interrupt(client)
        yield* idle
        assert.deepStrictEqual(yield* ids, [])
        const { transactions } = yield* Db.metrics
        assert.deepStrictEqual(transactions, { committed: 0, rolledBack: 1, unknown: 0 })
      }))

    test("is answered only when COMMIT has succeeded: one that fails is no success", ({ url }) =>
      Effect.gen(function*() {
        const answer = yield* post(url, "deferred")
        assert.strictEqual(answer.status, 409)
        const [count] = yield* Db.query<{ n: number }>("SELECT CAST(count(*) AS integer) AS n FROM child")
        assert.strictEqual(count!.n, 0)
        yield* idle
      }))

    test("tells the client nothing of what went wrong in the database", ({ url }) =>
      Effect.gen(function*() {
        const expected = { twice: 409, defect: 409, undefined: 500, deferred: 409, torn: 500 }
        for (const [path, status] of Object.entries(expected)) {
          const answer = yield* post(url, path)
          assert.strictEqual(answer.status, status, path)
          assert.strictEqual(answer.headers.get("content-type"), "application/problem+json", path)
          assert.deepStrictEqual(Object.keys(JSON.parse(answer.body)), ["status", "title"], path)
          assert.notMatch(answer.body, /note|nowhere|child|secret|INSERT|SELECT|constraint/i, path)
        }
        assert.deepStrictEqual(yield* ids, [])
      }))

    test("reads a streamed body inside the transaction, and sends it when that is committed", ({ url }) =>
      Effect.gen(function*() {
        const answer = yield* post(url, "streamed")
        // The row that the handler inserted is visible to its stream, on whatever connection that would run otherwise.
        assert.include(answer, { status: 200, body: "streamed\n" })
        assert.strictEqual(answer.headers.get("content-type"), "text/plain")
        assert.strictEqual(answer.headers.get("content-length"), "9")
        assert.deepStrictEqual(yield* ids, ["streamed"])
      }))

    test("refuses a body that does not fit, and rolls back", ({ url }) =>
      Effect.gen(function*() {
        assert.strictEqual((yield* post(url, "endless")).status, 500)
        assert.deepStrictEqual(yield* ids, [])
        yield* idle
      }), { maxStream: 100_000 })
  })

  describe(`a request in a session, ${name}`, () => {
    const test = (
      promise: string,
      body: (server: Effect.Effect.Success<ReturnType<typeof served>>) => Effect.Effect<void, unknown, Db>
    ) =>
      it.scopedLive(promise, () =>
        Effect.gen(function*() {
          const server = yield* served(yield* options, DbHttp.session(Db).layer)
          yield* Effect.provide(body(server), server.context)
        }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger))))

    test("keeps what was written, whatever the answer", ({ url }) =>
      Effect.gen(function*() {
        assert.strictEqual((yield* post(url, "created")).status, 201)
        assert.strictEqual((yield* post(url, "refused")).status, 422)
        assert.strictEqual((yield* post(url, "twice")).status, 409)
        assert.deepStrictEqual(yield* ids, ["created", "refused", "twice"])
        yield* idle
      }))

    test("goes on while the body is streamed, and ends with it", ({ url }) =>
      Effect.gen(function*() {
        assert.include(yield* post(url, "streamed"), { status: 200, body: "streamed\n" })
        yield* idle
        const { sessions } = yield* Db.metrics
        // The stream has taken no other than the handler's.
        assert.strictEqual(sessions.opened, 1)
      }))

    test("ends when the client goes away, in the handler and in the body", ({ gate, url }) =>
      Effect.gen(function*() {
        const client = yield* Effect.fork(post(url, "slow"))
        yield* Deferred.await(gate.reached)
        assert.strictEqual((yield* Db.pool).inUse, 1)
        yield* Fiber.interrupt(client)
        yield* idle
        const reader = yield* Effect.fork(post(url, "endless"))
        yield* eventually(Db.pool, (pool) => pool.inUse === 1)
        yield* Fiber.interrupt(reader)
        yield* idle
      }))
  })
}

suite("SQLite", Effect.map(folder, (folder) => ({ filename: `${folder}/notes.db` })))

describePostgres("PostgreSQL", () => suite("PostgreSQL", Effect.map(freshDatabase, ({ url }) => ({ url }))))
