/**
 * A small notes service: a request is a transaction, the routes tell how the database is, and the end is in order.
 *
 *     STATUS_PASSWORD=secret npx tsx examples/http-server.ts
 *     curl -d 'first note' localhost:3000/notes && curl localhost:3000/notes
 *     open http://localhost:3000/debug/db/ui    # any user, the password above
 */
import { HttpLayerRouter, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { SqlClient } from "@effect/sql"
import { Config, Duration, Effect, Layer, Option, Stream } from "effect"
import { createServer } from "node:http"
// #region import
import * as DbHttp from "../src/DbHttp.js"
import { Db, DbLive } from "../src/index.js"
// #endregion
import { password } from "./service/guards.js"

// -- notes: repository functions know SQL and nothing of HTTP -------------------------------------

const addNote = (body: string) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`INSERT INTO http_note ${sql.insert({ body })}`
    const rows = yield* sql<{ readonly count: number }>`SELECT count(*) AS count FROM http_note`
    return Number(rows[0]!.count)
  })

const notes = Effect.map(
  SqlClient.SqlClient,
  (sql) => sql<{ readonly body: string }>`SELECT body FROM http_note ORDER BY id`.stream
)

// -- routes ---------------------------------------------------------------------------------------

// #region writing
const writing = HttpLayerRouter.add(
  "POST",
  "/notes",
  Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const body = (yield* request.text).trim()
    const count = yield* addNote(body)
    // An error status rolls back: the note that was just written is gone.
    return body === ""
      ? HttpServerResponse.text("a note needs a text\n", { status: 422 })
      : HttpServerResponse.text(`${count}\n`, { status: 201 })
  })
).pipe(Layer.provide(DbHttp.transaction(Db).layer))
// #endregion

const reading = HttpLayerRouter.add(
  "GET",
  "/notes",
  Effect.map(
    notes,
    (rows) =>
      HttpServerResponse.stream(rows.pipe(Stream.map((note) => `${note.body}\n`), Stream.encodeText), {
        contentType: "text/plain; charset=utf-8"
      })
  )
).pipe(Layer.provide(DbHttp.session(Db).layer))

// -- the status page -------------------------------------------------------------------------------

// #region status
const status = Layer.unwrapEffect(
  Effect.map(Config.option(Config.redacted("STATUS_PASSWORD")), (given) =>
    // Without a password the debug routes do not exist.
    DbHttp.layer([Db], { debug: Option.isSome(given) ? password(given.value) : undefined }))
)
// #endregion

// -- the server -----------------------------------------------------------------------------------

const http = createServer()

const schema = Layer.effectDiscard(
  Db.query("CREATE TABLE IF NOT EXISTS http_note (id INTEGER PRIMARY KEY, body TEXT NOT NULL)")
)

const server = HttpLayerRouter.serve(Layer.mergeAll(writing, reading, status)).pipe(
  Layer.provide(NodeHttpServer.layerConfig(() => http, { port: Config.withDefault(Config.integer("PORT"), 3000) }))
)

// #region draining
const end = Layer.unwrapEffect(
  Effect.map(
    Config.duration("SHUTDOWN_LIMIT").pipe(Config.withDefault(Duration.seconds(10))),
    (limit) => DbHttp.draining(http, { limit })
  )
)

// They end in the order of these lines: the requests, the server, then the database.
end.pipe(
  Layer.provide(server),
  Layer.provide(schema),
  Layer.provide(DbLive),
  Layer.launch,
  NodeRuntime.runMain
)
// #endregion
