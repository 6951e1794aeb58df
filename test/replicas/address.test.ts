/** Spans and lines of the log say on which of the servers a statement ran. */
import * as NodeSdk from "@effect/opentelemetry/NodeSdk"
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import { InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Stream from "effect/Stream"
import { Db } from "../../src/Db.js"
import type * as DbConfig from "../../src/DbConfig.js"
import { formatPosition, parsePosition } from "../../src/internal/driver/pg/position.js"
import { annotationsOf } from "../kit/annotations.js"
import { makeFakeDriver } from "../kit/fakeDriver.js"

const server = (name: string, port: number) =>
  makeFakeDriver({
    overrides: {
      target: {
        system: "postgresql",
        namespace: "shop",
        address: name,
        port,
        uri: `postgresql://${name}:${port}/shop`
      },
      replication: {
        written: (_, done) => done(undefined, 1n),
        replayed: (_, done) => done(undefined, { position: 1n, lag: 0, server: name }),
        format: formatPosition,
        parse: parsePosition
      }
    }
  })

const setUp = (options: DbConfig.Options = {}) =>
  Effect.gen(function*() {
    const servers = { primary: yield* server("primary", 1), replica: yield* server("replica", 2) }
    const layer = Db.layerDriver({
      url: "postgresql://app@primary/shop",
      environment: "production",
      replicas: [{ url: "postgresql://replica" }],
      pool: { minIdle: 0, keepalive: 0, leakThreshold: 0 },
      ...options
    }, (config) => Effect.succeed(servers[config.hosts[0]!.host as keyof typeof servers].driver))
    return { ...servers, layer }
  })

const atPrimary = { "server.address": "primary", "server.port": 1 }
const atReplica = { "server.address": "replica", "server.port": 2 }

/** A tracer whose spans can be looked at. */
const traced = () => {
  const exporter = new InMemorySpanExporter()
  const layer = NodeSdk.layer(() => ({
    resource: { serviceName: "test" },
    spanProcessor: new SimpleSpanProcessor(exporter)
  }))
  /** The spans since the last call. */
  const taken = () => {
    const spans = exporter.getFinishedSpans().map(({ attributes, name }) => [name, attributes] as const)
    exporter.reset()
    return spans
  }
  return { layer, taken }
}

const sql = Effect.flatMap(SqlClient.SqlClient, (sql) => sql`SELECT 2`)
const streamed = Effect.flatMap(SqlClient.SqlClient, (sql) => Stream.runDrain(sql`SELECT 3`.stream))
const all = Effect.zipRight(Db.query("SELECT 1"), Effect.zipRight(sql, streamed))

describe("where a statement ran", () => {
  it.live("spans have the address of the server, also of statements and of a stream in a read", () =>
    Effect.gen(function*() {
      const { layer } = yield* setUp()
      const { layer: tracer, taken } = traced()
      yield* Effect.gen(function*() {
        taken()
        for (
          const [effect, where] of [[all.pipe(Db.read), atReplica], [all.pipe(Db.transaction), atPrimary]] as const
        ) {
          yield* effect
          const found = taken()
          assert.sameMembers(found.map(([name]) => name), [
            "db.transaction",
            "sql.execute",
            "sql.execute",
            "sql.execute"
          ])
          for (const [name, attributes] of found) assert.deepInclude(attributes, where, name)
        }
        yield* Db.query("SELECT 1")
        assert.deepInclude(taken()[0]?.[1], atPrimary)
      }).pipe(Effect.provide(Layer.merge(layer, tracer)))
    }))

  it.live("lines have it, too: of a session, of the audit, of what is slow", () =>
    Effect.gen(function*() {
      const lines: Array<Record<string, unknown>> = []
      const logger = Logger.make((entry) => {
        lines.push({ ...annotationsOf(entry), message: String(entry.message) })
      })
      const { layer, replica } = yield* setUp({ log: { audit: true, slowStatement: "1 millis" } })
      replica.control.execute.always({ delay: "5 millis" })
      yield* Effect.gen(function*() {
        for (
          const [effect, where] of [[sql.pipe(Db.read), atReplica], [sql.pipe(Db.transaction), atPrimary]] as const
        ) {
          lines.length = 0
          yield* effect
          const slow = where === atReplica ? ["slow statement"] : []
          for (const message of ["session opened", "session closed", "statement", "transaction", ...slow]) {
            const found = lines.filter((line) => line["message"] === message)
            assert.isNotEmpty(found, message)
            for (const line of found) assert.deepInclude(line, where, message)
          }
        }
      }).pipe(
        Effect.provide(layer),
        Effect.provide(
          Layer.merge(Logger.replace(Logger.defaultLogger, logger), Logger.minimumLogLevel(LogLevel.Debug))
        )
      )
    }))

  it.live("a database of one server has no address in its lines", () =>
    Effect.gen(function*() {
      const lines: Array<ReadonlyArray<string>> = []
      const logger = Logger.make((entry) => {
        lines.push(Object.keys(annotationsOf(entry)))
      })
      const { layer } = yield* setUp({ replicas: [] })
      yield* sql.pipe(
        Db.transaction,
        Effect.provide(layer),
        Effect.provide(
          Layer.merge(Logger.replace(Logger.defaultLogger, logger), Logger.minimumLogLevel(LogLevel.Debug))
        )
      )
      assert.isNotEmpty(lines)
      assert.notInclude(lines.flat(), "server.address")
    }))
})
