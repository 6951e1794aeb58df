import { describe, it } from "@effect/vitest"
import { assertTrue, deepStrictEqual, strictEqual } from "@effect/vitest/utils"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { spawn } from "node:child_process"
import * as Fs from "node:fs"
import { createRequire } from "node:module"
import { fileURLToPath, pathToFileURL } from "node:url"
import type { DbError } from "../../../src/DbError.js"
import type { Connection } from "../../../src/driver/Driver.js"
import {
  cancel,
  connect,
  drain,
  eventually,
  execute,
  fetch,
  file,
  make,
  once,
  openCursor,
  ping,
  single,
  turns
} from "./harness.js"

/** Never ends, and asks for little memory. */
const endless = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r"

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

const isBusy = (connection: Connection): boolean => {
  const { pending } = connection as unknown as { readonly pending: unknown }
  return pending !== undefined
}

describe("with workers", () => {
  it.scoped("a running statement is stopped, and its process is gone when the cancel is settled", () =>
    Effect.gen(function*() {
      const connection = yield* single({ filename: yield* file, workers: 1 })
      const pid = connection.id
      const running = yield* Effect.fork(Effect.flip(execute(connection, endless)))
      yield* eventually(() => isBusy(connection))
      yield* cancel(connection)
      assertTrue(!isAlive(pid))
      const error = yield* Fiber.join(running)
      strictEqual(error.reason, "Lost")
      strictEqual(error.outcome, "RolledBack")
      assertTrue(error.message.includes("stopped"))
      assertTrue(connection.lost)
      const next = yield* Effect.flip(execute(connection, "SELECT 1"))
      strictEqual(next.reason, "Lost")
      strictEqual(next.outcome, "NotSent")
    }))

  it.scoped("the event loop goes on while a heavy statement runs", () =>
    Effect.gen(function*() {
      const connection = yield* single({ filename: yield* file, workers: 1 })
      const heavy =
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 3000000) SELECT max(n) AS m FROM r"
      const [rows, count] = yield* turns(execute(connection, heavy))
      deepStrictEqual(rows, [{ m: 3_000_000 }])
      assertTrue(count > 100, `${count} turns`)
    }))

  it.scoped("what was stopped is undone, and the file is whole", () =>
    Effect.gen(function*() {
      const driver = yield* make({ filename: yield* file, workers: 2 })
      const one = yield* connect(driver)
      yield* execute(one, "CREATE TABLE t(n PRIMARY KEY, filler)")
      yield* execute(one, "INSERT INTO t VALUES (0, 'kept')")
      yield* execute(one, "INSERT INTO t VALUES (1, '')", [], { begin: "BEGIN IMMEDIATE" })
      const fill = `INSERT INTO t ${endless.replace("count(*)", "n + 1, hex(randomblob(500))")}`
      const running = yield* Effect.fork(Effect.flip(execute(one, fill)))
      yield* eventually(() => isBusy(one))
      const wal = `${driver.target.namespace}-wal`
      // Its pages have begun to reach the file.
      yield* eventually(() => Fs.statSync(wal).size > 10_000_000)
      yield* cancel(one)
      strictEqual((yield* Fiber.join(running)).outcome, "RolledBack")
      const two = yield* connect(driver)
      deepStrictEqual(yield* execute(two, "SELECT n, filler FROM t"), [{ n: 0, filler: "kept" }])
      deepStrictEqual(yield* execute(two, "PRAGMA integrity_check"), [{ integrity_check: "ok" }])
      yield* execute(two, "INSERT INTO t VALUES (1, '')")
    }))

  it.scoped("a write that commits itself, and a COMMIT, may have been applied", () =>
    Effect.gen(function*() {
      const driver = yield* make({ filename: yield* file, workers: 1 })
      const connection = yield* connect(driver)
      yield* execute(connection, "CREATE TABLE t(n)")
      const running = yield* Effect.fork(Effect.flip(execute(connection, `INSERT INTO t ${endless}`)))
      yield* eventually(() => isBusy(connection))
      yield* cancel(connection)
      strictEqual((yield* Fiber.join(running)).outcome, "Unknown")
      const another = yield* connect(driver)
      yield* execute(another, "INSERT INTO t VALUES (1)", [], { begin: "BEGIN IMMEDIATE" })
      const committing = yield* Effect.fork(Effect.flip(execute(another, "COMMIT")))
      yield* Effect.yieldNow()
      assertTrue(isBusy(another))
      another.destroy()
      strictEqual((yield* Fiber.join(committing)).outcome, "Unknown")
    }))

  it.scoped("cancel with nothing running does nothing", () =>
    Effect.gen(function*() {
      const connection = yield* single({ filename: yield* file, workers: 1 })
      yield* cancel(connection)
      deepStrictEqual(yield* execute(connection, "SELECT 1 AS n"), [{ n: 1 }])
    }))

  it.scoped("a wait for a lock is stopped as well", () =>
    Effect.gen(function*() {
      const driver = yield* make({ filename: yield* file, workers: 2 })
      const [one, two] = [yield* connect(driver), yield* connect(driver)]
      yield* execute(one, "CREATE TABLE t(x)")
      yield* execute(one, "INSERT INTO t VALUES (1)", [], { begin: "BEGIN IMMEDIATE" })
      const waiting = yield* Effect.fork(
        Effect.flip(execute(two, "INSERT INTO t VALUES (2)", [], { begin: "BEGIN IMMEDIATE" }))
      )
      yield* eventually(() => isBusy(two))
      yield* cancel(two)
      strictEqual((yield* Fiber.join(waiting)).outcome, "RolledBack")
      yield* execute(one, "COMMIT")
      deepStrictEqual(yield* execute(one, "SELECT x FROM t"), [{ x: 1 }])
    }))

  it.scoped("an in-memory database is not given up: its statement is waited for", () =>
    Effect.gen(function*() {
      const driver = yield* make({ workers: 4 })
      strictEqual(driver.maxConnections, 1)
      strictEqual(driver.capabilities.cancel, false)
      const connection = yield* connect(driver)
      yield* execute(connection, "CREATE TABLE t(x)")
      const heavy =
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 300000) INSERT INTO t SELECT n FROM r"
      const running = yield* Effect.fork(execute(connection, heavy))
      yield* eventually(() => isBusy(connection))
      yield* cancel(connection)
      yield* Fiber.join(running)
      deepStrictEqual(yield* execute(connection, "SELECT count(*) AS n FROM t"), [{ n: 300_000 }])
    }))

  it.scoped("a process that dies is told", () =>
    Effect.gen(function*() {
      const driver = yield* make({ filename: yield* file, workers: 2 })
      const idle = yield* connect(driver)
      let told: DbError | undefined
      idle.onLost = (error) => {
        told = error
      }
      process.kill(idle.id, "SIGKILL")
      yield* eventually(() => told !== undefined)
      strictEqual(told!.reason, "Lost")
      assertTrue(idle.lost)
      strictEqual((yield* Effect.flip(ping(idle))).reason, "Lost")
      const busy = yield* connect(driver)
      const running = yield* Effect.fork(Effect.flip(execute(busy, endless)))
      yield* eventually(() => isBusy(busy))
      process.kill(busy.id, "SIGKILL")
      strictEqual((yield* Fiber.join(running)).reason, "Lost")
    }))

  it.scoped("a process that cannot be started is told", () =>
    Effect.gen(function*() {
      const { execPath } = process
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          process.execPath = execPath
        })
      )
      const driver = yield* make({ filename: yield* file, workers: 1 })
      process.execPath = "/nowhere/node"
      const error = yield* Effect.flip(driver.open)
      strictEqual(error._tag, "ConnectionError")
      strictEqual(error.reason, "Unsupported")
      strictEqual(error.outcome, "NotSent")
    }))

  it.scoped("a cursor is stopped by cancel, and its rows are those of the snapshot", () =>
    Effect.gen(function*() {
      const connection = yield* single({ filename: yield* file, workers: 1 })
      const cursor = yield* openCursor(
        connection,
        "SELECT 1 AS n UNION ALL SELECT * FROM (SELECT 2 UNION ALL SELECT 3)"
      )
      strictEqual((yield* drain(cursor, 2)).length, 3)
      const slow = yield* openCursor(connection, `SELECT 1 UNION ALL SELECT * FROM (${endless})`)
      const running = yield* Effect.fork(Effect.flip(fetch(slow, 10)))
      yield* eventually(() => isBusy(connection))
      yield* cancel(connection)
      strictEqual((yield* Fiber.join(running)).reason, "Lost")
      yield* once<void>((done) => slow.close(done))
    }))

  it.scoped("closing ends the process, and writes the WAL back", () =>
    Effect.gen(function*() {
      const filename = yield* file
      const driver = yield* make({ filename, workers: 1 })
      const connection = yield* driver.open
      yield* execute(connection, "CREATE TABLE t(x)")
      assertTrue(Fs.existsSync(`${filename}-wal`))
      const pid = connection.id
      yield* once<void>((done) => connection.close(done))
      assertTrue(!isAlive(pid))
      assertTrue(!Fs.existsSync(`${filename}-wal`))
      yield* once<void>((done) => connection.close(done))
    }))

  it.scoped("nothing outlives the driver", () =>
    Effect.gen(function*() {
      const filename = yield* file
      const connection = yield* Effect.scoped(Effect.flatMap(make({ filename, workers: 1 }), (driver) => driver.open))
      yield* eventually(() => !isAlive(connection.id))
    }))

  it.scoped("the process knows none of this one's environment but what it needs", (context) =>
    Effect.gen(function*() {
      if (process.platform !== "linux") {
        return context.skip("only Linux tells the environment of a process")
      }
      process.env["DBLIVE_TEST_SECRET"] = "S3cret"
      process.env["NODE_OPTIONS"] = "--trace-exit"
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          delete process.env["DBLIVE_TEST_SECRET"]
          delete process.env["NODE_OPTIONS"]
        })
      )
      const connection = yield* single({ filename: yield* file, workers: 1 })
      const environ = Fs.readFileSync(`/proc/${connection.id}/environ`, "utf8")
      assertTrue(environ.includes("PATH="))
      assertTrue(!environ.includes("S3cret") && !environ.includes("NODE_OPTIONS"))
    }))

  it.scoped("an interrupt signal to all processes leaves it to this one to close", () =>
    Effect.gen(function*() {
      const connection = yield* single({ filename: yield* file, workers: 1 })
      for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
        process.kill(connection.id, signal)
      }
      deepStrictEqual(yield* execute(connection, "SELECT 1 AS n"), [{ n: 1 }])
    }))

  it.scoped("a process whose program was killed ends, also in the middle of a statement", () =>
    Effect.gen(function*() {
      const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href
      const program = fileURLToPath(new URL("./idleAndBusy.ts", import.meta.url))
      const child = spawn(process.execPath, ["--import", tsx, program, yield* file, endless], {
        stdio: ["ignore", "pipe", "inherit"]
      })
      yield* Effect.addFinalizer(() => Effect.sync(() => child.kill("SIGKILL")))
      const line = yield* Effect.async<string>((resume) => {
        child.stdout.once("data", (chunk) => resume(Effect.succeed(String(chunk))))
      })
      const pids = line.trim().split(" ").map(Number)
      assertTrue(pids.length === 2 && pids.every(isAlive), line)
      child.kill("SIGKILL")
      yield* eventually(() => !pids.some(isAlive))
    }))
})
