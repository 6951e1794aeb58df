/** The end of a server under load: no client loses a request. */
import { NodeHttpServer } from "@effect/platform-node"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import type { ChildProcess } from "node:child_process"
import { spawn } from "node:child_process"
import { Agent, createServer, request, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { connect } from "node:net"
import { Db } from "../../src/Db.js"
import * as DbHttp from "../../src/DbHttp.js"
import { folder } from "../databases/folder.js"
import { bundleAll } from "../kit/bundle.js"
import { ofSignal } from "../kit/exitCodes.js"

const [notes, service, clients] = bundleAll([
  new URL("../../examples/http-server.ts", import.meta.url),
  new URL("../../examples/service/main.ts", import.meta.url),
  new URL("./keepAliveClients.ts", import.meta.url)
])

/** A process, what it writes, and how it ends. */
const start = (args: ReadonlyArray<string>, cwd: string, env: Record<string, string> = {}) =>
  Effect.gen(function*() {
    let output = ""
    const child = yield* Effect.acquireRelease(
      Effect.sync((): ChildProcess =>
        spawn(process.execPath, args, {
          cwd,
          env: { PATH: process.env["PATH"], HOME: cwd, NODE_ENV: "development", ...env }
        })
      ),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    const hearers = new Set<() => void>()
    const hear = (chunk: Buffer) => {
      output += chunk.toString()
      hearers.forEach((hearer) => hearer())
    }
    child.stdout!.on("data", hear)
    child.stderr!.on("data", hear)
    const exit = new Promise<number | null>((resolve) => child.once("close", resolve))
    return {
      child,
      output: () => output,
      exited: Effect.promise(() => exit),
      says: (pattern: RegExp) =>
        Effect.async<RegExpExecArray>((resume) => {
          const look = () => {
            const found = pattern.exec(output)
            if (found !== null) {
              hearers.delete(look)
              resume(Effect.succeed(found))
            }
          }
          hearers.add(look)
          look()
        })
    }
  })

const count = 20

/** What 20 clients see of a program that gets SIGTERM while they send. */
const underLoad = (program: string, path: string, body?: string) =>
  Effect.gen(function*() {
    const cwd = yield* folder
    const server = yield* start([program], cwd, { PORT: "0" })
    const [, port] = yield* server.says(/Listening on http:\/\/\S+:(\d+)/)
    const url = `http://127.0.0.1:${port}${path}`
    const load = yield* start([clients!, url, String(count), ...body === undefined ? [] : [body]], cwd)
    yield* load.says(/started/)
    server.child.kill("SIGTERM")
    assert.strictEqual(yield* server.exited, ofSignal, server.output())
    yield* load.exited
    assert.include(server.output(), "every request has been answered")
    return JSON.parse(load.output().split("\n")[1]!) as {
      readonly answered: number
      readonly closed: number
      readonly failures: ReadonlyArray<string>
    }
  })

describe("SIGTERM under load loses no request of 20 clients that keep their connections", () => {
  it.scopedLive("examples/http-server.ts", () =>
    Effect.gen(function*() {
      const seen = yield* underLoad(notes!, "/notes", "a note")
      assert.deepStrictEqual(seen.failures, [])
      assert.isAtLeast(seen.closed, count)
    }), 60_000)

  it.scopedLive("examples/service", () =>
    Effect.gen(function*() {
      const seen = yield* underLoad(service!, "/purchases")
      assert.deepStrictEqual(seen.failures, [])
      assert.isAtLeast(seen.closed, count)
    }), 60_000)
})

/** A server whose route `/wait` answers when it is told to, and the scope of its layers. */
const waiting = (options: DbHttp.DrainingOptions) =>
  Effect.gen(function*() {
    const arrived = yield* Deferred.make<void>()
    const answer = yield* Deferred.make<void>()
    const ended: Array<string> = []
    const server = createServer()
    const scope = yield* Scope.make()
    yield* Effect.addFinalizer(() =>
      Effect.zipRight(Effect.sync(() => server.closeAllConnections()), Scope.close(scope, Exit.void))
    )
    const route = HttpLayerRouter.add(
      "GET",
      "/wait",
      Effect.as(
        Effect.zipRight(Deferred.succeed(arrived, undefined), Deferred.await(answer)),
        HttpServerResponse.text("late")
      )
    )
    const below = Layer.scopedDiscard(Effect.addFinalizer(() => Effect.sync(() => ended.push("below"))))
    const context = yield* DbHttp.draining(server, options).pipe(
      Layer.provide(HttpLayerRouter.serve(Layer.mergeAll(route, DbHttp.layer([Db])), {
        disableListenLog: true,
        disableLogger: true
      })),
      Layer.provide(NodeHttpServer.layer(() => server, { port: 0, host: "127.0.0.1" })),
      Layer.provide(Db.layer({ filename: `${yield* folder}/a.db` })),
      Layer.provide(below),
      Layer.buildWithScope(scope)
    )
    assert.strictEqual(Context.isContext(context), true)
    const { port } = server.address() as AddressInfo
    return { answer, arrived, close: Scope.close(scope, Exit.void), ended, port, server }
  })

interface Seen {
  readonly status: number | undefined
  readonly connection: string | undefined
  readonly body: string
}

const get = (port: number, path: string, agent: Agent): Effect.Effect<Seen, string> =>
  Effect.async((resume) => {
    const sent = request({ host: "127.0.0.1", port, path, agent }, (response) => {
      let body = ""
      response.setEncoding("utf8").on("data", (text: string) => body += text)
      response.once("end", () =>
        resume(Effect.succeed({ status: response.statusCode, connection: response.headers.connection, body })))
    })
    sent.once("error", (error: NodeJS.ErrnoException) =>
      resume(Effect.fail(error.code ?? error.message)))
    sent.end()
  })

const keeping = () => new Agent({ keepAlive: true, maxSockets: 1 })

const until = (holds: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => holds() ? Effect.void : Effect.zipRight(Effect.sleep("10 millis"), until(holds)))

describe("draining", () => {
  it.scopedLive("readiness turns 503 first, while new connections are still taken", () =>
    Effect.gen(function*() {
      const { answer, arrived, close, ended, port, server } = yield* waiting({ notice: "300 millis" })
      const idle = keeping()
      assert.include(yield* get(port, "/health/ready", idle), { status: 200, connection: "keep-alive" })
      const inFlight = yield* Effect.fork(get(port, "/wait", keeping()))
      yield* Deferred.await(arrived)
      const closing = yield* Effect.fork(close)
      const isNotReady = Effect.map(get(port, "/health/ready", keeping()), ({ status }) => status === 503)
      // The first of them may come before the finalizer.
      yield* Effect.repeat(isNotReady, { until: (is) => is })
      assert.strictEqual(server.listening, true)
      assert.include(yield* get(port, "/health/live", keeping()), { status: 200 })
      yield* until(() => !server.listening)
      // On the connection that was open before, too.
      assert.include(yield* get(port, "/health/ready", idle), { status: 503, connection: "close" })
      assert.strictEqual(yield* Effect.flip(get(port, "/health/live", keeping())), "ECONNREFUSED")
      assert.deepStrictEqual(ended, [])
      yield* Deferred.succeed(answer, undefined)
      assert.include(yield* Fiber.join(inFlight), { status: 200, connection: "close", body: "late" })
      yield* Fiber.join(closing)
      assert.deepStrictEqual(ended, ["below"])
    }), 20_000)

  it.scopedLive(
    "a kept connection is answered while it lingers, and closed when it says nothing",
    () =>
      Effect.gen(function*() {
        const { close, port, server } = yield* waiting({ linger: "1 second" })
        const used = keeping()
        const silent = keeping()
        yield* get(port, "/health/live", used)
        yield* get(port, "/health/live", silent)
        // One that has sent nothing at all, as browsers open them in advance.
        const early = connect(port, "127.0.0.1")
        yield* Effect.async<void>((resume) => void early.once("connect", () => resume(Effect.void)))
        const gone = new Promise<void>((resolve) => early.once("close", () => resolve()))
        early.resume()
        const closing = yield* Effect.fork(close)
        yield* until(() => !server.listening)
        assert.include(yield* get(port, "/health/live", used), { status: 200, connection: "close" })
        yield* Effect.promise(() => gone)
        yield* Fiber.join(closing)
        assert.strictEqual(Object.keys(silent.freeSockets).length, 0)
      }),
    20_000
  )

  it.scopedLive("what is not done at the limit is cut", () =>
    Effect.gen(function*() {
      const { arrived, close, ended, port } = yield* waiting({ limit: "200 millis" })
      const inFlight = yield* Effect.fork(Effect.flip(get(port, "/wait", keeping())))
      yield* Deferred.await(arrived)
      yield* close
      assert.strictEqual(yield* Fiber.join(inFlight), "ECONNRESET")
      assert.deepStrictEqual(ended, ["below"])
    }), 20_000)

  it.scopedLive(
    "a request that waits to send its body is under way, also where the server answers that by itself",
    () =>
      Effect.gen(function*() {
        for (const handsOn of [true, false]) {
          const server = createServer((_, response) => response.end("answered"))
          const asked = yield* Deferred.make<ServerResponse>()
          server.on("checkContinue", (request, response) => {
            response.writeContinue()
            if (handsOn) server.emit("request", request, response)
            else Effect.runSync(Deferred.succeed(asked, response))
          })
          const scope = yield* Scope.make()
          yield* Effect.async<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void)))
          yield* Layer.buildWithScope(DbHttp.draining(server, { limit: "20 seconds", linger: "10 millis" }), scope)
          const { port } = server.address() as AddressInfo
          const sent = request({ port, method: "POST", headers: { expect: "100-continue" }, agent: keeping() })
          const answered = new Promise<Seen["connection"]>((resolve, reject) => {
            sent.once("response", (response) => resolve(response.resume().headers.connection)).once("error", reject)
          })
          sent.flushHeaders()
          const response = handsOn ? undefined : yield* Deferred.await(asked)
          if (handsOn) yield* Effect.promise(() => answered)
          const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
          yield* until(() => !server.listening)
          response?.end("answered")
          // It is told that its connection ends, so that nothing waits for the limit.
          assert.strictEqual(yield* Effect.promise(() => answered), handsOn ? "keep-alive" : "close")
          yield* Fiber.join(closing)
          assert.strictEqual(server.listenerCount("checkContinue"), 1)
        }
      }),
    10_000
  )

  it.scopedLive("a server that never listened, and one that was closed already", () =>
    Effect.gen(function*() {
      const end = (server: Server) => Effect.scoped(Layer.build(DbHttp.draining(server)))
      yield* end(createServer())
      const closed = createServer()
      yield* Effect.async<void>((resume) => void closed.listen(0, () => closed.close(() => resume(Effect.void))))
      yield* end(closed)
      assert.strictEqual(closed.listenerCount("request"), 0)
    }))
})
