/** The service over test layers: private databases, a server on a free port, and the client that its API makes. */
import { HttpApiClient, HttpClient, HttpLayerRouter } from "@effect/platform"
import { NodeContext, NodeHttpServer } from "@effect/platform-node"
import { expect, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer } from "effect"
import * as DbTest from "../../src/DbTest.js"
import { Db } from "../../src/index.js"
import { Api, Purchase, ReferenceTaken, UnknownProduct } from "./Api.js"
import { Catalog } from "./Catalog.js"
import { migrations } from "./Databases.js"
import { Routes } from "./Routes.js"

const orders = DbTest.sqlite({ migrations: migrations("orders") })
const catalog = DbTest.sqlite({ database: Catalog, migrations: migrations("catalog") })

const served = <E, R>(databases: Layer.Layer<Db | Catalog, E, R>) =>
  HttpLayerRouter.serve(Routes, { disableListenLog: true, disableLogger: true }).pipe(
    Layer.provideMerge(NodeHttpServer.layerTest),
    Layer.provideMerge(databases)
  )

const service = served(Layer.merge(orders, catalog).pipe(Layer.provide(NodeContext.layer)))

const two = new Purchase({ reference: "r1", product: "apple", quantity: 2 })

it.scoped("a purchase that is sent twice is carried out once", () =>
  Effect.gen(function*() {
    const { purchases } = yield* HttpApiClient.make(Api)
    expect(yield* purchases.buy({ payload: two })).toMatchObject({ reference: "r1", total: 60 })
    expect(yield* purchases.buy({ payload: two })).toMatchObject({ reference: "r1", total: 60 })
    expect(yield* purchases.list({})).toHaveLength(1)
  }).pipe(Effect.provide(service)))

it.scoped("what cannot be bought says why", () =>
  Effect.gen(function*() {
    const { purchases } = yield* HttpApiClient.make(Api)
    yield* purchases.buy({ payload: two })
    const other = new Purchase({ reference: "r1", product: "pear", quantity: 1 })
    expect(yield* Effect.flip(purchases.buy({ payload: other }))).toEqual(new ReferenceTaken({ reference: "r1" }))
    const unknown = new Purchase({ reference: "r2", product: "plum", quantity: 1 })
    expect(yield* Effect.flip(purchases.buy({ payload: unknown }))).toEqual(new UnknownProduct({ product: "plum" }))
  }).pipe(Effect.provide(service)))

it.scoped("the same purchase from many at once is one", () =>
  Effect.gen(function*() {
    const { purchases } = yield* HttpApiClient.make(Api)
    yield* Effect.all(Array.from({ length: 8 }, () => purchases.buy({ payload: two })), { concurrency: 8 })
    expect(yield* purchases.list({})).toHaveLength(1)
  }).pipe(Effect.provide(service)))

it.scoped("a COMMIT whose answer is lost is told as unknown, and can be sent again", () =>
  Effect.gen(function*() {
    const { purchases } = yield* HttpApiClient.make(Api)
    expect(yield* Effect.flip(purchases.buy({ payload: two }))).toMatchObject({ applied: "unknown" })
    expect(yield* purchases.buy({ payload: two })).toMatchObject({ total: 60 })
    expect(yield* purchases.list({})).toHaveLength(1)
  }).pipe(Effect.provide(
    served(
      Layer.merge(DbTest.flaky(orders, [{ on: "commit", nth: 1, fault: "LostAfter" }]), catalog).pipe(
        Layer.provide(NodeContext.layer)
      )
    )
  )))

it.scoped("tells its health and its figures", () =>
  Effect.gen(function*() {
    expect((yield* HttpClient.get("/health/ready")).status).toBe(200)
    const health = yield* HttpClient.get("/health/db")
    expect(yield* health.json).toMatchObject({ databases: [{ status: "healthy" }, { status: "healthy" }] })
    expect(yield* (yield* HttpClient.get("/metrics")).text).toContain("dblive_sessions")
    expect(yield* Db.ping).toBe(true)
  }).pipe(Effect.provide(service)))

it.scoped("shows the status page on this machine in development, and in production with the password", () => {
  const statusOf = (path: string, headers: Record<string, string>, variables: Record<string, string>) =>
    HttpClient.get(path, { headers }).pipe(
      Effect.map(({ status }) => status),
      Effect.provide(
        Layer.provide(service, Layer.setConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables)))))
      )
    )
  const page = "/debug/db/ui"
  const known = { authorization: `Basic ${btoa("me:secret")}` }
  return Effect.gen(function*() {
    expect(yield* statusOf(page, {}, { NODE_ENV: "development" })).toBe(200)
    expect(yield* statusOf(page, { host: "rebound.example" }, { NODE_ENV: "development" })).toBe(404)
    expect(yield* statusOf(page, known, { NODE_ENV: "production" })).toBe(404)
    expect(yield* statusOf(page, {}, { NODE_ENV: "production", STATUS_PASSWORD: "secret" })).toBe(401)
    expect(yield* statusOf(page, known, { NODE_ENV: "production", STATUS_PASSWORD: "secret" })).toBe(200)
  })
})
