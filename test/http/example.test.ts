/** examples/http-server.ts as it is run: a process, and its signals. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { ChildProcess } from "node:child_process"
import { spawn } from "node:child_process"
import { request } from "node:http"
import { folder } from "../databases/folder.js"
import { bundle } from "../kit/bundle.js"
import { freePort } from "../kit/serverProcess.js"
import { send } from "./serve.js"

const main = bundle(new URL("../../examples/http-server.ts", import.meta.url))

interface Program {
  readonly url: string
  readonly port: number
  readonly process: ChildProcess
  readonly output: () => string
  /** Ends with the process. */
  readonly exited: Effect.Effect<number | null>
}

const program = (seconds: number) =>
  Effect.gen(function*() {
    const cwd = yield* folder
    const port = yield* Effect.promise(freePort)
    let output = ""
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(
          process.execPath,
          [main],
          {
            cwd,
            env: {
              PATH: process.env["PATH"],
              HOME: cwd,
              NODE_ENV: "development",
              PORT: String(port),
              STATUS_PASSWORD: "pAssw0rd-canary",
              SHUTDOWN_LIMIT: `${seconds} seconds`
            }
          }
        )
      ),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    const exit = new Promise<number | null>((resolve) => child.once("exit", resolve))
    yield* Effect.async<void>((resume) => {
      const hear = (chunk: Buffer) => {
        output += chunk
        if (/Listening on/.test(output)) {
          resume(Effect.void)
        }
      }
      child.stdout.on("data", hear)
      child.stderr.on("data", hear)
    })
    const made: Program = {
      url: `http://127.0.0.1:${port}`,
      port,
      process: child,
      output: () => output,
      exited: Effect.promise(() => exit)
    }
    return made
  })

/** A request whose body comes in two parts, the second one when the test says so. */
const halfRequest = (port: number) => {
  const half = request({ host: "127.0.0.1", port, method: "POST", path: "/notes", headers: { "content-length": "6" } })
  const answer = new Promise<number | string>((resolve) => {
    half.on("response", (response) => resolve(response.statusCode ?? 0))
    half.on("error", (error) => resolve(error.message))
  })
  half.write("sec")
  return { half, answer: Effect.promise(() => answer) }
}

it.scopedLive(
  "the notes service: transactions, streams, health, a status page behind a password, an orderly end",
  () =>
    Effect.gen(function*() {
      const { exited, output, port, process, url } = yield* program(20)
      const post = (body: string) => send(`${url}/notes`, { method: "POST", body })
      assert.include(yield* post("first"), { status: 201, body: "1\n" })
      assert.include(yield* post(""), { status: 422 })
      assert.include(yield* post("second"), { status: 201, body: "2\n" })
      assert.include(yield* send(`${url}/notes`), { status: 200, body: "first\nsecond\n" })
      assert.strictEqual((yield* send(`${url}/health/ready`)).status, 200)
      assert.match((yield* send(`${url}/metrics`)).body, /dblive_transactions_total\{[^}]*outcome="committed"[^}]*\} 2/)
      assert.strictEqual((yield* send(`${url}/debug/db/ui`)).status, 401)
      const wrong = { headers: { authorization: `Basic ${btoa("me:wrong")}` } }
      assert.strictEqual((yield* send(`${url}/debug/db`, wrong)).status, 401)
      const right = { headers: { authorization: `Basic ${btoa("me:pAssw0rd-canary")}` } }
      assert.strictEqual((yield* send(`${url}/debug/db`, right)).status, 200)

      // The request in flight has arrived when another, which comes after it, has been answered. It is answered, too.
      const { answer, half } = halfRequest(port)
      yield* send(`${url}/health/live`)
      process.kill("SIGTERM")
      yield* until(() => output().includes("shutting down"))
      half.end("ond")
      assert.strictEqual(yield* answer, 201)
      yield* exited
      assert.include(output(), "every request has been answered")
      assert.notInclude(output(), "canary")
    }),
  60_000
)

it.scopedLive("does not wait at its end for a request that does not end", () =>
  Effect.gen(function*() {
    const { exited, output, port, process } = yield* program(1)
    const { answer } = halfRequest(port)
    yield* send(`http://127.0.0.1:${port}/health/live`)
    process.kill("SIGTERM")
    assert.match(String(yield* answer), /hang up|reset/i)
    yield* exited
    assert.include(output(), "1 request was cut")
  }), 60_000)

const until = (holds: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => holds() ? Effect.void : Effect.zipRight(Effect.sleep("20 millis"), until(holds)))
