/**
 * A database in an HTTP server of `@effect/platform`: requests as units of work, and routes for its health and figures.
 *
 * It is an entry point of its own (`dblive/http`), so that a program without a server does not load one.
 *
 * @since 0.1.0
 */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import type { SqlClient } from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { Server } from "node:http"
import type { Db } from "./Db.js"
import type { DbError } from "./DbError.js"
import type { DbRegistry } from "./DbRegistry.js"
import { ofRegistry, ofTags } from "./internal/http/databases.js"
import * as Draining from "./internal/http/draining.js"
import { answered, response } from "./internal/http/failure.js"
import { type AnyGroup, type Api, Group as GroupClass, groupLayer, type HandlersLayer } from "./internal/http/group.js"
import * as HealthBody from "./internal/http/health.js"
import { routes } from "./internal/http/routes.js"
import * as Token from "./internal/http/token.js"
import type { TokenOptions } from "./internal/http/token.js"
import { defaultMaxStream, inSession, inTransaction } from "./internal/http/work.js"

export type { TokenOptions } from "./internal/http/token.js"

// -----------------------------------------------------------------------------
// a request as a unit of work
// -----------------------------------------------------------------------------

/** What answers a request. */
type Handler<E, R> = Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>

/**
 * How a request runs in a transaction.
 *
 * @since 0.1.0
 * @category models
 */
export interface RequestTransactionOptions extends Db.TransactionOptions {
  /**
   * The largest streamed body of a response, in bytes. What it streams is read in the transaction and kept until that has
   * been committed. A larger one is a defect: answered with 500, and rolled back. Defaults to 8 MiB.
   */
  readonly maxStream?: number | undefined
}

/**
 * Runs a handler in a transaction of this database, with its `SqlClient`.
 *
 * It is committed when the response's status is below 400, and the response is sent only when the database has said so.
 * It is rolled back when the status is 400 or higher, when the handler fails or dies, and when the client goes away.
 *
 * A failure of the database, COMMIT included, becomes a response as {@link toResponse} says; its details go to the log.
 * Any other failure of the handler stays what it is.
 *
 * @since 0.1.0
 * @category combinators
 */
export const withTransaction: {
  <Self>(
    database: Db.Tag<Self>,
    options?: RequestTransactionOptions
  ): <E, R>(app: Handler<E, R>) => Handler<Exclude<E, DbError | SqlError>, Exclude<R, SqlClient> | Self>
  <E, R, Self>(
    app: Handler<E, R>,
    database: Db.Tag<Self>,
    options?: RequestTransactionOptions
  ): Handler<Exclude<E, DbError | SqlError>, Exclude<R, SqlClient> | Self>
} = dual(
  // A tag is an effect, too: what comes second tells the forms apart.
  (args) => Context.isTag(args[1]),
  <E, R, Self>(app: Handler<E, R>, database: Db.Tag<Self>, options: RequestTransactionOptions = {}) => {
    const { maxStream = defaultMaxStream, ...rest } = options
    return Effect.flatMap(database, ({ name }) => answered(inTransaction(database, app, rest, maxStream), name))
  }
)

/**
 * Runs a handler in one session of this database, with its `SqlClient`: its statements share a connection, and each is
 * applied by itself. The session ends with the handler, or, when the response's body is a stream, with the stream: what it
 * reads is read on the same connection, which is kept for as long as the client takes.
 *
 * Failures of the database become responses as in {@link withTransaction}.
 *
 * @since 0.1.0
 * @category combinators
 */
export const withSession: {
  <Self>(
    database: Db.Tag<Self>
  ): <E, R>(app: Handler<E, R>) => Handler<Exclude<E, DbError | SqlError>, Exclude<R, SqlClient> | Self | Scope.Scope>
  <E, R, Self>(
    app: Handler<E, R>,
    database: Db.Tag<Self>
  ): Handler<Exclude<E, DbError | SqlError>, Exclude<R, SqlClient> | Self | Scope.Scope>
} = dual(
  2,
  <E, R, Self>(app: Handler<E, R>, database: Db.Tag<Self>) =>
    Effect.flatMap(database, ({ name }) => answered(inSession(database, app), name))
)

/**
 * {@link withTransaction} as a middleware of `HttpLayerRouter`, for the routes (those of an `HttpApi` included) that its
 * layer is provided to.
 *
 * @example
 * ```ts
 * import { HttpLayerRouter, HttpServerRequest, HttpServerResponse } from "@effect/platform"
 * import { Db, DbLive } from "dblive"
 * import * as DbHttp from "dblive/http"
 * import { Effect, Layer } from "effect"
 *
 * const addNote = HttpLayerRouter.add("POST", "/notes", Effect.gen(function*() {
 *   const request = yield* HttpServerRequest.HttpServerRequest
 *   yield* Db.query("INSERT INTO note (body) VALUES (:body)", { body: yield* request.text })
 *   return HttpServerResponse.empty({ status: 201 })
 * }))
 *
 * const routes = addNote.pipe(Layer.provide(DbHttp.transaction(Db).layer), Layer.provide(DbLive))
 * ```
 *
 * @since 0.1.0
 * @category middleware
 */
export const transaction = <Self>(database: Db.Tag<Self>, options?: RequestTransactionOptions) =>
  HttpLayerRouter.middleware<{ provides: Self | SqlClient; handles: DbError | SqlError }>()(
    Effect.map(
      database,
      (opened) => (app) => Effect.provideService(withTransaction(app, database, options), database, opened)
    )
  )

/**
 * {@link withSession} as a middleware of `HttpLayerRouter`, for the routes that its layer is provided to.
 *
 * @since 0.1.0
 * @category middleware
 */
export const session = <Self>(database: Db.Tag<Self>) =>
  HttpLayerRouter.middleware<{ provides: Self | SqlClient; handles: DbError | SqlError }>()(
    Effect.map(
      database,
      (opened) => (app) => Effect.provideService(withSession(app, database), database, opened)
    )
  )

/**
 * Lets a client see nothing older than what it has written and was shown by its requests before, though each may run in another
 * process and read from another replica: the token of `Db.token` goes with the response, and comes back with the next request.
 *
 * The token is no secret and no right: a client that makes one up can only send its own reads to the primary. A text that is no token is
 * as none. A response whose token cannot be found out, as the primary does not answer, goes without one.
 *
 * @since 0.2.0
 * @category combinators
 */
export const withToken: {
  <Self>(
    database: Db.Tag<Self>,
    options?: TokenOptions
  ): <E, R>(app: Handler<E, R>) => Handler<E, R | Self | HttpServerRequest>
  <E, R, Self>(
    app: Handler<E, R>,
    database: Db.Tag<Self>,
    options?: TokenOptions
  ): Handler<E, R | Self | HttpServerRequest>
} = dual(
  // As for `withTransaction`.
  (args) => Context.isTag(args[1]),
  <E, R, Self>(app: Handler<E, R>, database: Db.Tag<Self>, options: TokenOptions = {}) =>
    Effect.flatMap(database, ({ name }) => Token.withToken(database, name, app, options))
)

/**
 * {@link withToken} as a middleware of `HttpLayerRouter`, for the routes that its layer is provided to.
 *
 * @example
 * ```ts
 * import { HttpLayerRouter, HttpServerResponse } from "@effect/platform"
 * import { Db, DbLive } from "dblive"
 * import * as DbHttp from "dblive/http"
 * import { Effect, Layer } from "effect"
 *
 * const notes = HttpLayerRouter.add(
 *   "GET",
 *   "/notes",
 *   Db.query("SELECT id, body FROM note").pipe(Db.read, Effect.flatMap(HttpServerResponse.json))
 * )
 *
 * const routes = notes.pipe(Layer.provide(DbHttp.token(Db).layer), Layer.provide(DbLive))
 * ```
 *
 * @since 0.2.0
 * @category middleware
 */
export const token = <Self>(database: Db.Tag<Self>, options?: TokenOptions) =>
  HttpLayerRouter.middleware<{ provides: Self }>()(
    Effect.map(
      database,
      (opened) => (app) => Effect.provideService(withToken(app, database, options), database, opened)
    )
  )

/**
 * What a client is told of a failure of the database, as `application/problem+json`: a status and a fixed sentence; never a
 * statement, a name, or what the server said.
 *
 * - 503 with `Retry-After`: the database is not there, or busy, and nothing was applied.
 * - 503 without: it was too slow.
 * - 409 with `Retry-After`: a conflict with another transaction; nothing was applied.
 * - 409 without: the data conflicts with what is there (unique, foreign key, exclusion).
 * - 500: anything else. Also whatever has an unknown outcome, so that no client is told to send it again.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toResponse: (error: DbError) => HttpServerResponse.HttpServerResponse = response

// -----------------------------------------------------------------------------
// routes
// -----------------------------------------------------------------------------

/**
 * The guard of the debug routes: it accepts a request by running the handler it is given, and answers in its place
 * where it does not. Any `HttpMiddleware` that authenticates is one.
 *
 * @since 0.1.0
 * @category models
 */
export type Guard<E = never, R = never> = (
  handler: Effect.Effect<HttpServerResponse.HttpServerResponse>
) => Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>

/**
 * Which routes there are, and where.
 *
 * @since 0.1.0
 * @category models
 */
export interface RoutesOptions<E = never, R = never> {
  /** Before the paths of all routes, such as `/internal`. Defaults to none. */
  readonly prefix?: `/${string}` | undefined
  /**
   * Switches the debug routes on, behind this guard. They show statements (with placeholders), addresses of servers and
   * their errors, so they are for operators only. Defaults to off: they do not exist.
   */
  readonly debug?: Guard<E, R> | undefined
}

/** What the routes need of a request and of the program. */
type Requirements<E, R> =
  | HttpLayerRouter.HttpRouter
  | HttpLayerRouter.Request.From<"Requires", Exclude<R, HttpLayerRouter.Provided>>
  | HttpLayerRouter.Request.From<"Error", E>

/**
 * Routes for the health and figures of these databases. `GET`, all of them:
 *
 * - `/health/live`: the process runs. Never looks at a database.
 * - `/health/ready`: 200 when no database is unhealthy, else 503; also 503 from the moment in which {@link draining} begins
 *   to end the server.
 * - `/health/db`: the reports of all, {@link Health}; `?name=` for one of them. 200 when healthy or degraded, 503 when
 *   unhealthy, the worst of them counts; 404 with the known names for another name.
 * - `/metrics`: what has been counted, for Prometheus.
 * - `/debug/db` and `/debug/db/ui`, when switched on: pool and its last ten minutes, holders, durations, failures, slow
 *   statements, as JSON and as a page that follows them.
 *
 * The routes without a guard show nothing of what a server said.
 *
 * @example
 * ```ts
 * import { HttpLayerRouter } from "@effect/platform"
 * import { NodeHttpServer } from "@effect/platform-node"
 * import { Db, DbLive } from "dblive"
 * import * as DbHttp from "dblive/http"
 * import { Layer } from "effect"
 * import { createServer } from "node:http"
 *
 * const server = HttpLayerRouter.serve(DbHttp.layer([Db])).pipe(
 *   Layer.provide(NodeHttpServer.layer(createServer, { port: 3000 })),
 *   Layer.provide(DbLive)
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <const Selves extends ReadonlyArray<unknown>, E = never, R = never>(
  databases: { readonly [K in keyof Selves]: Db.Tag<Selves[K]> },
  options: RoutesOptions<E, R> = {}
): Layer.Layer<never, never, Selves[number] | Requirements<E, R>> => routes(ofTags<Selves[number]>(databases), options)

/**
 * The same routes for all databases of a `DbRegistry`. One that is not open yet is opened by a report of it.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerRegistry = <E = never, R = never>(
  options: RoutesOptions<E, R> = {}
): Layer.Layer<never, never, DbRegistry | Requirements<E, R>> => routes(ofRegistry, options)

/**
 * What `/health/db` answers: the reports, and the worst status of them. Its `error`s are in words of dblive; those of the
 * server are told by `Db.health`, and on the debug routes.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Health = HealthBody.Health

/**
 * @since 0.1.0
 * @category schemas
 */
export type Health = typeof Health.Type

// -----------------------------------------------------------------------------
// the end
// -----------------------------------------------------------------------------

/**
 * How a server ends.
 *
 * @since 0.2.0
 * @category models
 */
export interface DrainingOptions {
  /** The longest wait for the requests in flight; their connections are cut then. Defaults to 10 seconds. */
  readonly limit?: Duration.DurationInput | undefined
  /**
   * How long new connections are taken while `/health/ready` answers 503 already: as long as a load balancer needs to
   * notice that. Defaults to 0.
   */
  readonly notice?: Duration.DurationInput | undefined
  /**
   * How long a connection without a request is left open, for a request that is on its way. Such a request is answered, and
   * the client is told to send no other one on this connection. Defaults to 500 milliseconds.
   */
  readonly linger?: Duration.DurationInput | undefined
}

/**
 * The orderly end of a server of Node, as a layer to put outside of all others: what it is provided with ends after it. When
 * it is closed,
 *
 * 1. `/health/ready` of this server answers 503;
 * 2. after `notice` no new connection is taken;
 * 3. requests in flight and those that come on open connections are answered with `Connection: close`; connections without
 *    one for `linger` are closed;
 * 4. what is not done after `limit` is cut, which interrupts its handlers and rolls back what they were doing.
 *
 * Then the layers below are closed: the server, and last the databases. WebSockets are left to the layer that serves them.
 *
 * @example
 * ```ts
 * import { HttpLayerRouter } from "@effect/platform"
 * import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
 * import { Db, DbLive } from "dblive"
 * import * as DbHttp from "dblive/http"
 * import { Layer } from "effect"
 * import { createServer } from "node:http"
 *
 * const server = createServer()
 *
 * const program = DbHttp.draining(server, { limit: "20 seconds" }).pipe(
 *   Layer.provide(HttpLayerRouter.serve(DbHttp.layer([Db]))),
 *   Layer.provide(NodeHttpServer.layer(() => server, { port: 3000 })),
 *   Layer.provide(DbLive)
 * )
 *
 * // SIGTERM and SIGINT interrupt the main fiber, which closes the layers.
 * Layer.launch(program).pipe(NodeRuntime.runMain)
 * ```
 *
 * @since 0.2.0
 * @category layers
 */
export const draining = (server: Server, options: DrainingOptions = {}): Layer.Layer<never> =>
  Draining.draining(server, options)

// -----------------------------------------------------------------------------
// HttpApi
// -----------------------------------------------------------------------------

/**
 * The routes of {@link layer} without the debug ones as a group, `databases`, of an `HttpApi`: they stand in its OpenAPI
 * document, and its clients have `client.databases.health({ urlParams: {} })`.
 *
 * @example
 * ```ts
 * import { HttpApi, HttpLayerRouter } from "@effect/platform"
 * import { Db } from "dblive"
 * import * as DbHttp from "dblive/http"
 * import { Layer } from "effect"
 *
 * class Api extends HttpApi.make("notes").add(DbHttp.Group) {}
 *
 * const routes = HttpLayerRouter.addHttpApi(Api).pipe(Layer.provide(DbHttp.layerGroup(Api, [Db])))
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export const Group = GroupClass

/**
 * The handlers of {@link Group} in an `HttpApi`, for these databases.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerGroup = <
  Id extends string,
  Groups extends AnyGroup,
  E,
  R,
  const Selves extends ReadonlyArray<unknown>
>(
  api: Api<Id, Groups, E, R>,
  databases: { readonly [K in keyof Selves]: Db.Tag<Selves[K]> }
): HandlersLayer<Id, Groups, Selves[number]> => groupLayer(api, ofTags<Selves[number]>(databases))

/**
 * The handlers of {@link Group} in an `HttpApi`, for all databases of a `DbRegistry`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerGroupRegistry = <
  Id extends string,
  Groups extends AnyGroup,
  E,
  R
>(
  api: Api<Id, Groups, E, R>
): HandlersLayer<Id, Groups, DbRegistry> => groupLayer(api, ofRegistry)
