/** What the routes answer, before and behind the guard, and with which status. */
import { NodeHttpClient, NodeHttpPlatform } from "@effect/platform-node"
import { NodeFileSystem, NodePath } from "@effect/platform-node"
import * as Etag from "@effect/platform/Etag"
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiClient from "@effect/platform/HttpApiClient"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as OpenApi from "@effect/platform/OpenApi"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Db } from "../../src/Db.js"
import * as DbHttp from "../../src/DbHttp.js"
import * as DbRegistry from "../../src/DbRegistry.js"
import { folder } from "../databases/folder.js"
import { describePrivatePostgres, eventually, PrivatePostgres } from "../kit/postgres.js"
import { byName } from "./byName.js"
import { send, serve } from "./serve.js"

class Dead extends Db.Tag("dead")<Dead>() {}

const canary = "pAssw0rd-canary"

/** A database whose server does not exist, opened without asking it. */
const dead = Dead.layer({
  url: `postgres://app:${canary}@127.0.0.1:1/secret_name`,
  connectOnStart: false,
  health: { cache: 0 }
})

const sqlite = Effect.map(
  folder,
  (folder) => Db.layer({ filename: `${folder}/a.db`, pool: { size: 1, overflow: 0 }, health: { cache: 0 } })
)

const get = (url: string, init?: RequestInit) =>
  Effect.map(send(url, init), (_) => ({ ..._, json: () => JSON.parse(_.body) }))

/** Knows a password. */
const guard: DbHttp.Guard<never, HttpServerRequest.HttpServerRequest> = (handler) =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) =>
    headers["authorization"] === "Bearer open sesame"
      ? handler
      : Effect.succeed(HttpServerResponse.empty({ status: 401 })))

const allowed = { headers: { authorization: "Bearer open sesame" } }

describe("health", () => {
  it.scopedLive("live never asks a database, ready does, and the worst status wins", () =>
    Effect.gen(function*() {
      const url = yield* serve(DbHttp.layer([Db, Dead]).pipe(Layer.provide([yield* sqlite, dead])))
      assert.deepInclude(yield* get(`${url}/health/live`), { status: 200, body: "{\"status\":\"alive\"}" })
      assert.deepInclude(yield* get(`${url}/health/ready`), { status: 503, body: "{\"status\":\"not ready\"}" })
      const all = yield* get(`${url}/health/db`)
      assert.strictEqual(all.status, 503)
      assert.strictEqual(all.headers.get("cache-control"), "no-store")
      const health = yield* Schema.decodeUnknown(DbHttp.Health)(all.json())
      assert.strictEqual(health.status, "unhealthy")
      assert.deepStrictEqual(health.databases.map((_) => [_.databaseName, _.status]), [
        ["default", "healthy"],
        ["dead", "unhealthy"]
      ])
      // One that is well is not made ill by the others.
      const one = yield* get(`${url}/health/db?name=default`)
      assert.deepInclude(one, { status: 200 })
      assert.lengthOf(one.json().databases, 1)
      assert.strictEqual((yield* get(`${url}/health/db?name=dead`)).status, 503)
      assert.strictEqual((yield* get(`${url}/health/live`)).status, 200)
    }))

  it.scopedLive("live answers while no database can: it does not even look", () =>
    Effect.gen(function*() {
      let asked = 0
      const context = yield* Layer.build(dead)
      const url = yield* serve(DbHttp.layer([Dead]).pipe(Layer.provide(Layer.succeedContext(context))))
      yield* get(`${url}/health/live`)
      asked = (yield* Effect.provide(Dead.metrics, context)).connectionFailures
      assert.strictEqual(asked, 0)
      yield* get(`${url}/health/ready`)
      assert.isAbove((yield* Effect.provide(Dead.metrics, context)).connectionFailures, 0)
    }))

  it.scopedLive("without a guard nothing is told of what a server said, nor where it is", () =>
    Effect.gen(function*() {
      const url = yield* serve(DbHttp.layer([Dead]).pipe(Layer.provide(dead)))
      for (const path of ["health/live", "health/ready", "health/db", "health/db?name=dead"]) {
        const { body } = yield* get(`${url}/${path}`)
        assert.notMatch(body, /canary|app|secret|127\.0\.0\.1|ECONN|refused/i, path)
      }
    }))

  it.scopedLive("an unknown name is 404, and the known ones are told", () =>
    Effect.gen(function*() {
      const url = yield* serve(DbHttp.layer([Db, Dead]).pipe(Layer.provide([yield* sqlite, dead])))
      const answer = yield* get(`${url}/health/db?name=${encodeURIComponent("<b>no</b>")}`)
      assert.strictEqual(answer.status, 404)
      assert.strictEqual(answer.headers.get("content-type"), "application/problem+json")
      assert.deepStrictEqual(answer.json(), {
        status: 404,
        title: "No database of this name is known here.",
        known: ["default", "dead"]
      })
    }))

  it.scopedLive("a saturated pool is degraded, and 200", () =>
    Effect.gen(function*() {
      const context = yield* Layer.build(yield* sqlite)
      const url = yield* serve(DbHttp.layer([Db]).pipe(Layer.provide(Layer.succeedContext(context))))
      const done = yield* Deferred.make<void>()
      // One works and one waits: a single connection that works would be no sign of anything.
      yield* Effect.forkScoped(Db.session(Deferred.await(done))).pipe(Effect.provide(context))
      yield* Effect.forkScoped(Db.session(Effect.void)).pipe(Effect.provide(context))
      const waiting = Effect.map(Db.pool, (pool) => pool.waiting)
      yield* eventually(waiting, (waiting) => waiting === 1).pipe(Effect.provide(context))
      const answer = yield* get(`${url}/health/db`)
      assert.strictEqual(answer.status, 200)
      assert.strictEqual(answer.json().status, "degraded")
      assert.match(answer.json().databases[0].error, /all 1 connections are in use/)
      assert.strictEqual((yield* get(`${url}/health/ready`)).status, 200)
    }))

  describePrivatePostgres(
    "on a server that stops and starts",
    () =>
      it.scopedLive("the status follows it", () =>
        Effect.gen(function*() {
          const server = yield* PrivatePostgres.make()
          const url = yield* serve(
            DbHttp.layer([Db]).pipe(Layer.provide(Db.layer({ url: server.url, health: { cache: 0 } })))
          )
          assert.strictEqual((yield* get(`${url}/health/ready`)).status, 200)
          yield* server.stop()
          const down = yield* get(`${url}/health/db`)
          assert.strictEqual(down.status, 503)
          assert.strictEqual(down.json().databases[0].error, "the database does not answer")
          yield* server.start
          assert.strictEqual((yield* get(`${url}/health/ready`)).status, 200)
        }))
  )
})

describe("metrics", () => {
  it.scopedLive("are what Prometheus reads", () =>
    Effect.gen(function*() {
      const context = yield* Layer.build(yield* sqlite)
      const url = yield* serve(DbHttp.layer([Db]).pipe(Layer.provide(Layer.succeedContext(context))))
      yield* Db.session(Db.query("SELECT 1")).pipe(Effect.provide(context))
      const answer = yield* get(`${url}/metrics`)
      assert.strictEqual(answer.status, 200)
      assert.match(answer.headers.get("content-type")!, /^text\/plain; version=0\.0\.4/)
      assert.match(answer.body, /^# TYPE dblive_sessions_total counter$/m)
      assert.match(answer.body, /^db_client_operation_duration\w*_count\{[^}]*"default"[^}]*\} \d+$/m)
    }))
})

describe("the debug routes", () => {
  it.scopedLive("do not exist unless they are switched on", () =>
    Effect.gen(function*() {
      const url = yield* serve(DbHttp.layer([Db]).pipe(Layer.provide(yield* sqlite)))
      assert.strictEqual((yield* get(`${url}/debug/db`)).status, 404)
      assert.strictEqual((yield* get(`${url}/debug/db/ui`)).status, 404)
    }))

  it.scopedLive("tell nothing where the guard refuses, and behind it everything but secrets", () =>
    Effect.gen(function*() {
      const url = yield* serve(
        DbHttp.layer([Db, Dead], { debug: guard, prefix: "/internal" }).pipe(Layer.provide([yield* sqlite, dead]))
      )
      for (const path of ["debug/db", "debug/db/ui"]) {
        assert.include(yield* get(`${url}/internal/${path}`), { status: 401, body: "" })
      }
      const answer = yield* get(`${url}/internal/debug/db`, allowed)
      assert.strictEqual(answer.status, 200)
      assert.notInclude(answer.body, canary)
      const [one, other] = answer.json().databases
      assert.deepInclude(one.pool, { capacity: 1, waiting: 0, holders: [] })
      assert.deepInclude(one.info, { name: "default", type: "sqlite" })
      assert.property(one.metrics.durations, "operation")
      assert.deepStrictEqual(one.metrics.recentFailures, [])
      const [sample] = one.poolHistory
      assert.deepStrictEqual(sample, { at: sample.at, capacity: 1, inUse: 0, idle: sample.idle, waiting: 0 })
      const later = yield* get(`${url}/internal/debug/db?since=${Date.now() + 60_000}`, allowed)
      assert.deepStrictEqual(later.json().databases[0].poolHistory, [])
      assert.match(other.health.error, /127\.0\.0\.1/)
      const page = yield* get(`${url}/internal/debug/db/ui`, allowed)
      assert.strictEqual(page.status, 200)
      assert.strictEqual((yield* get(`${url}/internal/health/live`)).status, 200)
    }))

  it.scopedLive("the page is one document under a policy that allows it nothing else", () =>
    Effect.gen(function*() {
      const url = yield* serve(DbHttp.layer([Db], { debug: (_) => _ }).pipe(Layer.provide(yield* sqlite)))
      const [first, second] = yield* Effect.all([get(`${url}/debug/db/ui`), get(`${url}/debug/db/ui`)])
      const policy = first.headers.get("content-security-policy")!
      const [, nonce] = policy.match(/script-src 'nonce-([^']+)'/)!
      assert.include(policy, "default-src 'none'")
      assert.notMatch(policy, /unsafe|https?:|\*/)
      assert.notInclude(second.headers.get("content-security-policy")!, nonce!)
      assert.strictEqual(first.headers.get("cache-control"), "no-store")
      assert.strictEqual(first.headers.get("x-content-type-options"), "nosniff")
      for (const [tag] of first.body.matchAll(/<(?:script|style)\b[^>]*>/g)) {
        assert.include(tag, `nonce="${nonce}"`)
      }
      assert.notMatch(first.body, /(?:src|href|action)="(?!data:)|\bon\w+="|style="|@import|url\(/)
    }))
})

describe("a registry", () => {
  it.scopedLive("its databases are opened by a look at them, and found however they are spelled", () =>
    Effect.gen(function*() {
      const at = yield* folder
      const registry = DbRegistry.layer({
        survey_hub: { filename: `${at}/survey.db` },
        other: { filename: `${at}/other.db` },
        broken: { filename: `${at}/nowhere/x.db`, access: "read-only" }
      })
      const url = yield* serve(DbHttp.layerRegistry({ debug: (_) => _ }).pipe(Layer.provide(registry)))
      const one = yield* get(`${url}/health/db?name=SurveyHub`)
      assert.strictEqual(one.status, 200)
      assert.strictEqual(one.json().databases[0].database_name, "survey_hub")
      assert.strictEqual((yield* get(`${url}/health/db?name=broken`)).status, 503)
      assert.strictEqual((yield* get(`${url}/health/db?name=none`)).status, 404)
      const debug = (yield* get(`${url}/debug/db`)).json()
      assert.deepStrictEqual(
        debug.databases.map((_: { name: string; pool?: object }) => [_.name, _.pool !== undefined]),
        [["survey_hub", true], ["other", true], ["broken", false]]
      )
    }))
})

describe("an HttpApi", () => {
  class Api extends HttpApi.make("api").add(DbHttp.Group) {}

  it.scopedLive("its client gets reports, and failures as typed as the rest", () =>
    Effect.gen(function*() {
      const url = yield* serve(
        HttpLayerRouter.addHttpApi(Api).pipe(
          Layer.provide(DbHttp.layerGroup(Api, [Db, Dead])),
          Layer.provide([yield* sqlite, dead]),
          Layer.provide([NodeHttpPlatform.layer, NodeFileSystem.layer, NodePath.layer, Etag.layer])
        )
      )
      const client = yield* HttpApiClient.make(Api, { baseUrl: url }).pipe(Effect.provide(NodeHttpClient.layer))
      assert.deepStrictEqual(yield* client.databases.live(), { status: "alive" })
      const one = yield* client.databases.health(byName("default"))
      assert.strictEqual(one.status, "healthy")
      const all = yield* Effect.flip(client.databases.health(byName()))
      assert.deepInclude(all, { status: "unhealthy" })
      const unknown = yield* Effect.flip(client.databases.health(byName("x")))
      assert.deepInclude(unknown, { status: 404, known: ["default", "dead"] })
      assert.deepStrictEqual(yield* Effect.flip(client.databases.ready()), { status: "not ready" })
      assert.match(yield* client.databases.metrics(), /dblive_/)
      assert.includeMembers(Object.keys(OpenApi.fromApi(Api).paths), ["/health/live", "/health/db", "/metrics"])
    }))

  it.scopedLive("its client gets the reports of a registry's databases", () =>
    Effect.gen(function*() {
      const registry = DbRegistry.layer({ survey_hub: { filename: `${yield* folder}/survey.db` } })
      const url = yield* serve(
        HttpLayerRouter.addHttpApi(Api).pipe(
          Layer.provide(DbHttp.layerGroupRegistry(Api)),
          Layer.provide(registry),
          Layer.provide([NodeHttpPlatform.layer, NodeFileSystem.layer, NodePath.layer, Etag.layer])
        )
      )
      const client = yield* HttpApiClient.make(Api, { baseUrl: url }).pipe(Effect.provide(NodeHttpClient.layer))
      const report = yield* client.databases.health(byName("survey_hub"))
      assert.strictEqual(report.status, "healthy")
      assert.deepStrictEqual(report.databases.map((_) => _.databaseName), ["survey_hub"])
      assert.deepStrictEqual(yield* client.databases.ready(), { status: "ready" })
      const unknown = yield* Effect.flip(client.databases.health(byName("default")))
      assert.deepInclude(unknown, { status: 404, known: ["survey_hub"] })
    }))
})
