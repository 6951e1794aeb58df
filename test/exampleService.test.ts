/** The example service: its own tests, and how the real process ends. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { type ClientRequest, request } from "node:http"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import "../examples/service/service.test.js"
import { bundle } from "./kit/bundle.js"
import { ofSignal } from "./kit/exitCodes.js"
import { describePostgres, freshDatabase } from "./kit/postgres.js"

const main = bundle(new URL("../examples/service/main.ts", import.meta.url))

interface Service {
  readonly port: number
  readonly child: ChildProcess
  readonly output: () => string
  readonly exited: Promise<number | null>
}

const start = (folder: string, env: Record<string, string>): Promise<Service> =>
  new Promise((resolve, reject) => {
    const child = spawn(
      process.execPath,
      [main],
      {
        cwd: folder,
        env: {
          PATH: process.env["PATH"],
          HOME: folder,
          NODE_ENV: "development",
          PORT: "0",
          DRAIN_LIMIT: "4 seconds",
          ...env
        }
      }
    )
    let output = ""
    const exited = new Promise<number | null>((resolve) => child.once("exit", resolve))
    const read = (chunk: Buffer) => {
      output += chunk.toString()
      const port = /Listening on http:\/\/\S+:(\d+)/.exec(output)?.[1]
      if (port !== undefined) resolve({ port: Number(port), child, output: () => output, exited })
    }
    child.stdout.on("data", read)
    child.stderr.on("data", read)
    void exited.then(() => reject(new Error(output)))
  })

const service = (env: Record<string, string>) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const folder = mkdtempSync(join(tmpdir(), "dblive-service-"))
      return { folder, ...await start(folder, env) }
    }),
    ({ child, exited, folder }) =>
      Effect.promise(async () => {
        child.kill("SIGKILL")
        await exited
        rmSync(folder, { recursive: true, force: true })
      })
  )

interface Answer {
  readonly status: number | undefined
  readonly body: unknown
}

interface Begun {
  /** Sends the body. */
  readonly finish: () => void
  readonly answer: Promise<Answer>
}

/** Sends a request's head, and waits until the server has it and asks for the body. */
const begin = (port: number, payload: unknown): Promise<Begun> =>
  new Promise((resolve, reject) => {
    const body = JSON.stringify(payload)
    const headers = { "content-type": "application/json", "content-length": body.length, expect: "100-continue" }
    const sent: ClientRequest = request({ port, method: "POST", path: "/purchases", headers, agent: false })
    const answer = new Promise<Answer>((resolve, reject) => {
      sent.once("response", (response) => {
        let text = ""
        response.on("data", (chunk) => text += chunk)
        response.on("end", () => resolve({ status: response.statusCode, body: JSON.parse(text) }))
      })
      sent.once("error", reject)
    })
    answer.catch(reject)
    sent.once("continue", () => resolve({ finish: () => sent.end(body), answer }))
    sent.flushHeaders()
  })

/**
 * Sends the first half of a request's head: the server has the connection, and does not know yet what it is asked. Only
 * a server that goes on reading what it has accepted answers this.
 */
const beginHalf = (port: number, payload: unknown): Promise<Begun> =>
  new Promise((resolve, reject) => {
    const body = JSON.stringify(payload)
    let text = ""
    const socket = connect(port, "127.0.0.1")
    const answer = new Promise<Answer>((resolve, reject) => {
      socket.setEncoding("utf8").on("data", (chunk) => text += chunk)
      socket.once("error", reject)
      // The server ends what it answers now.
      socket.once("end", () => {
        const [head = "", body = "null"] = text.split("\r\n\r\n")
        resolve({ status: Number(head.split(" ")[1]), body: JSON.parse(body) })
      })
      // It answers within milliseconds, or never.
      socket.setTimeout(10_000, () => socket.destroy(new Error("not answered")))
    })
    answer.catch(reject)
    socket.write(`POST /purchases HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n`, () =>
      resolve({
        finish: () => socket.write(`content-length: ${body.length}\r\n\r\n${body}`),
        answer
      }))
  })

const isRefused = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1")
    socket.once("connect", () => {
      socket.destroy()
      resolve(false)
    })
    socket.once("error", () => resolve(true))
  })

const get = (port: number, path: string): Promise<Answer> =>
  fetch(`http://127.0.0.1:${port}${path}`).then(async (response) => ({
    status: response.status,
    body: await response.json()
  }))

const endsInOrder = (env: Record<string, string>) =>
  Effect.gen(function*() {
    const { child, exited, output, port } = yield* service(env)
    const count = 20
    const purchase = (n: number) => ({ reference: `r${n}`, product: "apple", quantity: n + 1 })
    const begun = yield* Effect.promise(() =>
      Promise.all(
        Array.from({ length: count }, (_, n) => n < 10 ? begin(port, purchase(n)) : beginHalf(port, purchase(n)))
      )
    )
    // This one is never finished, and must not keep the process from ending. It comes last: the server has all others, too.
    const stuck = yield* Effect.promise(() => begin(port, { reference: "stuck", product: "apple", quantity: 1 }))
    const cut = stuck.answer.then(() => "answered", () => "cut")
    child.kill("SIGTERM")
    yield* Effect.promise(async () => {
      while (!(await isRefused(port))) await new Promise((resolve) => setTimeout(resolve, 10))
    })
    for (const { finish } of begun) finish()
    const answers = yield* Effect.promise(() => Promise.all(begun.map(({ answer }) => answer)))
    assert.deepStrictEqual(answers.map(({ status }) => status), Array(count).fill(200), output())
    assert.deepStrictEqual(
      answers.map(({ body }) => (body as { readonly total: number }).total),
      Array.from({ length: count }, (_, n) => 30 * (n + 1))
    )
    assert.strictEqual(yield* Effect.promise(() => exited), ofSignal, output())
    assert.strictEqual(yield* Effect.promise(() => cut), "cut")

    // What was answered is there, for the next one to start.
    const next = yield* Effect.promise(() => start(process.cwd(), env))
    const { body } = yield* Effect.promise(() => get(next.port, "/purchases"))
    next.child.kill("SIGTERM")
    assert.lengthOf(body as ReadonlyArray<unknown>, count)
    assert.strictEqual(yield* Effect.promise(() => next.exited), ofSignal, next.output())
  })

// Both wait, most of the time, for the limit of what is never finished.
describe("the example service, on SIGTERM with 20 requests under way", { concurrent: true }, () => {
  it.scopedLive("answers them all, takes no others, and ends in order: embedded SQLite", () =>
    Effect.gen(function*() {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "dblive-service-data-"))),
        (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
      )
      const file = (name: string) => `sqlite:${join(folder, name)}`
      yield* endsInOrder({ DATABASE_URL: file("orders.db"), CATALOG_DATABASE_URL: file("catalog.db") })
    }), 90_000)

  describePostgres("on a server", () => {
    it.scopedLive("answers them all, takes no others, and ends in order: PostgreSQL", () =>
      Effect.gen(function*() {
        const orders = yield* freshDatabase
        const catalog = yield* freshDatabase
        yield* endsInOrder({ DATABASE_URL: orders.url, CATALOG_DATABASE_URL: catalog.url })
      }), 90_000)
  })
})
